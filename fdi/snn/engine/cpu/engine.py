"""The fast engine on a CPU: events, kernels without the GIL, threads over chunks of the batch."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from typing import Literal
from weakref import WeakKeyDictionary

import numpy as np
import torch

from fdi.inputs import Input
from fdi.snn.activity import Activity
from fdi.snn.engine.checks import check_input, check_labels
from fdi.snn.engine.cpu.chunk import Results, run_chunk
from fdi.snn.engine.cpu.dense.views import Arriving
from fdi.snn.engine.cpu.loss import in_numbers
from fdi.snn.engine.cpu.memory import Memory
from fdi.snn.engine.cpu.program import Program
from fdi.snn.engine.cpu.signal import signal
from fdi.snn.engine.cpu.sums import Sum
from fdi.snn.engine.reference import ReferenceEngine
from fdi.snn.network import Network
from fdi.snn.objective import Objective
from fdi.snn.outcome import Outcome

_DTYPES = {torch.float32: np.dtype(np.float32), torch.float64: np.dtype(np.float64)}

_FEWEST, _MOST = 8, 32
"""Chunks that a batch with enough samples is cut into, so that threads have something to share."""

_WORTH = 64
"""How often the events of a chunk must touch each number of the first layer's weights for a table
of gradients of its own, which is cleared and added.
"""

_EVALUATED = 128
"""Steps of a window where no gradient is asked for: their potentials stay in the cache."""


class CpuEngine:
    """Event-driven simulation with a backward pass by hand; float32 or float64, as the weights are.

    `threads`: None takes as many as torch. `chunk`: most samples that one thread computes at a time
    (small batches are cut into smaller chunks); gradients are added in pairs of chunks, so
    results depend on `chunk` but not on `threads`.
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
        chunk = min(self.chunk, samples(program, batch, x.units.size if train else math.inf))
        chunks = -(-batch // chunk)
        gradients = Sum(chunks, memory.tables(dtype))
        gradual = train or self.windows != 1
        span = (
            memory.span(steps, dtype, self.threads, self.windows, self.memory)
            if gradual
            else min(steps, _EVALUATED)
        )

        def work_off(indices) -> None:
            maps = program.maps and program.maps.plan
            with memory.work(steps, span, gradual, dtype) as work:
                for i in indices:
                    d_tables = gradients.table() if train else parameters.tables[:0]
                    run_chunk(
                        i * chunk, min((i + 1) * chunk, batch), parameters, maps, arriving, labels,
                        loss, work, results, d_tables, d_current,
                    )  # fmt: skip
                    if train:
                        gradients.add(i, d_tables)

        indices = iter(range(chunks))
        self._share([(work_off, indices)] * min(self.threads, chunks))
        if train:
            with gradients.total() as tables:
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


def samples(program: Program, batch: int, events: float) -> int:
    """Samples of a chunk of a batch with so many events; threads have no say."""
    few, many = -(-batch // _FEWEST), -(-batch // _MOST)
    if program.maps:  # a map costs more than its gradients
        return max(1, min(few, max(4, many)))
    if not events:
        return max(program.block, few)
    touched = events / batch * int(program.layout.plan.layers["width"][0])
    least = max(many, _WORTH * program.layout.table_size / touched)
    return max(program.block, min(few, math.ceil(least / program.block) * program.block))


def _outcome(network: Network, labels: np.ndarray, found: Results) -> Outcome:
    totals = np.split(found.counts.sum(0), np.cumsum([p.units for p in network.hidden])[:-1])
    return Outcome(
        samples=len(labels),
        task=float(found.task.sum(dtype=np.float64)),
        regularizer=float(found.regularizer.sum(dtype=np.float64)),
        correct=int((found.prediction == labels).sum()),
        counts={p.name: n.reshape(p.shape) for p, n in zip(network.hidden, totals)},
    )
