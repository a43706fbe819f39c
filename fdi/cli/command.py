"""How console commands begin and end, and their common arguments."""

from __future__ import annotations

import atexit
import gc
import os
import sys
from argparse import ArgumentParser
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import NoReturn, ParamSpec

from fdi.config import Error
from fdi.track.files import printable


class Parser(ArgumentParser):
    """Says in one line what is wrong with its words."""

    def error(self, message: str) -> NoReturn:
        raise ValueError(f"{message}; see {self.prog} --help")


def add_results(parser: ArgumentParser, holds: str = "runs/") -> None:
    """--results: the folder with `holds` in it."""
    parser.add_argument(
        "--results",
        type=Path,
        default=Path("results"),
        help=f"folder with {holds} in it (default: results)",
    )


P = ParamSpec("P")

FAILED, REFUSED = 1, 2  # exit codes of what went wrong, and of input that was


def complain(name: str, line: str, code: int) -> int:
    """Print one line on stderr; returns `code`."""
    print(f"{name}: {printable(' '.join(line.split()))}", file=sys.stderr)
    return code


def command_line(
    name: str, refused: int = FAILED, interrupted: str = "interrupted"
) -> Callable[[Callable[P, int]], Callable[P, int]]:
    """A console command. It exits with `refused` for input that is wrong, or files that cannot be
    read or written, and a line on stderr that says so; it ends without a word once nobody reads its
    stdout.
    """

    def decorate(main: Callable[P, int]) -> Callable[P, int]:
        @wraps(main)
        def command(*args: P.args, **kwargs: P.kwargs) -> int:
            atexit.register(_leave_garbage)
            try:
                try:
                    return main(*args, **kwargs)
                finally:
                    sys.stdout.flush()
            except BrokenPipeError:
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
                return FAILED  # as rich does there
            except KeyboardInterrupt:
                from fdi.track.process import INTERRUPTED  # most commands start without it

                return complain(name, interrupted, INTERRUPTED)
            except (Error, ValueError, OSError) as error:
                return complain(name, str(error), refused)
            except MemoryError as error:
                return complain(name, f"out of memory ({error}); ask for less", refused)

        return command

    return decorate


def _leave_garbage() -> None:
    """Python looks for it for 0.6 s as a run ends; Triton reports what is left as a leak."""
    if "triton" not in sys.modules:
        gc.freeze()
