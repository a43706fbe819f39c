"""What the engine keeps between calls for one network: its layout, scratch memory, and the
gradients of the chunks.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from typing import Literal

import numpy as np

from fdi.engine.cpu.program import Program
from fdi.engine.cpu.scratch import Work, allocate, size
from fdi.engine.cpu.sums import Tables
from fdi.snn.network import Network


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

    @contextmanager
    def work(self, steps: int, span: int, gradients: bool, dtype: np.dtype) -> Iterator[Work]:
        """Scratch memory that nobody else uses meanwhile, for trials of `steps` in windows of
        `span`, with or without a backward pass.
        """
        free = self._free.setdefault((steps, span, gradients, dtype), SimpleQueue())
        try:
            work = free.get_nowait()
        except Empty:
            shapes = self.program.shapes(steps, span, gradients)
            windows = -(-steps // span) if gradients else 1
            extents = dict(steps=steps, span=span, windows=windows, block=self.program.block)
            work = allocate(shapes, dtype, **extents)
        try:
            yield work
        finally:
            free.put(work)

    def tables(self, dtype: np.dtype) -> Tables:
        """Tables of gradients, each of the size of the network's."""
        if dtype not in self._tables:
            self._tables[dtype] = Tables(self.program.layout.table_size, dtype)
        return self._tables[dtype]
