"""One batch on its way through the kernels, in chunks that threads take one by one or share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fdi.engine.cpu.chunk import Results, add_gradients, run_chunk
from fdi.engine.cpu.dense.views import Arriving, Gradients
from fdi.engine.cpu.memory import Memory
from fdi.engine.cpu.scratch import Work
from fdi.engine.cpu.sums import Sum, Team


@dataclass
class Batch:
    """What a batch brings along, and where its results go; `chunk`: samples of a chunk; `steps` of
    a trial, in windows of `span`, kept for gradients if it is `gradual`; `train`: whether the
    gradients of the chunks are added to `sums`.
    """

    memory: Memory
    parameters: Any
    arriving: Arriving
    labels: np.ndarray
    loss: Any
    results: Results
    d_current: np.ndarray
    chunk: int
    steps: int
    span: int
    gradual: bool
    train: bool
    sums: Sum = field(init=False)

    def __post_init__(self) -> None:
        self.sums = Sum(self.chunks, self.memory.tables(self.results.task.dtype))

    @property
    def chunks(self) -> int:
        return -(-len(self.labels) // self.chunk)

    def team(self, threads: int) -> int:
        """How many of the `threads` share a chunk; 1: each takes whole chunks."""
        program = self.memory.program
        if not self.train or self.span != self.steps or program.maps:
            return 1
        return max(1, min(threads // self.chunks, -(-self.chunk // program.block)))

    def alone(self, indices: Iterator[int]) -> None:
        """The chunks of these numbers, one after the other."""
        with self._work() as work:
            for i in indices:
                table = self.sums.table() if self.train else self.parameters.tables[:0]
                last = (i + 1) * self.chunk
                self._run(i * self.chunk, last, work, Gradients(table, self.d_current))
                if self.train:
                    self.sums.add(i, table)

    def together(self, i: int, member: int, team: Team) -> None:
        """The part of a member of `team` in chunk `i`."""
        block, last = self.memory.program.block, min((i + 1) * self.chunk, len(self.labels))
        with self._work() as own, team:
            team.works[member] = own
            for start in range(i * self.chunk, last, team.size * block):
                blocks = range(start, min(start + team.size * block, last), block)
                for first in blocks[member : member + 1]:
                    none = Gradients(team.table, self.d_current, 0, 0)
                    self._run(first, min(first + block, last), own, none)
                team.meet()
                mine = Gradients(team.table, self.d_current, member, member + 1, team.size)
                for k, first in enumerate(blocks):
                    n, work = min(block, last - first), team.works[k]
                    add_gradients(n, self.parameters, self.arriving, self.loss, work, mine)
                team.meet()
        if member == 0:
            self.sums.add(i, team.table)

    def _work(self) -> AbstractContextManager[Work]:
        dtype = self.results.task.dtype
        return self.memory.work(self.steps, self.span, self.gradual, dtype)

    def _run(self, first: int, last: int, work: Work, gradients: Gradients) -> None:
        maps = self.memory.program.maps
        run_chunk(
            first, min(last, len(self.labels)), self.parameters, maps and maps.plan, self.arriving,
            self.labels, self.loss, work, self.results, gradients,
        )  # fmt: skip
