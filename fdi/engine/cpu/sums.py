"""The sum of the gradients of all chunks, in an order that does not depend on the threads."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from queue import Empty, SimpleQueue

import numpy as np

from fdi.engine.cpu.scratch import Work, zeros


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
