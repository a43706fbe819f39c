"""How console commands begin and end: their common arguments, without a stdout or a width, as some
starters of processes leave them, and what becomes of memory that they free.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import os
import sys
from argparse import ArgumentParser
from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from importlib import import_module
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


def _freed(kept: int, mapped: int) -> None:
    """What glibc does with freed memory: it keeps so many bytes at the end of the heap, and gives
    blocks of more than `mapped` bytes back at once.
    """
    trim_threshold, mmap_threshold = -1, -3  # of mallopt(3)
    with suppress(OSError, AttributeError, TypeError):  # another C library
        option = ctypes.CDLL(None).mallopt
        option(trim_threshold, kept)
        option(mmap_threshold, mapped)


def take_again() -> None:
    """What this process frees it takes again soon, as tensors of each time step; new memory costs
    several times as much as what is done with it.
    """
    _freed(2**27, 2**25)


def give_back() -> None:
    """What this process frees goes back to the system at once, where the C library is glibc: a
    large table leaves gaps that nothing else fills. And pandas, imported here, does without
    PyArrow, which takes 35 MB to import and keeps a copy of each text.
    """
    _freed(2**17, 2**17)
    if not {"pandas", "pyarrow"} & set(sys.modules):
        sys.modules["pyarrow"] = None  # type: ignore[assignment]  # as if not installed
        import_module("pandas")
        del sys.modules["pyarrow"]  # who asks for it by name, as to_parquet does, gets it


P = ParamSpec("P")
T = TypeVar("T")

CLOSED = 1  # what rich exits with there


def may_close(main: Callable[P, T]) -> Callable[P, T | int]:
    """A console command that ends without a word once nobody reads its stdout."""

    @wraps(main)
    def command(*args: P.args, **kwargs: P.kwargs) -> T | int:
        atexit.register(_leave_garbage)
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


def _leave_garbage() -> None:
    """As Python ends, it looks for garbage among all that libraries hold: 0.6 s of a run for
    nothing, unless one reports what is left as a leak, as Triton does.
    """
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


def _complete() -> None:
    """Open what is closed of the three standard files, or the next files opened would take their
    place; spell out what a terminal of ASCII lacks; and forget a width of 0, which no table fits.
    """
    while (opened := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(opened, True)
    os.close(opened)
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if not isinstance(stream, TextIOWrapper):
            continue
        narrow = stream.errors == "surrogateescape" and not stream.encoding.startswith("utf")
        if stream.errors == "strict" or narrow:
            stream.reconfigure(errors="backslashreplace")
    if os.environ.get("COLUMNS", "").strip("0") == "":
        os.environ.pop("COLUMNS", None)
