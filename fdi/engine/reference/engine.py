"""The reference engine: plain autograd over time, on any device, in the precision of the weights.
Slow, and the oracle of the others.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from fdi.data.inputs import Constant, Input
from fdi.engine.checks import check_norms
from fdi.engine.device import exact, send
from fdi.engine.reference.simulation import simulate
from fdi.snn.network import Activity, Network
from fdi.snn.objective import Objective, Outcome

_NUMPY: dict[torch.dtype, type[np.floating]] = {
    torch.float32: np.float32,
    torch.float64: np.float64,
}


class ReferenceEngine:
    """One update a time step for every population, all differentiated by autograd (the reset is
    detached).
    """

    def __init__(self) -> None:
        exact()

    def check(self, network: Network) -> None:
        """Every network is computed whose norms are such."""
        check_norms(network)

    @torch.no_grad()
    def simulate(self, network: Network, inputs: Input, record: tuple[str, ...] = ()) -> Activity:
        return simulate(network, dense(network, inputs), record)

    @torch.no_grad()
    def evaluate(
        self, network: Network, inputs: Input, labels: np.ndarray, objective: Objective
    ) -> Outcome:
        return score(simulate(network, dense(network, inputs)), labels, objective)[1]

    def step(
        self, network: Network, inputs: Input, labels: np.ndarray, objective: Objective
    ) -> Outcome:
        network.zero_grad(set_to_none=True)
        activity = simulate(network, dense(network, inputs), learn=True)
        loss, outcome = score(activity, labels, objective)
        if loss.requires_grad:  # not in trials so short that no weight reaches the readout
            loss.backward()
        for weight in network.parameters():
            if weight.grad is None:
                weight.grad = torch.zeros_like(weight)
        return outcome


def dense(network: Network, inputs: Input) -> Tensor:
    """The input as a tensor [T, B, *shape], with the device and precision of the network's
    weights.
    """
    weight = network.projections[0].weight
    dtype = _NUMPY[weight.dtype]
    array = inputs.image(dtype)[None] if isinstance(inputs, Constant) else inputs.dense(dtype)
    array = array.reshape(*array.shape[:2], *network.input_shape)
    x = torch.from_numpy(array).to(weight.device)
    return x.expand(inputs.steps, *x.shape[1:])


def score(activity: Activity, labels: np.ndarray, objective: Objective) -> tuple[Tensor, Outcome]:
    """Loss of a batch, to be differentiated, and its outcome."""
    targets = send(labels.astype(np.int64, copy=False), activity.readout.device)
    task = objective.task(activity.readout, targets)
    regularizer = objective.regularizer(activity.counts)
    correct = objective.logits(activity.readout).argmax(1) == targets
    counts = {name: n.detach().sum(0) for name, n in activity.counts.items()}
    sums = [x.detach().sum(dtype=task.dtype)[None] for x in (task, regularizer, correct)]
    numbers = torch.cat([*sums, *(n.flatten() for n in counts.values())]).cpu()  # one wait
    named = numbers[3:].split([n.numel() for n in counts.values()])
    outcome = Outcome(
        samples=len(targets),
        task=float(numbers[0]),
        regularizer=float(numbers[1]),
        correct=int(numbers[2]),
        counts={name: n.view(counts[name].shape).numpy() for name, n in zip(counts, named)},
    )
    return (objective.task_weight * task + regularizer).mean(), outcome
