"""What the engine keeps between calls for one network: its program, scratch memory of its threads,
and the gradients of the chunks, whose sum has an order that does not depend on the threads.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from typing import Any, Literal, NamedTuple

import numpy as np
import torch

from fdi.engine.cpu.program import Program
from fdi.snn.network import Network

_LISTS = ("spikes", "arrived", "map_spikes", "pooled")
_STARTS = (
    "starts", "begins", "spike_indptr", "indptr", "map_spike_indptr", "pooled_indptr",
    "sorted_number", "sorted",
)  # fmt: skip
_ALIGNED = 64  # bytes, as the vectors
KEPT = (
    "spike_indptr", "spikes", "indptr", "arrived", "readout", "peak", "slope", "pull",
    "map_spike_indptr", "map_spikes", "pooled_indptr", "pooled", "received", "spread", "back",
)  # fmt: skip
"""What a sample leaves from the turn of one layer to that of the next, see in_turn.py."""


class Work(NamedTuple):
    """Flat memory that kernels write to: `numbers` with the precision of the weights, `lists` of
    units int32, `starts` int64. `at[0]` says by name where each part begins, and how many `steps`
    a trial, a window (`span`) and `windows` there are, and samples in a `block`; where layers take
    turns, `at[s]` says it for the s-th sample of a chunk.
    """

    numbers: np.ndarray
    lists: np.ndarray
    starts: np.ndarray
    at: np.ndarray


def allocate(
    shapes: dict[str, tuple[int, ...]], dtype: np.dtype, samples: int = 1, **extents: int
) -> Work:
    """Zeros that no memory is spent on before they are written to; each of the `samples` has its
    own of what is KEPT, and `at` a record.
    """
    sizes, places = {"numbers": 0, "lists": 0, "starts": 0}, dict[str, Any](extents)
    for name, shape in shapes.items():
        store, room = _store(name), -(-math.prod(shape) // _ALIGNED) * _ALIGNED
        copies = samples if name in KEPT else 1
        places[name] = sizes[store] + room * np.arange(samples) * (copies > 1)
        sizes[store] += room * copies
    at = np.zeros(samples, [(name, np.int64) for name in places])
    for name, place in places.items():
        at[name] = place
    numbers = zeros(sizes["numbers"], dtype=dtype)
    return Work(
        numbers, np.zeros(sizes["lists"], np.int32), np.zeros(sizes["starts"], np.int64), at
    )


def size(shapes: dict[str, tuple[int, ...]], dtype: np.dtype, samples: int = 1) -> int:
    """Bytes of what `allocate` makes, with every list full."""
    itemsize = {"numbers": dtype.itemsize, "lists": 4, "starts": 8}
    return sum(
        math.prod(shape) * itemsize[_store(name)] * (samples if name in KEPT else 1)
        for name, shape in shapes.items()
    )


def zeros(*shape: int, dtype: np.dtype) -> np.ndarray:
    """Zeros that start at a multiple of 64 bytes, as vectors like it (torch aligns its memory,
    numpy does not).
    """
    return torch.zeros(shape, dtype=getattr(torch, dtype.name)).numpy()


def _store(name: str) -> str:
    return "lists" if name in _LISTS else "starts" if name in _STARTS else "numbers"


class Tables:
    """Flat tables that are handed out again."""

    def __init__(self, size: int, dtype: np.dtype) -> None:
        self._size, self._dtype = size, dtype
        self.free: SimpleQueue[np.ndarray] = SimpleQueue()

    def take(self) -> np.ndarray:
        """A table of zeros."""
        try:
            table = self.free.get_nowait()
        except Empty:
            return zeros(self._size, dtype=self._dtype)
        table[:] = 0
        return table


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
        self._count, self._tables = count, tables
        self._waiting: dict[tuple[int, int], np.ndarray] = {}
        self._lock = threading.Lock()

    def table(self) -> np.ndarray:
        return self._tables.take()

    def add(self, i: int, table: np.ndarray) -> None:
        """Chunk `i` is done."""
        left = self._count
        while left > 1:
            if i ^ 1 < left:
                with self._lock:
                    other = self._waiting.pop((left, i ^ 1), None)
                    if other is None:
                        self._waiting[left, i] = table
                        return
                # Whoever is done first: the sum has the same order, and the same bits.
                first, second = (other, table) if i % 2 else (table, other)
                table = np.add(first, second, out=first)
                self._tables.free.put(second)
            i, left = i // 2, (left + 1) // 2
        self._waiting[1, 0] = table

    @contextmanager
    def total(self) -> Iterator[np.ndarray]:
        table = self._waiting.pop((1, 0))
        yield table
        self._tables.free.put(table)


class Memory:
    """Memory that was touched before is faster than fresh memory, so it is handed out again."""

    def __init__(self, network: Network) -> None:
        self.program = Program(network)
        self._free: dict[tuple, SimpleQueue[Work]] = {}
        self._tables: dict[np.dtype, Tables] = {}

    def span(
        self,
        steps: int,
        dtype: np.dtype,
        threads: int,
        windows: int | Literal["auto"],
        memory: float,
    ) -> int:
        """Steps of a window of time; see CpuEngine. ValueError if no number of windows fits into
        `memory` GiB.
        """
        if windows != "auto":
            return -(-steps // windows)
        spans = sorted({-(-steps // n) for n in range(1, steps + 1)}, reverse=True)
        gib = {
            span: threads * size(self.program.shapes(steps, span, True), dtype) / 2**30
            for span in spans
        }
        span = next((span for span in spans if gib[span] <= memory), None)
        if span is None:
            raise ValueError(
                f"{steps} steps of this network need {min(gib.values()):.3g} GiB with {threads} "
                f"threads, more than engine.memory = "
                f"{memory:g} GiB; raise engine.memory, or lower threads"
            )
        return span

    def check(self, steps: int, dtype: np.dtype, batch: int, chunk: int, memory: float) -> None:
        """ValueError if a training step of a `batch` whose layers take turns does not fit into
        `memory` GiB.
        """
        chunks, shapes = -(-batch // chunk), self.program.shapes(steps, steps, True)
        gib = chunks * size(shapes, dtype, chunk) / 2**30
        if gib > memory:
            raise ValueError(
                f"a batch of {batch} samples of this network with normalization needs {gib:.3g} "
                f"GiB, more than engine.memory = {memory:g} GiB; raise engine.memory, or lower "
                f"trainer.batch_size"
            )

    @contextmanager
    def work(
        self, steps: int, span: int, gradients: bool, dtype: np.dtype, samples: int = 1
    ) -> Iterator[Work]:
        """Scratch memory that nobody else uses meanwhile, for trials of `steps` in windows of
        `span`, with or without a backward pass, and for all `samples` of a chunk at once if layers
        take turns.
        """
        samples = samples if self.program.places else 1
        free = self._free.setdefault((steps, span, gradients, dtype, samples), SimpleQueue())
        try:
            work = free.get_nowait()
        except Empty:
            shapes = self.program.shapes(steps, span, gradients)
            windows = -(-steps // span) if gradients else 1
            block = self.program.in_step(steps, span, gradients)
            extents = dict(steps=steps, span=span, windows=windows, block=block)
            work = allocate(shapes, dtype, samples, **extents)
        try:
            yield work
        finally:
            free.put(work)

    def tables(self, dtype: np.dtype) -> Tables:
        """Tables of gradients, each of the size of the network's."""
        if dtype not in self._tables:
            self._tables[dtype] = Tables(self.program.layout.table_size, dtype)
        return self._tables[dtype]
