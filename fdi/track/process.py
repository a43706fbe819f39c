"""A process that works on runs: Ctrl-C and SIGTERM stop it between two batches, never within one or
within a file; it ends with its parent; and it may be a job of SLURM.
"""

from __future__ import annotations

import getpass
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache

INTERRUPTED = 130  # exit code


def end_with(other: int) -> None:
    """End this process, as a kill would, at most a second after the process `other`, its parent."""

    def watch() -> None:
        while alive(other):
            time.sleep(1)
        os._exit(INTERRUPTED)

    threading.Thread(target=watch, name=f"end with {other}", daemon=True).start()


def alive(pid: int) -> bool:
    """Whether there is such a process on this machine."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


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


LIMIT = 10  # s that squeue may take


def job() -> str | None:
    """The id of the job of SLURM that this process is, as squeue prints it; None outside."""
    array, task = (os.environ.get(f"SLURM_ARRAY_{part}_ID") for part in ("JOB", "TASK"))
    return f"{array}_{task}" if array and task else os.environ.get("SLURM_JOB_ID")


def waits(job: object) -> bool:
    """Whether the job is still in the queue, as far as one can see from this machine."""
    jobs = _jobs()
    return isinstance(job, str) and (jobs is None or job in jobs)


@cache
def _jobs() -> frozenset[str] | None:
    """The user's jobs; None where squeue is not there or does not answer."""
    words = ["squeue", "--noheader", "--array", "--format=%i", f"--user={getpass.getuser()}"]
    try:
        answer = subprocess.run(words, capture_output=True, text=True, check=True, timeout=LIMIT)
    except (OSError, subprocess.SubprocessError, KeyError):  # KeyError: a user without a name
        return None
    return frozenset(answer.stdout.split())
