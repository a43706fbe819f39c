"""Scratch memory of one thread, from a table of names and shapes."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch

_LISTS = ("spikes", "arrived", "map_spikes", "pooled")
_STARTS = (
    "starts", "begins", "spike_indptr", "indptr", "map_spike_indptr", "pooled_indptr",
    "sorted_number", "sorted",
)  # fmt: skip
_ALIGNED = 64  # bytes, as the vectors


class Work(NamedTuple):
    """Flat memory that kernels write to: `numbers` with the precision of the weights, `lists` of
    units int32, `starts` int64. `at[0]` says by name where each part begins, and how many `steps`
    a trial, a window (`span`) and `windows` there are, and samples in a `block`.
    """

    numbers: np.ndarray
    lists: np.ndarray
    starts: np.ndarray
    at: np.ndarray


def allocate(shapes: dict[str, tuple[int, ...]], dtype: np.dtype, **extents: int) -> Work:
    """Zeros that no memory is spent on before they are written to."""
    sizes, places = {"numbers": 0, "lists": 0, "starts": 0}, dict(extents)
    for name, shape in shapes.items():
        store = _store(name)
        places[name] = sizes[store]
        sizes[store] += -(-math.prod(shape) // _ALIGNED) * _ALIGNED
    at = np.array([tuple(places.values())], [(name, np.int64) for name in places])
    numbers = zeros(sizes["numbers"], dtype=dtype)
    return Work(
        numbers, np.zeros(sizes["lists"], np.int32), np.zeros(sizes["starts"], np.int64), at
    )


def size(shapes: dict[str, tuple[int, ...]], dtype: np.dtype) -> int:
    """Bytes of what `allocate` makes, with every list full."""
    itemsize = {"numbers": dtype.itemsize, "lists": 4, "starts": 8}
    return sum(math.prod(shape) * itemsize[_store(name)] for name, shape in shapes.items())


def zeros(*shape: int, dtype: np.dtype) -> np.ndarray:
    """Zeros that start at a multiple of 64 bytes, as vectors like it (torch aligns its memory,
    numpy does not).
    """
    return torch.zeros(shape, dtype=getattr(torch, dtype.name)).numpy()


def _store(name: str) -> str:
    return "lists" if name in _LISTS else "starts" if name in _STARTS else "numbers"
