"""How a run stops: Ctrl-C and SIGTERM between two batches, never within one or within a file."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

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
