"""One process at a time works on a cell, on one machine or on several that share the folder; and
how a process stops: Ctrl-C and SIGTERM between two batches, never within one or within a file.
"""

from __future__ import annotations

import fcntl
import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, NamedTuple

from fdi.track.files import LOCK, make_directory, read


def alive(pid: int) -> bool:
    """Whether there is such a process; one that is dead and not yet collected is not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
        return stat.rpartition(")")[2].split()[0] not in ("Z", "X")
    except OSError:
        pass
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def end_with(other: int) -> None:
    """End this process, as a kill would, at most a second after the process `other`."""

    def watch() -> None:
        while alive(other):
            time.sleep(1)
        os._exit(INTERRUPTED)

    threading.Thread(target=watch, name=f"end with {other}", daemon=True).start()


@contextmanager
def repeated(
    action: Callable[[], object], name: str, every: float, rest: float = 0.0
) -> Iterator[None]:
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


INTERRUPTED = 130  # exit code


@contextmanager
def interruptible() -> Iterator[Callable[[], None]]:
    """Yields a function that raises KeyboardInterrupt if Ctrl-C was pressed since, or SIGTERM
    received where that stands for Ctrl-C; a second one does not wait for its call.

    Where Ctrl-C is ignored, or outside the main thread, nothing changes and the function does
    nothing.
    """
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    if threading.current_thread() is not threading.main_thread():
        before = {}
    elif before[signal.SIGTERM] is not signal.default_int_handler:  # a launcher's
        del before[signal.SIGTERM]
    before = {number: handler for number, handler in before.items() if callable(handler)}
    pressed = threading.Event()

    def remember(*_: object) -> None:
        pressed.set()
        restore()

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def check() -> None:
        if pressed.is_set():
            raise KeyboardInterrupt

    for number in before:
        signal.signal(number, remember)
    try:
        yield check
    finally:
        restore()


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
