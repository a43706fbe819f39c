"""A batch of a network with normalization: layer after layer, forward and back. All chunks of the
batch take their turn at a layer, by as many threads as there are; then their statistics meet, in
the order of the chunks, and the next layer begins.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING

import numpy as np

from fdi.engine.cpu.dense_forward import Gradients
from fdi.engine.cpu.memory import Work
from fdi.engine.cpu.norm import Normal
from fdi.engine.cpu.turns import backward_turn, forward_turn

if TYPE_CHECKING:
    from fdi.engine.cpu.batch import Batch


class Turns:
    """The way of a `batch` through the layers."""

    def __init__(self, batch: Batch) -> None:
        program, count = batch.memory.program, len(batch.labels)
        self.batch, self.places = batch, program.places
        self.firsts = np.arange(0, count, batch.chunk)
        self.samples = np.minimum(batch.chunk, count - self.firsts)
        self.steps = max(0, batch.steps - 2)
        for place in self.places:
            place.check(self.steps, count)
        sizes = [place.places * place.width for place in self.places]
        self.received_at = np.cumsum([0, *sizes[:-1]]) * batch.train
        self.normals = [
            place.normal(i, int(at), self.steps, len(self.firsts), batch.results.task.dtype)
            for i, (place, at) in enumerate(zip(self.places, self.received_at))
        ]
        self.works: list[Work] = []
        self.tables: list[np.ndarray] = []

    def rounds(self, threads: int) -> Iterator[list[tuple]]:
        """(function, *arguments) for each of at most `threads` threads, to be called at once; then
        the next such list.
        """
        batch, depth = self.batch, len(self.places)
        with ExitStack() as kept:
            self.works = [kept.enter_context(batch.work()) for _ in self.firsts]
            for layer in range(depth + 1):
                yield self._calls(self._forward, layer, threads)
                if layer < depth and self.steps:
                    place, normal = self.places[layer], self.normals[layer]
                    place.settle(normal, self.samples, self.steps, batch.train)
            if not batch.train:
                return
            self.tables = [batch.sums.table() for _ in self.firsts]
            for layer in range(depth - 1, -2, -1):
                yield self._calls(self._backward, layer, threads)
                if layer >= 0:
                    place, normal = self.places[layer], self.normals[layer]
                    place.differentiate(normal, len(batch.labels), self.steps)
        for i, table in enumerate(self.tables):
            batch.sums.add(i, table)

    def _calls(self, turn: Callable[[int, int], None], layer: int, threads: int) -> list[tuple]:
        chunks = iter(range(len(self.firsts)))

        def take() -> None:
            for i in chunks:
                turn(i, layer)

        return [(take,)] * min(threads, len(self.firsts))

    def _normal(self, layer: int) -> Normal:
        """Of a layer, or of another one where there is none such, which nobody looks at."""
        return self.normals[min(max(layer, 0), len(self.normals) - 1)]

    def _forward(self, i: int, layer: int) -> None:
        batch, maps, first = self.batch, self.batch.memory.program.maps, int(self.firsts[i])
        forward_turn(
            layer, len(self.places), i, first, first + int(self.samples[i]), batch.parameters,
            maps and maps.plan, batch.arriving, batch.labels, batch.loss, self._normal(layer - 1),
            self._normal(layer), self.works[i], batch.results,
        )  # fmt: skip

    def _backward(self, i: int, layer: int) -> None:
        batch, maps, first = self.batch, self.batch.memory.program.maps, int(self.firsts[i])
        backward_turn(
            layer, len(self.places), i, first, first + int(self.samples[i]), batch.parameters,
            maps and maps.plan, batch.arriving, batch.loss.mode, self._normal(layer + 1),
            self._normal(layer), self.received_at, self.works[i],
            Gradients(self.tables[i], batch.d_current),
        )  # fmt: skip
