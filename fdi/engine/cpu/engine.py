"""The fast engine on a CPU: events, kernels without the GIL, threads over chunks of the batch."""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Literal
from weakref import WeakKeyDictionary

import numpy as np
import torch

from fdi.data.inputs import Input
from fdi.engine.checks import check_input, check_labels
from fdi.engine.cpu.chunk import Results, add_gradients, run_chunk
from fdi.engine.cpu.dense.views import Arriving, Gradients
from fdi.engine.cpu.loss import in_numbers
from fdi.engine.cpu.memory import Memory
from fdi.engine.cpu.scratch import Work
from fdi.engine.cpu.signal import signal
from fdi.engine.cpu.sums import Sum, Team
from fdi.engine.reference.engine import ReferenceEngine
from fdi.snn.activity import Activity
from fdi.snn.network import Network
from fdi.snn.objective import Objective
from fdi.snn.outcome import Outcome

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
        found = self._run(network, inputs, labels, Objective(), readout=True)
        counts = torch.from_numpy(found.counts).split([p.units for p in network.hidden], dim=1)
        named = {p.name: n.reshape(len(inputs), *p.shape) for p, n in zip(network.hidden, counts)}
        return Activity(torch.from_numpy(found.readout).transpose(0, 1), named)

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
        memory = self._memory(network)
        program, batch, steps = memory.program, len(inputs), inputs.steps
        labels = np.require(labels, np.int64, ("C", "W"))
        check_input(network, inputs)
        check_labels(network, inputs, labels)
        x = signal(network, inputs, dtype, program.dense_from)
        parameters = program.parameters(network.projections[0].weight.dtype)
        current = program.drive(x.values, parameters.tables)
        arriving = Arriving(x.indptr, x.units, x.counts, current)
        d_current = np.zeros_like(current) if train else current[:, :0]
        units = sum(p.units for p in network.hidden)
        results = Results(
            np.empty(batch, dtype),
            np.empty(batch, dtype),
            np.empty(batch, np.int64),
            np.empty((batch, units), dtype),
            np.empty((batch, steps, network.readout.units) if readout else (0, 0, 0), dtype),
        )
        loss = in_numbers(objective, network, batch, dtype)
        chunk = min(self.chunk, program.chunk(batch, x.units.size if train else math.inf))
        chunks = -(-batch // chunk)
        sums = Sum(chunks, memory.tables(dtype))
        gradual = train or self.windows != 1
        span = (
            memory.span(steps, dtype, self.threads, self.windows, self.memory)
            if gradual
            else min(steps, _EVALUATED)
        )

        maps, block = program.maps and program.maps.plan, program.block

        def run(first: int, last: int, work: Work, gradients: Gradients) -> None:
            run_chunk(
                first, min(last, batch), parameters, maps, arriving, labels, loss, work, results,
                gradients,
            )  # fmt: skip

        def work_off(indices: Iterator[int]) -> None:
            with memory.work(steps, span, gradual, dtype) as work:
                for i in indices:
                    table = sums.table() if train else parameters.tables[:0]
                    run(i * chunk, (i + 1) * chunk, work, Gradients(table, d_current))
                    if train:
                        sums.add(i, table)

        def work_together(i: int, member: int, team: Team) -> None:
            last, some = min((i + 1) * chunk, batch), (member, member + 1, team.size)
            with memory.work(steps, span, gradual, dtype) as own, team:
                team.works[member] = own
                for start in range(i * chunk, last, team.size * block):
                    blocks = range(start, min(start + team.size * block, last), block)
                    for first in blocks[member : member + 1]:
                        none = Gradients(team.table, d_current, 0, 0)
                        run(first, min(first + block, last), own, none)
                    team.meet()
                    mine = Gradients(team.table, d_current, *some)
                    for k, first in enumerate(blocks):
                        n = min(block, last - first)
                        add_gradients(n, parameters, arriving, loss, team.works[k], mine)
                    team.meet()
            if member == 0:
                sums.add(i, team.table)

        size = min(self.threads // chunks, -(-chunk // block))
        if train and size > 1 and span == steps and not maps:
            teams = [Team(size, sums.table()) for _ in range(chunks)]
            self._share(
                [(work_together, i, m, t) for i, t in enumerate(teams) for m in range(size)]
            )
        else:
            self._share([(work_off, iter(range(chunks)))] * min(self.threads, chunks))
        if train:
            with sums.total() as tables:
                program.set_gradients(tables, x.values, d_current)
        return results

    def _memory(self, network: Network) -> Memory:
        if network not in self._memories:
            self._memories[network] = Memory(network)
        return self._memories[network]

    def _share(self, calls: list[tuple]) -> None:
        """Run the calls (function, *arguments) in the pool and wait for all."""
        for future in [self._pool.submit(*call) for call in calls]:
            future.result()


def _outcome(network: Network, labels: np.ndarray, found: Results) -> Outcome:
    totals, counts, first = found.counts.sum(0), {}, 0
    for p in network.hidden:
        counts[p.name] = totals[first : first + p.units].reshape(p.shape)
        first += p.units
    return Outcome(
        samples=len(labels),
        task=float(found.task.sum(dtype=np.float64)),
        regularizer=float(found.regularizer.sum(dtype=np.float64)),
        correct=int((found.prediction == labels).sum()),
        counts=counts,
    )
