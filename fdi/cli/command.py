"""How console commands begin and end, and their common arguments."""

from __future__ import annotations

import atexit
import gc
import os
import sys
from argparse import ArgumentParser
from collections.abc import Callable
from functools import wraps
from io import TextIOWrapper
from pathlib import Path
from typing import ParamSpec, TypeVar

from fdi.track.files import printable


def add_results(parser: ArgumentParser, holds: str = "runs/") -> None:
    """--results: the folder with `holds` in it."""
    parser.add_argument(
        "--results",
        type=Path,
        default=Path("results"),
        help=f"folder with {holds} in it (default: results)",
    )


P = ParamSpec("P")
T = TypeVar("T")

CLOSED = 1  # what rich exits with there


def may_close(main: Callable[P, T]) -> Callable[P, T | int]:
    """A console command that ends without a word once nobody reads its stdout, and spells out what
    a terminal of ASCII lacks.
    """

    @wraps(main)
    def command(*args: P.args, **kwargs: P.kwargs) -> T | int:
        atexit.register(_leave_garbage)
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")
        try:
            try:
                return main(*args, **kwargs)
            finally:
                sys.stdout.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return CLOSED

    return command


def _leave_garbage() -> None:
    """Python looks for it for 0.6 s as a run ends; Triton reports what is left as a leak."""
    if "triton" not in sys.modules:
        gc.freeze()


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
            except KeyboardInterrupt:
                from fdi.track.process import INTERRUPTED  # most commands start without it

                print(f"{name}: interrupted", file=sys.stderr)
                return INTERRUPTED
            except (ValueError, OSError) as error:
                print(f"{name}: {printable(str(error))}", file=sys.stderr)
                return refused
            except MemoryError as error:
                print(f"{name}: out of memory ({error}); ask for less", file=sys.stderr)
                return refused

        return refusing

    return command
