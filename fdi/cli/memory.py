"""Memory of the commands that read tens of thousands of runs."""

from __future__ import annotations

import ctypes
import sys
from contextlib import suppress
from importlib import import_module

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # of mallopt(3)
LARGE = 2**17  # bytes


def give_back() -> None:
    """What this process frees goes back to the system at once, where the C library is glibc: a
    large table leaves gaps that nothing else fills. And pandas, imported here, does without
    PyArrow, which takes 35 MB to import and keeps a copy of each text.
    """
    with suppress(OSError, AttributeError, TypeError):
        option = ctypes.CDLL(None).mallopt
        option(TRIM_THRESHOLD, LARGE)
        option(MMAP_THRESHOLD, LARGE)
    if not {"pandas", "pyarrow"} & set(sys.modules):
        sys.modules["pyarrow"] = None  # type: ignore[assignment]  # as if not installed
        import_module("pandas")
        del sys.modules["pyarrow"]  # who asks for it by name, as to_parquet does, gets it
