"""Memory of the commands that read tens of thousands of runs."""

from __future__ import annotations

import ctypes
import os
from contextlib import suppress

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # of mallopt(3)
LARGE = 2**17  # bytes


def give_back() -> None:
    """What this process frees goes back to the system at once, where the C library is glibc: a
    large table leaves gaps that nothing else fills. PyArrow, which pandas may use, has a pool of
    its own.
    """
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    with suppress(OSError, AttributeError, TypeError):
        option = ctypes.CDLL(None).mallopt
        option(TRIM_THRESHOLD, LARGE)
        option(MMAP_THRESHOLD, LARGE)
