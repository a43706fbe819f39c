"""The fast engine on a CPU: events, kernels without the GIL, threads over chunks of the batch."""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Literal
from weakref import WeakKeyDictionary

import numpy as np
import torch

from fdi.data.inputs import Input
from fdi.engine.checks import check_input, check_labels
from fdi.engine.cpu.chunk import Results, add_gradients, run_chunk
from fdi.engine.cpu.dense_forward import Arriving, Gradients
from fdi.engine.cpu.loss import in_numbers
from fdi.engine.cpu.memory import Memory, Sum, Team, Work
from fdi.engine.cpu.program import signal
from fdi.engine.reference.engine import ReferenceEngine
from fdi.snn.network import Activity, Network
from fdi.snn.objective import Objective, Outcome


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


_DTYPES: dict[torch.dtype, np.dtype] = {
    torch.float32: np.dtype(np.float32),
    torch.float64: np.dtype(np.float64),
}

_EVALUATED = 128
"""Steps of a window where no gradient is asked for: their potentials stay in the cache."""


class CpuEngine:
    """Event-driven simulation with a backward pass by hand; float32 or float64, as the weights are.

    `threads`: None takes as many as torch. `chunk`: most samples that one thread computes at a time
    (small batches are cut into smaller chunks; if there are more threads than chunks, several share
    one); gradients are added in pairs of chunks, so results depend on `chunk` but not on `threads`.
    `windows`: a training step keeps the potentials of one of so many windows of time and computes
    those of the others twice; "auto": as few windows as keep the scratch memory of all threads
    within `memory` GiB. Results do not depend on it.
    """

    def __init__(
        self,
        threads: int | None = None,
        chunk: int = 32,
        windows: int | Literal["auto"] = 1,
        memory: float = 1.0,
    ) -> None:
        self.threads, self.chunk = torch.get_num_threads() if threads is None else threads, chunk
        self.windows, self.memory = windows, memory
        if self.threads < 1 or chunk < 1 or (windows != "auto" and windows < 1):
            raise ValueError(
                f"threads = {threads}, chunk = {chunk} and windows = {windows} must be at least 1"
            )
        for kind in (np.float32, np.float64):  # a first look of NumPy below 2.3 in a worker warns
            np.finfo(kind)
        self._pool = ThreadPoolExecutor(
            self.threads, "fdi", initializer=torch.set_flush_denormal, initargs=(True,)
        )
        self._memories: WeakKeyDictionary[Network, Memory] = WeakKeyDictionary()

    def check(self, network: Network) -> None:
        """ValueError, one line, if the engine does not compute this network."""
        self._memory(network)

    def simulate(self, network: Network, inputs: Input, record: tuple[str, ...] = ()) -> Activity:
        """Readout and spike counts; anything to `record` is left to the reference engine, which
        keeps all traces.
        """
        if record:
            return ReferenceEngine().simulate(network, inputs, record)
        labels = np.zeros(len(inputs), dtype=np.int64)
        results = self._run(network, inputs, labels, Objective(), readout=True)
        counts = torch.from_numpy(results.counts).split([p.units for p in network.hidden], dim=1)
        named = {p.name: n.reshape(len(inputs), *p.shape) for p, n in zip(network.hidden, counts)}
        return Activity(torch.from_numpy(results.readout).transpose(0, 1), named)

    def evaluate(
        self, network: Network, inputs: Input, labels: np.ndarray, objective: Objective
    ) -> Outcome:
        return _outcome(network, labels, self._run(network, inputs, labels, objective))

    def step(
        self, network: Network, inputs: Input, labels: np.ndarray, objective: Objective
    ) -> Outcome:
        return _outcome(network, labels, self._run(network, inputs, labels, objective, train=True))

    def _run(
        self,
        network: Network,
        inputs: Input,
        labels: np.ndarray,
        objective: Objective,
        train: bool = False,
        readout: bool = False,
    ) -> Results:
        """With `train` it also sets the gradients."""
        dtype = _DTYPES[network.projections[0].weight.dtype]
        memory, steps = self._memory(network), inputs.steps
        program = memory.program
        labels = np.require(labels, np.int64, ("C", "W"))
        check_input(network, inputs)
        check_labels(network, inputs, labels)
        x = signal(network, inputs, dtype, program.dense_from)
        parameters = program.parameters(network.projections[0].weight.dtype)
        current = program.drive(x.values, parameters.tables)
        gradual, span = train or self.windows != 1, min(steps, _EVALUATED)
        if gradual:
            span = memory.span(steps, dtype, self.threads, self.windows, self.memory)
        most = program.chunk(len(inputs), x.units.size if train else math.inf)
        batch = Batch(
            memory,
            parameters,
            Arriving(x.indptr, x.units, x.counts, current),
            labels,
            in_numbers(objective, network, len(inputs), dtype),
            _empty(network, inputs, dtype, readout),
            np.zeros_like(current) if train else current[:, :0],
            min(self.chunk, most),
            steps,
            span,
            gradual,
            train,
        )
        size = batch.team(self.threads)
        if size > 1:
            teams = [Team(size, batch.sums.table()) for _ in range(batch.chunks)]
            calls = [(batch.together, i, m, t) for i, t in enumerate(teams) for m in range(size)]
            self._share(calls)
        else:
            indices = iter(range(batch.chunks))
            self._share([(batch.alone, indices)] * min(self.threads, batch.chunks))
        if train:
            with batch.sums.total() as tables:
                program.set_gradients(tables, x.values, batch.d_current)
        return batch.results

    def _memory(self, network: Network) -> Memory:
        if network not in self._memories:
            self._memories[network] = Memory(network)
        return self._memories[network]

    def _share(self, calls: list[tuple]) -> None:
        """Run the calls (function, *arguments) in the pool and wait for all."""
        for future in [self._pool.submit(*call) for call in calls]:
            future.result()


def _empty(network: Network, inputs: Input, dtype: np.dtype, readout: bool) -> Results:
    batch, units = len(inputs), sum(p.units for p in network.hidden)
    return Results(
        np.empty(batch, dtype),
        np.empty(batch, dtype),
        np.empty(batch, np.int64),
        np.empty((batch, units), dtype),
        np.empty((batch, inputs.steps, network.readout.units) if readout else (0, 0, 0), dtype),
    )


def _outcome(network: Network, labels: np.ndarray, results: Results) -> Outcome:
    totals, counts, first = results.counts.sum(0), {}, 0
    for p in network.hidden:
        counts[p.name] = totals[first : first + p.units].reshape(p.shape)
        first += p.units
    return Outcome(
        samples=len(labels),
        task=float(results.task.sum(dtype=np.float64)),
        regularizer=float(results.regularizer.sum(dtype=np.float64)),
        correct=int((results.prediction == labels).sum()),
        counts=counts,
    )
