"""What the engine keeps between calls for one network: its layout, scratch memory, and the gradients of the chunks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from queue import Empty, SimpleQueue

import numpy as np

from fdi.snn.engine.cpu.conv_chunk import ConvWork
from fdi.snn.engine.cpu.program import program
from fdi.snn.engine.cpu.work import Work, zeros
from fdi.snn.network import Network


class Memory:
    """Memory that was touched before is faster than fresh memory, so it is handed out again."""

    def __init__(self, network: Network) -> None:
        self.program = program(network)
        self.layout = self.program.lay_out(network)
        self._free: dict[tuple[int, np.dtype], SimpleQueue[Work | ConvWork]] = {}
        self._gradients: dict[tuple[int, np.dtype], np.ndarray] = {}

    @contextmanager
    def work(self, steps: int, dtype: np.dtype) -> Iterator[Work | ConvWork]:
        """Scratch memory that nobody else uses meanwhile."""
        free = self._free.setdefault((steps, dtype), SimpleQueue())
        try:
            work = free.get_nowait()
        except Empty:
            work = self.program.allocate(self.layout.plan, steps, dtype)
        try:
            yield work
        finally:
            free.put(work)

    def gradients(self, chunks: int, dtype: np.dtype) -> np.ndarray:
        """[chunks, size of the tables], not cleared."""
        if (chunks, dtype) not in self._gradients:
            self._gradients = {(chunks, dtype): zeros(chunks, self.layout.table_size, dtype=dtype)}
        return self._gradients[chunks, dtype]
