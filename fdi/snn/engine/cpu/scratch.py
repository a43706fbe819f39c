"""Arrays that kernels write to, from a table of names and shapes."""

from __future__ import annotations

import math

import numpy as np
import torch

_INTEGERS = {
    "spikes": np.int32,
    "arrived": np.int32,
    "pooled": np.int32,
    "stamps": np.int32,
    "starts": np.int64,
}
_INTEGERS |= {"spike_indptr": np.int64, "indptr": np.int64, "pooled_indptr": np.int64}
"""All others have the precision of the weights."""


def allocate(shapes: dict[str, tuple[int, ...]], dtype: np.dtype) -> dict[str, np.ndarray]:
    """Zeros that no memory is spent on before they are written to."""
    return {
        name: np.zeros(n, _INTEGERS[name]) if name in _INTEGERS else zeros(*n, dtype=dtype)
        for name, n in shapes.items()
    }


def size(shapes: dict[str, tuple[int, ...]], dtype: np.dtype) -> int:
    """Bytes of what `allocate` makes, with every list full."""
    return sum(
        math.prod(n) * np.dtype(_INTEGERS.get(name, dtype)).itemsize for name, n in shapes.items()
    )


def zeros(*shape: int, dtype: np.dtype) -> np.ndarray:
    """Zeros that start at a multiple of 64 bytes, as vectors like it (torch aligns its memory,
    numpy does not).
    """
    return torch.zeros(shape, dtype=getattr(torch, dtype.name)).numpy()
