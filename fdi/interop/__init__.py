"""Networks of other libraries, and files that other simulators read. Each name is imported when it
is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

__all__ = ["LayerReport", "from_nir", "initialize", "to_nir"]

if TYPE_CHECKING:
    from fdi.interop.foreign import LayerReport, initialize
    from fdi.interop.nir import from_nir, to_nir
else:

    def __getattr__(name):
        if name not in __all__:
            raise AttributeError(f"module {__name__} has no attribute {name}")
        return getattr(import_module(f"{__name__}.{'nir' if 'nir' in name else 'foreign'}"), name)
