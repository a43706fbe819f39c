"""Data sets as in-memory event tables, frames or constant images; functions in the modules
return a `Dataset`. `from_torch` is imported when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

__all__ = ["from_torch"]

if TYPE_CHECKING:
    from fdi.data.arrays import from_torch
else:

    def __getattr__(name):
        if name not in __all__:
            raise AttributeError(f"module {__name__} has no attribute {name}")
        return getattr(import_module("fdi.data.arrays"), name)
