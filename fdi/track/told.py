"""What is left out and why, a line each, so that one bad item takes no command down."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from fdi.config import Mistake
from fdi.track.files import printable

log = logging.getLogger("fdi")


@cache
def tell(line: str) -> None:
    """Say, once, what is left out and why: on stderr, unless the program logs elsewhere."""
    log.warning("%s", printable(" ".join(line.split())))


@contextmanager
def spared(item: str, but: type[BaseException] | tuple[()] = ()) -> Iterator[None]:
    """The block is left where it raises, and a line says what of `item`; `but`: what is none of its
    faults.
    """
    try:
        yield
    except but:
        raise
    except (Exception, SystemExit) as error:
        tell(f"{item} is left out: {_reason(error)}")


def _reason(error: BaseException) -> str:
    if isinstance(error, Mistake):
        return str(error)
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {error} ({place.filename}, line {place.lineno})"
