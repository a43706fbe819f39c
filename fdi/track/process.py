"""A process that works on runs: no other one works on the same, here or on a machine that shares
the folder; and it ends with its parent.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from fdi.config import Error
from fdi.track.files import LOCK, printable

INTERRUPTED = 130  # exit code


def end_with(other: int) -> None:
    """End this process, as a kill would, at most a second after the process `other`, its parent."""

    def watch() -> None:
        while alive(other):
            time.sleep(1)
        os._exit(INTERRUPTED)

    threading.Thread(target=watch, name=f"end with {other}", daemon=True).start()


def alive(pid: int) -> bool:
    """Whether there is such a process on this machine; one that has ended and that nobody waits
    for is none.
    """
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    with suppress(OSError):  # of a system without /proc
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return True


@contextmanager
def repeating(action: Callable[[], object], name: str, every: float, rest: float) -> Iterator[None]:
    """Call `action` in a thread meanwhile, with pauses of `every` seconds, or of `rest` times what
    the last call took if that is longer.
    """
    stop = threading.Event()

    def work() -> None:
        took = 0.0
        while not stop.wait(max(every, rest * took)):
            before = time.perf_counter()
            action()
            took = time.perf_counter() - before

    thread = threading.Thread(target=work, name=name, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


PATIENCE = 0.5  # s, in which who only asks whether a run is held has let go again


class Busy(Error, RuntimeError):
    """Another process works on the run."""


@contextmanager
def lock(directory: Path, take_over: bool = False) -> Iterator[None]:
    """Hold `directory`, which is made if it is not there, by flock, which the system releases
    however a process ends, also on another machine. Raises Busy if another process holds it.

    On a file system without flock the file says who holds the run: what a process of another host
    holds is refused there, unless `take_over`.
    """
    file = _locked(directory, take_over)
    with file:
        file.truncate(0)
        file.write(f"process {os.getpid()} on {os.uname().nodename}")
        file.flush()
        try:
            yield
        finally:
            with suppress(OSError):
                file.truncate(0)


def holder(directory: Path) -> str | None:
    """Who works on the run, as text; None if nobody does."""
    with suppress(OSError), (directory / LOCK).open(errors="replace") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return _named(file) or "another process"
        except OSError:  # no flock here
            return _elsewhere(_named(file))
    return None


def _locked(directory: Path, take_over: bool) -> IO[str]:
    """The open lock of the folder, held by this process."""
    end = time.monotonic() + PATIENCE
    while True:
        directory.mkdir(parents=True, exist_ok=True)
        file = (directory / LOCK).open("a+", errors="replace")
        try:
            if _holds(directory, file, take_over) and _is_still(directory / LOCK, file):
                return file
        except BaseException:
            file.close()
            raise
        who = _named(file) or "another process"
        file.close()
        if time.monotonic() > end:
            raise Busy(f"{directory} is being run by {who}; wait for it")
        time.sleep(PATIENCE / 10)


def _holds(directory: Path, file: IO[str], take_over: bool) -> bool:
    """Whether this process holds the open lock."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except BlockingIOError:
        return False
    except OSError:  # no flock here
        other = _elsewhere(_named(file))
        if other and not other.endswith(f" on {os.uname().nodename}") and not take_over:
            raise Busy(
                f"{directory} is held by {other}, and this file system has no locks to ask; if "
                f"that process is dead, give take_over=true"
            ) from None
        return take_over or other is None


def _elsewhere(who: str) -> str | None:
    """Who holds a run by the text in its lock; None for nobody, and for a dead process of this
    host.
    """
    words = who.split()
    if len(words) != 4:
        return None
    _, pid, _, host = words
    if host == os.uname().nodename and not (pid.isdecimal() and alive(int(pid))):
        return None
    return who


def _named(file: IO[str]) -> str:
    file.seek(0)
    return printable(file.read(200).strip())


def _is_still(path: Path, file: IO[str]) -> bool:
    """Whether the open file is the one of that name: the folder may have been removed between
    opening and locking it, and two would hold a lock each.
    """
    try:
        return os.path.samestat(os.stat(path), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False
