"""From the memory of the computer to the device of a network."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def send(array: np.ndarray, device: torch.device) -> Tensor:
    """`array` as a tensor on `device`; for a GPU from pinned memory, without waiting for it."""
    x = torch.from_numpy(array)
    return (x.pin_memory() if device.type == "cuda" else x).to(device, non_blocking=True)
