"""From the memory of the computer to the device of a network."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

MOST = 2**28


def send(array: np.ndarray, device: torch.device) -> Tensor:
    """`array` as a tensor on `device`; for a GPU from pinned memory, without waiting for it, unless
    it is more than MOST bytes.
    """
    x = torch.from_numpy(array)
    pinned = device.type == "cuda" and x.nbytes <= MOST
    return (x.pin_memory() if pinned else x).to(device, non_blocking=True)
