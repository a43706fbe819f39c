"""Networks of other libraries, and files that other simulators read. Each name is imported when it
is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

__all__ = ["LayerReport", "LayerState", "Probe", "from_nir", "probe", "to_nir"]

if TYPE_CHECKING:
    from fdi.interop.foreign import LayerReport
    from fdi.interop.nir import from_nir, to_nir
    from fdi.interop.probing import LayerState, Probe, probe
else:
    _HOMES = {"LayerReport": "foreign", "from_nir": "nir", "to_nir": "nir"}

    def __getattr__(name):
        if name not in __all__:
            raise AttributeError(f"module {__name__} has no attribute {name}")
        return getattr(import_module(f"{__name__}.{_HOMES.get(name, 'probing')}"), name)
