"""How console commands begin and end: without a stdout or a width, as some starters of processes
leave them; what is wrong with the input in one line; and a pipe whose reader has seen enough, as in
`fdi-run --help | head`, without a word.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from fdi.track.files import printable

P = ParamSpec("P")
T = TypeVar("T")

CLOSED = 1  # what rich exits with there


def may_close(main: Callable[P, T]) -> Callable[P, T | int]:
    """A console command that ends without a word once nobody reads its stdout."""

    @wraps(main)
    def command(*args: P.args, **kwargs: P.kwargs) -> T | int:
        try:
            _complete()
            try:
                return main(*args, **kwargs)
            finally:
                sys.stdout.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return CLOSED

    return command


def command_line(name: str, refused: int = 1) -> Callable[[Callable[P, int]], Callable[P, int]]:
    """The same, which exits with `refused` for input that is wrong, or files that cannot be read or
    written, and a line on stderr that says so.
    """

    def command(main: Callable[P, int]) -> Callable[P, int]:
        @may_close
        @wraps(main)
        def refusing(*args: P.args, **kwargs: P.kwargs) -> int:
            try:
                return main(*args, **kwargs)
            except BrokenPipeError:
                raise
            except (ValueError, OSError) as error:
                print(f"{name}: {printable(str(error))}", file=sys.stderr)
                return refused
            except MemoryError as error:
                print(f"{name}: out of memory ({error}); ask for less", file=sys.stderr)
                return refused

        return refusing

    return command


def _complete() -> None:
    """Open what is closed of the three standard files, or the next files opened would take their
    place; and forget a width of 0, which no table fits.
    """
    while (opened := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(opened, True)
    os.close(opened)
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115
    if os.environ.get("COLUMNS", "").strip("0") == "":
        os.environ.pop("COLUMNS", None)
