"""Fluctuation-driven initialization of any tensors. Each name is imported when first used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

__all__ = ["Strategy", "fluctuation_driven_normal_", "psp_kernel_integrals"]

if TYPE_CHECKING:
    from fdi.init.functional import fluctuation_driven_normal_
    from fdi.init.strategy import Strategy
    from fdi.init.theory import psp_kernel_integrals
else:

    def __getattr__(name):
        if name not in __all__:
            raise AttributeError(f"module {__name__} has no attribute {name}")
        room = {"Strategy": "strategy", "psp_kernel_integrals": "theory"}.get(name, "functional")
        return getattr(import_module(f"{__name__}.{room}"), name)
