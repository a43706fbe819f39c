"""Which initializations are baselines: the class of each says so itself (fdi.init.strategy)."""

from __future__ import annotations

from functools import lru_cache
from importlib import import_module
from typing import Any

TARGET = "init._target_"


@lru_cache
def is_baseline(target: Any) -> bool:
    """Whether `target`, the dotted name of a class of fdi, is a baseline; a user's own class never
    is.
    """
    module, _, name = str(target).rpartition(".")
    if not module.startswith("fdi.init."):
        return False
    try:
        return getattr(import_module(module), name).baseline is True
    except (ImportError, AttributeError):
        return False
