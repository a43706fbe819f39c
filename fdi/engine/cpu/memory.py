"""Scratch memory of the threads, and the gradients of the chunks, whose sum has an order that does
not depend on the threads.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple

import numpy as np
import torch

_LISTS = (
    "spikes", "arrived", "map_spikes", "pooled", "pulled", "sorted_rows", "sorted_events",
    "unit_ends",
)  # fmt: skip
_STARTS = (
    "starts", "begins", "spike_indptr", "indptr", "map_spike_indptr", "pooled_indptr",
    "sorted_number", "sorted", "fired", "pull_indptr", "map_pulled",
)  # fmt: skip
_ALIGNED = 64  # bytes, as the vectors
KEPT = (
    "spike_indptr", "spikes", "indptr", "arrived", "readout", "peak", "slope", "pull",
    "pull_indptr", "pulled",
    "map_spike_indptr", "map_spikes", "pooled_indptr", "pooled", "received", "spread", "back",
)  # fmt: skip
"""What a sample leaves from the turn of one layer to that of the next, see batch.Turns."""
PASSED = ("spike_indptr", "spikes", "indptr", "arrived", "pull_indptr", "pulled")
"""What dense layers leave in the forward pass for the backward pass, of a block of samples, where
layers take no turns: potentials are computed again in less time than they are read.
"""


class Work(NamedTuple):
    """Flat memory that kernels write to: `numbers` with the precision of the weights, `lists` of
    units int32, `starts` int64. `at[0]` says by name where each part begins, and how many `steps`
    a trial, a window (`span`) and `windows` there are, and samples in a `block`; where layers take
    turns, `at[s]` says it for the s-th sample of a chunk, and where the backward pass comes later
    and what it reads is `kept`, for the s-th block.
    """

    numbers: np.ndarray
    lists: np.ndarray
    starts: np.ndarray
    at: np.ndarray


def allocate(
    shapes: dict[str, tuple[int, ...]],
    dtype: np.dtype,
    samples: int = 1,
    kept: tuple[str, ...] = KEPT,
    **extents: int,
) -> Work:
    """Zeros that no memory is spent on before they are written to; each of the `samples`, or blocks
    of them, has its own of what is `kept`, and `at` a record.
    """
    sizes, places = {"numbers": 0, "lists": 0, "starts": 0}, dict[str, Any](extents)
    for name, shape in shapes.items():
        store, room = _store(name), -(-math.prod(shape) // _ALIGNED) * _ALIGNED
        copies = samples if name in kept else 1
        places[name] = sizes[store] + room * np.arange(samples) * (copies > 1)
        sizes[store] += room * copies
    at = np.zeros(samples, [(name, np.int64) for name in places])
    for name, place in places.items():
        at[name] = place
    numbers = zeros(sizes["numbers"], dtype=dtype)
    return Work(
        numbers, np.zeros(sizes["lists"], np.int32), np.zeros(sizes["starts"], np.int64), at
    )


def size(
    shapes: dict[str, tuple[int, ...]],
    dtype: np.dtype,
    samples: int = 1,
    kept: tuple[str, ...] = KEPT,
) -> int:
    """Bytes of what `allocate` makes, with every list full."""
    itemsize = {"numbers": dtype.itemsize, "lists": 4, "starts": 8}
    return sum(
        math.prod(shape) * itemsize[_store(name)] * (samples if name in kept else 1)
        for name, shape in shapes.items()
    )


def zeros(*shape: int, dtype: np.dtype) -> np.ndarray:
    """Zeros that start at a multiple of 64 bytes, as vectors like it (torch aligns its memory,
    numpy does not).
    """
    return torch.zeros(shape, dtype=getattr(torch, dtype.name)).numpy()


def _store(name: str) -> str:
    if name in _LISTS:
        return "lists"
    return "starts" if name in _STARTS else "numbers"


LEVELS = 6
"""Tables that the sum of up to 32 chunks takes, see Sum."""


class Tables:
    """Flat tables that are handed out again, each with room for further LEVELS - 1 behind it."""

    def __init__(self, size: int, dtype: np.dtype) -> None:
        self._size, self._dtype = size, dtype
        self.free: SimpleQueue[np.ndarray] = SimpleQueue()

    def take(self) -> np.ndarray:
        """[LEVELS, size], of which the first is zero."""
        try:
            table = self.free.get_nowait()
        except Empty:
            return zeros(LEVELS, self._size, dtype=self._dtype)
        table[0] = 0
        return table


class Gradient(NamedTuple):
    """That of a `parameter`, and its `name` in the network."""

    name: str
    parameter: torch.Tensor
    value: torch.Tensor


class Team:
    """Threads that share a chunk. Each computes a block; when all have, each adds some columns of
    the gradients of these blocks to the `table`, in the order in which one thread would.
    `works`: scratch memory of each member.
    """

    def __init__(self, size: int, table: np.ndarray) -> None:
        self.size, self.table = size, table
        self.works: dict[int, Work] = {}
        self._barrier = threading.Barrier(size)

    def meet(self) -> None:
        """Wait for all members."""
        self._barrier.wait()

    def __enter__(self) -> Team:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> bool:
        if kind:  # the others must not wait for this one, which says why
            self._barrier.abort()
        return kind is threading.BrokenBarrierError


class Sum:
    """((0 + 1) + (2 + 3)) + ... of the tables of `count` chunks, each pair added by the thread that
    completes it, so that few tables exist at a time.
    """

    def __init__(self, count: int, tables: Tables) -> None:
        self.count, self._tables = count, tables
        self._waiting: dict[tuple[int, int], np.ndarray] = {}
        self._lock = threading.Lock()

    def table(self) -> np.ndarray:
        return self._tables.take()

    def add(self, i: int, table: np.ndarray) -> None:
        """Chunk `i` is done."""
        left = self.count
        while left > 1:
            if i ^ 1 < left:
                with self._lock:
                    other = self._waiting.pop((left, i ^ 1), None)
                    if other is None:
                        self._waiting[left, i] = table
                        return
                # Whoever is done first: the sum has the same order, and the same bits.
                first, second = (other, table) if i % 2 else (table, other)
                np.add(first[0], second[0], out=first[0])
                table = first
                self._tables.free.put(second)
            i, left = i // 2, (left + 1) // 2
        self._waiting[1, 0] = table

    @contextmanager
    def total(self) -> Iterator[np.ndarray]:
        table = self._waiting.pop((1, 0))
        yield table[0]
        self._tables.free.put(table)
