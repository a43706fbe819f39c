"""One process at a time works on a cell, on one machine or on several that share the folder.

The holder has an flock on `.lock`, which the system releases however the process ends. Not every
shared file system carries an flock to other machines, so the holder also writes its name into the
file and touches it every BEAT seconds: a lock of another machine counts as held while it is younger
than STALE, by the clock that stamps files here. Whoever wants a lock whose time lies in the future
sets it to now: a holder that is alive touches it again, one that is dead is found out STALE seconds
later.
"""

from __future__ import annotations

import fcntl
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, NamedTuple

from fdi.track.files import make_directory, read
from fdi.track.layout import LOCK
from fdi.track.process import alive, repeated

BEAT, STALE = 20.0, 120.0  # s
_HOLDER = re.compile(r"([\w.-]+) ([1-9][0-9]{0,8})\n?")


class Busy(RuntimeError):
    """Another process works on the cell."""


class Holder(NamedTuple):
    """The process that works on a cell."""

    host: str
    pid: int


@contextmanager
def lock(directory: Path) -> Iterator[None]:
    """Hold `directory`, which is made if it is not there. Raises Busy if another process does."""
    directory.mkdir(parents=True, exist_ok=True)
    me = Holder(os.uname().nodename, os.getpid())
    with (directory / LOCK).open("a+") as file:
        other = _other(directory, file)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            taken = other is not None and other.host != me.host
        except BlockingIOError:
            taken = True
        except OSError:  # a file system without flock
            taken = other is not None
        if taken:
            raise Busy(f"{directory} is being run by {_who(other, me)}")
        make_directory(directory)
        file.truncate(0)
        file.write(f"{me.host} {me.pid}\n")
        file.flush()
        with _beating(file.fileno()):
            try:
                yield
            finally:
                file.truncate(0)


def holder(directory: Path) -> Holder | None:
    """Who works on the cell, as far as one can see from this machine; None if nobody does."""
    path = directory / LOCK
    owner = _read(path)
    if owner is None or owner.host == os.uname().nodename:
        return owner
    try:
        return owner if abs(time.time() - path.stat().st_mtime) < STALE else None
    except OSError:
        return None


def _other(directory: Path, file: IO[str]) -> Holder | None:
    """As `holder`, by the clock of the file system; a time in the future becomes now."""
    owner = _read(directory / LOCK)
    if owner is None or owner.host == os.uname().nodename:
        return owner
    with TemporaryFile(dir=directory) as touched:
        age = os.fstat(touched.fileno()).st_mtime - os.fstat(file.fileno()).st_mtime
    if age < 0:
        os.utime(file.fileno())
    return owner if age < STALE else None


def _read(path: Path) -> Holder | None:
    """The holder that a lock names, unless it was a process of this machine and is gone."""
    try:
        words = _HOLDER.fullmatch(read(path))
    except (OSError, ValueError):
        return None
    owner = Holder(words[1], int(words[2])) if words else None
    if owner is not None and owner.host == os.uname().nodename and not alive(owner.pid):
        return None
    return owner


def _who(other: Holder | None, me: Holder) -> str:
    if other is None:
        return "another process; wait for it"
    known = f"process {other.pid} on {other.host}; wait for it"
    if other.host == me.host:
        return known
    return f"{known}, or {STALE:.0f} s if that machine is dead"


@contextmanager
def _beating(descriptor: int) -> Iterator[None]:
    """Touch the open file every BEAT seconds, in a thread."""

    def beat() -> None:
        with suppress(OSError):  # deleted, or its server is away for a while
            os.utime(descriptor)

    with repeated(beat, "heartbeat", BEAT):
        yield
