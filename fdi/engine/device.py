"""What torch does on the device of a network: no product is rounded to TF32, no sum changes its
order, and data are sent without waiting.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor


def exact() -> None:
    """Full float32 products and convolutions, and deterministic algorithms, for this process."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS adds in one order
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = True, False
    torch.set_deterministic_debug_mode("error")  # imports no compiler
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined] # not in torch's own types


@contextmanager
def any_order() -> Iterator[None]:
    """For sums of small integers, which are exact in any order: a GPU need not sort for them."""
    before = torch.get_deterministic_debug_mode()
    torch.set_deterministic_debug_mode("default")
    try:
        yield
    finally:
        torch.set_deterministic_debug_mode(before)


MOST = 2**28


def send(array: np.ndarray, device: torch.device) -> Tensor:
    """`array` as a tensor on `device`; for a GPU from pinned memory, without waiting for it, unless
    it is more than MOST bytes.
    """
    x = torch.from_numpy(array)
    pinned = device.type == "cuda" and x.nbytes <= MOST
    return (x.pin_memory() if pinned else x).to(device, non_blocking=True)
