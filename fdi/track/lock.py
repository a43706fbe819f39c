"""One process at a time works on a cell, on one machine or on several that share the folder.

The holder has an flock on `.lock`, which the system releases however the process ends. Not every
shared file system carries an flock to other machines, so the holder also writes its name into the
file and touches it every BEAT seconds: a lock of another machine counts as held while it is younger
than STALE. Clocks of machines must agree within a minute.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

LOCK = ".lock"
BEAT, STALE = 20.0, 120.0  # s


class Busy(RuntimeError):
    """Another process works on the cell."""


class Holder(NamedTuple):
    """The process that works on a cell."""

    host: str
    pid: int


@contextmanager
def lock(directory: Path) -> Iterator[None]:
    """Hold `directory`. Raises Busy if another process does."""
    directory.mkdir(parents=True, exist_ok=True)
    me = Holder(os.uname().nodename, os.getpid())
    with (directory / LOCK).open("a+") as file:
        other = holder(directory)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            taken = other is not None and other.host != me.host
        except BlockingIOError:
            taken = True
        except OSError:  # a file system without flock
            taken = other is not None
        if taken:
            who = f"process {other.pid} on {other.host}" if other else "another process"
            raise Busy(f"{directory} is being run by {who}; wait for it")
        file.truncate(0)
        file.write(f"{me.host} {me.pid}\n")
        file.flush()
        with _beating(directory / LOCK):
            try:
                yield
            finally:
                file.truncate(0)


def holder(directory: Path) -> Holder | None:
    """Who works on the cell, as far as one can see from this machine; None if nobody does."""
    path = directory / LOCK
    try:
        words = path.read_text().split()
        fresh = time.time() - path.stat().st_mtime < STALE
    except FileNotFoundError:
        return None
    if len(words) != 2 or not fresh:
        return None
    found = Holder(words[0], int(words[1]))
    return found if found.host != os.uname().nodename or _alive(found.pid) else None


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


@contextmanager
def _beating(path: Path) -> Iterator[None]:
    """Touch `path` every BEAT seconds, in a thread."""
    stop = threading.Event()

    def beat() -> None:
        while not stop.wait(BEAT):
            os.utime(path)

    thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
