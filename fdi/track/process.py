"""Processes of this machine: which are alive, one that ends with another, and what one does in a
thread meanwhile.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from fdi.track.interrupt import INTERRUPTED


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
