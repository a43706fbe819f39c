"""Output into a pipe whose reader has seen enough, as in `fdi-run --help | head`."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

CLOSED = 1  # what rich exits with there


def may_close(main: Callable[P, T]) -> Callable[P, T | int]:
    """A console command that ends without a word once nobody reads its stdout."""

    @wraps(main)
    def command(*args: P.args, **kwargs: P.kwargs) -> T | int:
        try:
            try:
                return main(*args, **kwargs)
            finally:
                sys.stdout.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return CLOSED

    return command
