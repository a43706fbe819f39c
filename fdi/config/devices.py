"""Which GPUs this process sees, asked of their driver itself; only the standard library."""

from __future__ import annotations

import ctypes

DRIVERS = (
    ("libcuda.so.1", "cuInit", "cuDeviceGetCount"),
    ("nvcuda.dll", "cuInit", "cuDeviceGetCount"),
    ("libamdhip64.so", "hipInit", "hipGetDeviceCount"),
)


def gpus() -> int:
    """How many devices are visible here that PyTorch calls cuda, of NVIDIA (CUDA_VISIBLE_DEVICES
    counts) or of AMD (HIP_VISIBLE_DEVICES); 0 without a driver.
    """
    count = ctypes.c_int()
    for name, start, ask in DRIVERS:
        try:
            driver = ctypes.CDLL(name)
        except OSError:
            continue
        begun = getattr(driver, start)(0) == 0
        if begun and getattr(driver, ask)(ctypes.byref(count)) == 0 and count.value:
            return count.value
    return 0
