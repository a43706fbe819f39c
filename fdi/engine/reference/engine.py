"""The reference engine: plain autograd over time, on any device, in the precision of the weights.
Slow, and the oracle of the others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce
from operator import add
from typing import TYPE_CHECKING, Any, ClassVar

from fdi.engine import Engine
from fdi.engine.compiled import by_autograd

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from fdi.data.inputs import Input
    from fdi.snn.network import Activity, Network
    from fdi.snn.objective import Objective, Outcome


SLOWER = "engine=cpu, about 9 times (4 to 23, by network)"
"""Measured in CPU time of a training step with one thread: 23 dense, 15 as in the default run, 7
deep, 6 with learned tau, 4 with tdBN and skip connections (scripts/benchmark/workloads.py).
"""


class ReferenceEngine(Engine):
    """One update a time step for every population, all differentiated by autograd (the reset is
    detached); see simulation.py.
    """

    devices: ClassVar[tuple[str, ...]] = ("cpu", "cuda")

    def __init__(self) -> None:
        from fdi.engine.device import exact

        exact()

    @classmethod
    def remark(cls, values: Mapping[str, Any]) -> str | None:
        """What it is needed for, and at which price."""
        if values.get("device") == "cpu" and (what := by_autograd(values)):
            return f"{what} is computed by the reference engine, which is slower than {SLOWER}"
        return None

    def check(self, network: Network) -> None:
        """Every network is computed whose norms are such."""
        from fdi.engine.checks import check_norms

        check_norms(network)

    def simulate(self, network: Network, inputs: Input, record: tuple[str, ...] = ()) -> Activity:
        import torch

        from fdi.engine.reference.simulation import simulate

        with torch.no_grad():
            return simulate(network, self._tensor(network, inputs), record)

    def measuring(self, inputs: Input) -> Callable[[Network], Activity]:
        from fdi.engine.reference.simulation import Growing

        return Growing(inputs)

    def evaluate(
        self, network: Network, inputs: Input, labels: np.ndarray, objective: Objective
    ) -> Outcome:
        from fdi.engine.device import score

        return score(self.simulate(network, inputs), labels, objective)[1]

    def step(
        self, network: Network, inputs: Input, labels: np.ndarray, objective: Objective
    ) -> Outcome:
        import torch

        network.zero_grad(set_to_none=True)
        outcome = reduce(
            add,
            (
                self._add_gradients(network, inputs[part], labels[part], objective, len(labels))
                for part in self._parts(network, inputs)
            ),
        )
        for weight in network.parameters():
            if weight.grad is None:
                weight.grad = torch.zeros_like(weight)
        return outcome

    def _add_gradients(
        self,
        network: Network,
        inputs: Input,
        labels: np.ndarray,
        objective: Objective,
        batch: int,
    ) -> Outcome:
        """Of a part of a batch of `batch` samples."""
        from fdi.engine.device import score
        from fdi.engine.reference.simulation import simulate

        activity = simulate(network, self._tensor(network, inputs), learn=True)
        loss, outcome = score(activity, labels, objective)
        if len(labels) < batch:
            loss = loss * (len(labels) / batch)
        if loss.requires_grad:  # not in trials so short that no weight reaches the readout
            loss.backward()
        return outcome

    def _tensor(self, network: Network, inputs: Input) -> Tensor:
        """[T, B, *input shape]."""
        from fdi.engine.device import dense_input

        return dense_input(network, inputs)

    def _parts(self, network: Network, inputs: Input) -> list[slice]:
        """Of a batch, which are computed one after the other."""
        return [slice(0, len(inputs))]
