"""The fast engine on a CPU: events, kernels without the GIL, threads over chunks of the batch. What
it needs is slow to import, so only its methods do; batch.py has the way of a batch, chunk.py what a
thread does.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal
from weakref import WeakKeyDictionary

import numpy as np

from fdi.config.parts import NotNegative
from fdi.engine import Engine
from fdi.engine.compiled import by_autograd

if TYPE_CHECKING:
    from torch import Tensor

    from fdi.data.inputs import Input
    from fdi.engine.cpu.batch import Batch
    from fdi.engine.cpu.program import Memory
    from fdi.snn.network import Activity, Network
    from fdi.snn.objective import Objective, Outcome


class CpuEngine(Engine):
    """Event-driven simulation with a backward pass by hand; float32 or float64, as the weights are.

    `threads`: None takes as many as torch. `chunk`: most samples that one thread computes at a time
    (small batches are cut into smaller chunks; if there are more threads than chunks, several share
    one); gradients are added in pairs of chunks, so results depend on `chunk` but not on `threads`.
    `windows`: a training step keeps the potentials of one of so many windows of time and computes
    those of the others twice; `checkpoint` "auto": as few windows as keep the scratch memory of all
    threads within `memory` GiB. Results do not depend on it. With normalization layers take turns,
    in whole trials, and keep what arrives at each: windows change nothing, and a batch that does
    not fit into the memory of "auto" is refused.
    """

    devices = ("cpu",)

    def __init__(
        self,
        threads: int | None = None,
        chunk: int = 32,
        windows: int = 1,
        *,
        checkpoint: Literal["none", "auto"] = "none",
        memory: NotNegative = 2.0,
    ) -> None:
        import torch

        self.threads, self.chunk = torch.get_num_threads() if threads is None else threads, chunk
        self.windows: int | Literal["auto"] = "auto" if checkpoint == "auto" else windows
        self.memory = memory
        if self.threads < 1 or chunk < 1 or windows < 1:
            raise ValueError(
                f"threads = {threads}, chunk = {chunk} and windows = {windows} must be at least 1"
            )
        for kind in (np.float32, np.float64):  # a first look of NumPy below 2.3 in a worker warns
            np.finfo(kind)
        self._pool = ThreadPoolExecutor(
            self.threads, "fdi", initializer=torch.set_flush_denormal, initargs=(True,)
        )  # starts none before it is asked for one
        self._busy = Lock()
        self._memories: WeakKeyDictionary[Network, Memory] = WeakKeyDictionary()

    @classmethod
    def lacks(cls, values: Mapping[str, Any]) -> str | None:
        return super().lacks(values) or by_autograd(values)

    def check(self, network: Network) -> None:
        self._memory(network)

    def simulate(self, network: Network, inputs: Input, record: tuple[str, ...] = ()) -> Activity:
        """Readout and spike counts; anything to `record` is left to the reference engine, which
        keeps all traces.
        """
        from fdi.engine.reference import ReferenceEngine

        if record:
            return ReferenceEngine().simulate(network, inputs, record)
        return by_population(network, *self.trial(network, inputs, gradual=False).outputs())

    def trial(
        self,
        network: Network,
        inputs: Input,
        *,
        gradual: bool = True,
        whole: bool = False,
        counts: bool = True,
        record: Collection[str] = (),
        learn: bool = False,
        readout: str | None = None,
    ) -> Batch:
        """Readout, spike `counts` and what is to `record`, "spikes" or "potentials", of a batch
        that `differentiate` goes back through, if it is `gradual`, as often as it is asked;
        `whole`: also to its frames. `learn`: normalize by the batch. `readout`: over time, or of
        all steps.
        """
        from fdi.engine.cpu.batch import Turns
        from fdi.snn.objective import EVERY, Objective

        labels = np.zeros(len(inputs), dtype=np.int64)
        steps = dict.fromkeys(record, inputs.steps)
        steps |= dict(readout=2 if readout else inputs.steps, counts=int(counts))
        objective = Objective(readout or EVERY)
        batch = self._cut(network, inputs, labels, objective, gradual, whole, **steps)
        batch.turns = Turns(batch, learn) if network.norms else None
        if gradual:
            batch.keep(self.threads, self.memory)
        batch.loss = batch.loss._replace(given=True)
        self._compute(batch.forward())
        return batch

    def differentiate(self, trial: Batch, *given: np.ndarray | None) -> Batch:
        """With gradients of a loss, `given` for each of the `outputs` of the trial."""
        batch = trial.back(*given)
        self._compute(batch)
        return batch

    def measuring(self, inputs: Input) -> Callable[[Network], Activity]:
        from fdi.engine.reference import ReferenceEngine

        return ReferenceEngine().measuring(inputs)

    def evaluate(
        self, network: Network, inputs: Input, labels: np.ndarray, objective: Objective
    ) -> Outcome:
        if not objective.by_hand(labels):
            from fdi.engine.checks import check_labels
            from fdi.engine.device import score

            check_labels(network, inputs, labels)
            return score(self.simulate(network, inputs), labels, objective)[1]
        batch = self._cut(network, inputs, labels, objective)
        self._compute(batch)
        return batch.outcome()

    def step(
        self, network: Network, inputs: Input, labels: np.ndarray, objective: Objective
    ) -> Outcome:
        if objective.by_hand(labels):
            batch = self._cut(network, inputs, labels, objective, train=True)
            self._compute(batch)
            outcome = batch.outcome()
        else:
            batch, outcome = self._by_autograd(network, inputs, labels, objective)
        for gradient in batch.gradients():
            gradient.parameter.grad = gradient.value
        return outcome

    def norms(self, gradients: Sequence[Tensor]) -> list[float]:
        import torch

        from fdi.engine.updates import norm

        if all(each.dtype == torch.float32 and each.is_contiguous() for each in gradients):
            return [norm(each.numpy().reshape(-1)) for each in gradients]
        return super().norms(gradients)

    def _by_autograd(
        self, network: Network, inputs: Input, labels: np.ndarray, objective: Objective
    ) -> tuple[Batch, Outcome]:
        """A step whose loss torch differentiates to readout and spike counts."""
        from fdi.engine.checks import check_labels, refused
        from fdi.engine.device import score

        if network.norms:
            raise refused("cpu", "computes normalization with cross-entropy of one class alone")
        check_labels(network, inputs, labels)
        trial = self.trial(network, inputs)
        outputs = [x.requires_grad_() for x in trial.outputs()]
        loss, outcome = score(by_population(network, *outputs), labels, objective)
        loss.backward()
        given = [None if x.grad is None else x.grad.numpy() for x in outputs]
        return self.differentiate(trial, *given), outcome

    def _cut(
        self,
        network: Network,
        inputs: Input,
        labels: np.ndarray,
        objective: Objective,
        train: bool = False,
        whole: bool = False,
        **record: int,
    ) -> Batch:
        from fdi.engine.cpu.batch import cut_batch

        return cut_batch(
            self._memory(network),
            inputs,
            labels,
            objective,
            threads=self.threads,
            chunk=self.chunk,
            windows=self.windows,
            gib=self.memory,
            train=train,
            record=record,
            whole=whole,
        )

    def _compute(self, batch: Batch) -> None:
        """By all threads, which may wait for each other: one batch at a time."""
        with self._busy:
            for (function, *arguments), *others in batch.rounds(self.threads):
                futures = [self._pool.submit(*call) for call in others]
                with _without_denormals():
                    function(*arguments)
                for future in futures:
                    future.result()

    def _memory(self, network: Network) -> Memory:
        from fdi.engine.cpu.program import Memory, structure

        memory = self._memories.get(network)
        if memory is None or memory.program.structure != structure(network):
            memory = self._memories[network] = Memory(network)
        return memory


def by_population(
    network: Network, readout: Tensor, counts: Tensor, spikes: Tensor, potentials: Tensor
) -> Activity:
    """`counts`, `spikes` and `potentials`: [..., hidden units], or empty."""
    from fdi.snn.network import Activity

    def by_name(x: Tensor) -> dict[str, Tensor]:
        if not x.numel():
            return {}
        parts = x.split([p.units for p in network.hidden], dim=-1)
        return {p.name: part.unflatten(-1, p.shape) for p, part in zip(network.hidden, parts)}

    return Activity(readout, by_name(counts), by_name(spikes), by_name(potentials))


@contextmanager
def _without_denormals() -> Iterator[None]:
    """This thread computes as those of the pool; then again as before."""
    import torch

    kept = bool(_DENORMAL * np.float32(1))
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(not kept)


_DENORMAL = np.float32(1e-40)
