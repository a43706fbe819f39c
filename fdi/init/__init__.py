"""Fluctuation-driven initialization, for anybody's tensors. Each name is imported when
it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_MODULE_OF = {
    "psp_kernel_integrals": "fdi.init.psp",
    "fluctuation_driven_normal_": "fdi.init.functional",
    "fluctuation_driven_exponential_": "fdi.init.functional",
    "fluctuation_driven_lognormal_": "fdi.init.functional",
    "Strategy": "fdi.init.strategy",
}

__all__ = list(_MODULE_OF)


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__} has no attribute {name}")
    return getattr(import_module(_MODULE_OF[name]), name)
