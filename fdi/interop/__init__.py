"""Networks of other libraries, and files that other simulators read. Each name is imported when it
is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fdi.interop.foreign import LayerReport, initialize
    from fdi.interop.nir import from_nir, to_nir

_MODULE_OF = {
    "initialize": "fdi.interop.foreign",
    "LayerReport": "fdi.interop.foreign",
    "to_nir": "fdi.interop.nir",
    "from_nir": "fdi.interop.nir",
}

__all__ = ["LayerReport", "from_nir", "initialize", "to_nir"]


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__} has no attribute {name}")
    return getattr(import_module(_MODULE_OF[name]), name)
