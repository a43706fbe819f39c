"""One batch on its way through the kernels, in chunks that threads take one by one or share."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from fdi.data.inputs import Input
from fdi.engine.checks import check_input, check_labels
from fdi.engine.cpu.chunk import SampleResults, add_gradients, run_chunks
from fdi.engine.cpu.dense_forward import Arriving, Gradients
from fdi.engine.cpu.dense_layout import value_gradient
from fdi.engine.cpu.loss import STEPS
from fdi.engine.cpu.memory import LEVELS, Gradient, Sum, Team, Work
from fdi.engine.cpu.neurons import Layers, as_learned
from fdi.engine.cpu.norm import Normal
from fdi.engine.cpu.program import Memory, signal
from fdi.engine.cpu.traces import Traces
from fdi.engine.cpu.turns import backward_turn, forward_turn
from fdi.snn.network import Network
from fdi.snn.objective import Objective, Outcome

_DTYPES: dict[torch.dtype, np.dtype] = {
    torch.float32: np.dtype(np.float32),
    torch.float64: np.dtype(np.float64),
}

_EVALUATED = 128
"""Steps of a window where no gradient is asked for: their potentials stay in the cache."""


@dataclass
class Batch:
    """What a batch brings along, and where its results go; `chunk`: samples of a chunk; `steps` of
    a trial, in windows of `span`, kept for gradients if it is `gradual`; `train`: whether the
    gradients of the chunks are added to `sums`, and that of a dense current to `d_current`;
    `values`: input that is not sparse; `layers`: with the time constants of this step. If the
    backward pass comes later: `kept`, memory of each chunk, and `turns` of the layers.
    """

    memory: Memory
    parameters: Any
    arriving: Arriving
    labels: np.ndarray
    loss: Any
    results: SampleResults
    chunk: int
    steps: int
    span: int
    gradual: bool
    train: bool
    values: np.ndarray
    layers: Layers
    kept: tuple[Work, ...] = ()
    turns: Turns | None = None
    d_current: np.ndarray = field(init=False)
    sums: Sum = field(init=False)
    of_norms: list[Gradient] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        current = self.arriving.drive
        self.d_current = np.zeros(current.shape if self.train else (0, 0, 0), current.dtype)
        self.sums = self._sum(self.chunks)

    def _sum(self, count: int) -> Sum:
        return Sum(count, self.memory.tables(self.results.task.dtype))

    @property
    def chunks(self) -> int:
        return -(-len(self.labels) // self.chunk)

    def team(self, threads: int) -> int:
        """How many of the `threads` share a chunk; 1: each takes whole chunks."""
        program = self.memory.program
        if not self.train or self.span != self.steps or program.maps or self.kept:
            return 1
        return max(1, min(threads // self.chunks, -(-self.chunk // program.block)))

    def group(self, threads: int) -> int:
        """Chunks that one of so many threads takes at once: 1, 2, 4 .., so that what they add up to
        is one of the terms of `Sum`.
        """
        if self.memory.program.places:
            return 1
        share = self.chunks // (2 * threads) if threads > 1 else self.chunks
        return 1 << min(LEVELS - 1, max(1, share).bit_length() - 1)

    def rounds(self, threads: int) -> Iterator[list[tuple]]:
        """(function, *arguments) for each of at most `threads` threads, to be called at once; with
        normalization one list after another.
        """
        if self.memory.program.places:
            return (self.turns or Turns(self, self.train)).rounds(self, threads)
        return iter([self.calls(threads)])

    def calls(self, threads: int) -> list[tuple]:
        """Where each sample goes through the whole network by itself."""
        size = self.team(threads)
        if size > 1:
            teams = [Team(size, self.sums.table()) for _ in range(self.chunks)]
            return [(self.together, i, m, t) for i, t in enumerate(teams) for m in range(size)]
        group = self.group(threads)
        self.sums = self._sum(-(-self.chunks // group))
        indices = iter(range(self.sums.count))
        return [(self.alone, indices, group)] * min(threads, self.sums.count)

    def gradients(self) -> list[Gradient]:
        """Those of all that is learned, when all calls have returned."""
        with self.sums.total() as tables:
            found = self.memory.program.gradients(self.layers, tables, self.values, self.d_current)
            return [*found, *self.of_norms]

    def outputs(self) -> tuple[Tensor, ...]:
        """The readout [T, B, classes] or [B, classes], spike counts [B, hidden units], and what was
        recorded of spikes and potentials [T or 0, B, hidden units].
        """
        results = self.results
        readout = results.readout if self.loss.mode == STEPS else results.readout[0]
        return tuple(map(torch.from_numpy, (readout, results.counts, *results.traces)))

    def value_gradient(self) -> Tensor:
        """That of dense values of a network without maps, [B, 1 or T, input units]."""
        layout = self.memory.program.layout
        return value_gradient(layout, self.d_current, self.parameters.tables)

    def keep(self, threads: int, gib: float) -> None:
        """Memory for a backward pass that comes later, unless it is more than `gib` GiB, or all
        threads compute what it has again in less time.
        """
        memory, program = self.memory, self.memory.program
        if program.places or (self.team(threads) == 1 and not program.maps):
            group = self.group(threads)
            extents = self.steps, self.span, self.results.task.dtype, self.chunk, group
            self.kept = memory.keep(self, *extents, -(-self.chunks // group), gib)

    def forward(self) -> Batch:
        """The same without a backward pass, which `back` gives."""
        recorded = any(trace.size for trace in self.results.traces)
        if self.kept or self.turns or not (self.train or recorded):
            self.train = False
            return self
        chunk = min(self.chunk, self.memory.program.chunk(len(self.labels), math.inf))
        span = self.steps if recorded else min(self.steps, _EVALUATED)
        return replace(self, train=False, gradual=False, chunk=chunk, span=span)

    def back(self, *given: np.ndarray | None) -> Batch:
        """The same with the gradients of a loss that is computed elsewhere, of what `outputs` has;
        see Loss.
        """
        loss, network = self.loss, self.memory.program.network
        own = loss.d_readout, loss.d_counts, *loss.d_traces
        d_readout, d_counts, *traces = (b if a is None else a for a, b in zip(given, own))
        if loss.mode != STEPS and d_readout.size > 0:
            d_readout = (d_readout * self.results.readout[1])[None]
        given = Traces(*traces)
        loss = loss._replace(d_readout=d_readout, d_counts=d_counts, d_traces=given)
        results = _empty(network, len(self.labels), self.results.task.dtype)
        return replace(self, loss=loss, results=results, train=True)

    def outcome(self) -> Outcome:
        """What all samples add up to."""
        results, hidden = self.results, self.memory.program.network.hidden
        totals, counts, first = results.counts.sum(0), {}, 0
        for p in hidden:
            counts[p.name] = totals[first : first + p.units].reshape(p.shape)
            first += p.units
        return Outcome(
            samples=len(self.labels),
            task=float(results.task.sum(dtype=np.float64)),
            regularizer=float(results.regularizer.sum(dtype=np.float64)),
            sums=np.array([(results.prediction == self.labels).sum(), len(self.labels)], float),
            counts=counts,
        )

    def alone(self, indices: Iterator[int], group: int) -> None:
        """The groups of so many chunks of these numbers, one after the other."""
        some = group * self.chunk
        with self.work() as work:
            for i in indices:
                table = self.sums.table() if self.train else self.parameters.tables[:0]
                own = self.kept[i]._replace(numbers=work.numbers) if self.kept else work
                gradients = Gradients(table.reshape(-1), self.d_current)
                self._run(i * some, (i + 1) * some, own, gradients)
                if self.train:
                    self.sums.add(i, table)

    def together(self, i: int, member: int, team: Team) -> None:
        """The part of a member of `team` in chunk `i`."""
        block, last = self.memory.program.block, min((i + 1) * self.chunk, len(self.labels))
        with self.work() as own, team:
            team.works[member] = own
            for start in range(i * self.chunk, last, team.size * block):
                blocks = range(start, min(start + team.size * block, last), block)
                for first in blocks[member : member + 1]:
                    none = Gradients(team.table.reshape(-1), self.d_current, 0, 0)
                    self._run(first, min(first + block, last), own, none)
                team.meet()
                mine = Gradients(team.table[0], self.d_current, member, member + 1, team.size)
                for k, first in enumerate(blocks):
                    n, work = min(block, last - first), team.works[k]
                    add_gradients(n, self.parameters, self.arriving, self.loss, work, own, mine)
                team.meet()
        if member == 0:
            self.sums.add(i, team.table)

    def work(self) -> AbstractContextManager[Work]:
        """Scratch memory of a thread, or of a chunk if layers take turns."""
        dtype = self.results.task.dtype
        return self.memory.work(self.steps, self.span, self.gradual, dtype, self.chunk)

    def _run(self, first: int, last: int, work: Work, gradients: Gradients) -> None:
        maps = self.memory.program.maps
        run_chunks(
            first, min(last, len(self.labels)), self.chunk, self.parameters, maps and maps.plan,
            self.arriving, self.labels, self.loss, work, self.results, gradients,
        )  # fmt: skip


class Turns:
    """The way of a `batch` of a network with normalization, layer by layer, forward and back. All
    chunks take their turn at a layer, by as many threads as there are; then their statistics meet,
    in the order of the chunks, and the next layer begins.
    """

    def __init__(self, batch: Batch, learn: bool) -> None:
        program, count = batch.memory.program, len(batch.labels)
        self.places = program.places
        self.firsts = np.arange(0, count, batch.chunk)
        self.samples = np.minimum(batch.chunk, count - self.firsts)
        self.steps = max(0, batch.steps - 2)
        for place in self.places:
            place.check(self.steps, count, learn)
        sizes = [place.places * place.width for place in self.places]
        self.received_at = np.cumsum([0, *sizes[:-1]]) * batch.gradual
        self.normals = [
            place.normal(i, int(at), self.steps, len(self.firsts), batch.results.task.dtype)
            for i, (place, at) in enumerate(zip(self.places, self.received_at))
        ]
        self.works: Sequence[Work] = []
        self.tables: list[np.ndarray] = []
        self.learn, self.dependent, self.ready = learn, list[bool](), False

    def rounds(self, batch: Batch, threads: int) -> Iterator[list[tuple]]:
        """(function, *arguments) for each of at most `threads` threads, to be called at once; then
        the next such list. `batch`: the same, with what is asked for this time; what an earlier
        time left for the way back is not computed again, nor are statistics.
        """
        depth = len(self.places)
        with ExitStack() as own:
            self.works = batch.kept or [own.enter_context(batch.work()) for _ in self.firsts]
            for layer in range(depth if self.ready else 0, depth + 1):
                yield self._calls(self._forward, batch, layer, threads)
                if layer < depth and self.steps:
                    self._settle(layer)
            self.ready = bool(batch.kept) and not batch.train
            if not batch.train:
                return
            self.tables = [batch.sums.table() for _ in self.firsts]
            for layer in range(depth - 1, -2, -1):
                yield self._calls(self._backward, batch, layer, threads)
                if layer >= 0:
                    place, normal = self.places[layer], self.normals[layer]
                    dependent = layer < len(self.dependent) and self.dependent[layer]
                    batch.of_norms += place.differentiate(
                        normal, len(batch.labels), self.steps, dependent
                    )
        for i, table in enumerate(self.tables):
            batch.sums.add(i, table)

    def _settle(self, layer: int) -> None:
        normal = self.normals[layer]
        if layer < len(self.dependent):
            normal.notes[:] = 0
            return
        settled = self.places[layer].settle(normal, self.samples, self.steps, self.learn)
        self.dependent.append(settled)

    def _calls(
        self, turn: Callable[[Batch, int, int], None], batch: Batch, layer: int, threads: int
    ) -> list[tuple]:
        chunks = iter(range(len(self.firsts)))

        def take() -> None:
            for i in chunks:
                turn(batch, i, layer)

        return [(take,)] * min(threads, len(self.firsts))

    def _normal(self, layer: int) -> Normal:
        """Of a layer, or of another one where there is none such, which nobody looks at."""
        return self.normals[min(max(layer, 0), len(self.normals) - 1)]

    def _forward(self, batch: Batch, i: int, layer: int) -> None:
        maps, first = batch.memory.program.maps, int(self.firsts[i])
        forward_turn(
            layer, len(self.places), i, first, first + int(self.samples[i]), batch.parameters,
            maps and maps.plan, batch.arriving, batch.labels, batch.loss, self._normal(layer - 1),
            self._normal(layer), self.works[i], batch.results,
        )  # fmt: skip

    def _backward(self, batch: Batch, i: int, layer: int) -> None:
        maps, first = batch.memory.program.maps, int(self.firsts[i])
        backward_turn(
            layer, len(self.places), i, first, first + int(self.samples[i]), batch.parameters,
            maps and maps.plan, batch.arriving, batch.loss.mode, batch.loss.d_traces,
            self._normal(layer + 1), self._normal(layer), self.received_at, self.works[i],
            Gradients(self.tables[i][0], batch.d_current),
        )  # fmt: skip


def cut_batch(
    memory: Memory,
    inputs: Input,
    labels: np.ndarray,
    objective: Objective,
    *,
    threads: int,
    chunk: int,
    windows: int | Literal["auto"],
    gib: float,
    train: bool,
    record: Mapping[str, int],
    whole: bool,
) -> Batch:
    """A batch for the network of `memory`, cut as CpuEngine says; `record`: of how many steps
    somebody wants the "readout", "spikes" and "potentials", or 0 "counts"; `whole`: whether
    somebody wants the gradient of frames.
    """
    program, network, steps = memory.program, memory.program.network, inputs.steps
    precision = network.projections[0].weight.dtype
    dtype = _DTYPES[precision]
    labels = np.require(labels, np.int64, ("C", "W"))
    check_input(network, inputs)
    check_labels(network, inputs, labels)
    x = signal(network, inputs, dtype, program.dense_from, whole)
    parameters = program.parameters(precision)
    current = program.drive(x.values, parameters.tables)
    most = program.chunk(len(inputs), x.units.size if train else math.inf)
    chunk = min(chunk, most)
    gradual, span = train or windows != 1, min(steps, _EVALUATED)
    if program.places:
        gradual, span = train, steps
        memory.check(steps, dtype, len(inputs), chunk, gib if windows == "auto" else math.inf)
    elif gradual:
        span = memory.span(steps, dtype, threads, windows, gib)
    return Batch(
        memory,
        parameters,
        Arriving(x.indptr, x.units, x.counts, current),
        labels,
        program.loss(objective, len(inputs), dtype),
        _empty(network, len(inputs), dtype, **{"counts": 1, **record}),
        chunk,
        steps,
        span,
        gradual,
        train,
        x.values,
        as_learned(network),
    )


def _empty(
    network: Network, batch: int, dtype: np.dtype, counts: int = 0, readout: int = 0,
    spikes: int = 0, potentials: int = 0,
) -> SampleResults:  # fmt: skip
    """So many steps of each, and `counts` of all of them or none."""
    units = sum(p.units for p in network.hidden)
    return SampleResults(
        np.empty(batch, dtype),
        np.empty(batch, dtype),
        np.empty(batch, np.int64),
        np.empty((batch, counts * units), dtype),
        np.empty((readout, batch, network.readout.units), dtype),
        Traces(*(np.empty((steps, batch, units), dtype) for steps in (spikes, potentials))),
    )
