"""Which GPUs this process sees, asked of the driver itself; only the standard library."""

from __future__ import annotations

import ctypes


def gpus() -> int:
    """How many CUDA devices are visible here (CUDA_VISIBLE_DEVICES counts); 0 without a driver."""
    count = ctypes.c_int()
    for name in ("libcuda.so.1", "nvcuda.dll"):
        try:
            driver = ctypes.CDLL(name)
        except OSError:
            continue
        if driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0:
            return count.value
    return 0
