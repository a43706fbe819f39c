"""Who is a baseline: what the class of an initialization says of itself (fdi.init.strategy)."""

from __future__ import annotations

from functools import lru_cache
from importlib import import_module
from typing import Any

TARGET = "init._target_"


@lru_cache
def is_baseline(target: Any) -> bool:
    """Does the class `target` (a dotted name) of fdi say `baseline = True`? One of somebody's own
    is none.
    """
    module, _, name = str(target).rpartition(".")
    if not module.startswith("fdi.init."):
        return False
    try:
        return getattr(import_module(module), name).baseline is True
    except (ImportError, AttributeError):
        return False
