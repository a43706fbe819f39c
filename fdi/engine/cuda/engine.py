"""The engine for a GPU: layer by layer, the products of all steps of a trial at once, and the scan
over time in a kernel where there is one. It has never run on CUDA hardware.
"""

from __future__ import annotations

import math
from functools import reduce
from operator import add

import numpy as np
import torch

from fdi.data.inputs import Input
from fdi.engine.checks import Computes, check_input, check_labels, check_parts, check_wiring
from fdi.engine.cuda.choice import hears_events, refusal
from fdi.engine.cuda.kept import Kept, keep, size
from fdi.engine.cuda.memory import fitting_samples, need
from fdi.engine.cuda.tape import backward, forward
from fdi.engine.device import exact
from fdi.engine.reference.engine import ReferenceEngine, score
from fdi.snn.network import Activity, Network, Norm
from fdi.snn.neuron import Neuron
from fdi.snn.objective import Objective, Outcome

COMPUTES = Computes(
    "cuda",
    kinds=(Neuron,),
    resets=("zero", "subtract"),
    surrogates=("superspike", "triangle", "sigmoid", "gaussian", "boxcar"),
    norms=(Norm,),
)


class CudaEngine:
    """A backward pass by hand, on the device and in the precision of the weights.

    `memory`: GiB of a training step, None for no limit; a batch that needs more is computed in
    parts, whose gradients are added in order. `kernels`: of Triton, where they compute a layer, if
    they prove right on the card ("auto"), unasked ("on"), or never ("off").
    """

    def __init__(self, memory: float | None = None, kernels: str = "auto") -> None:
        exact()
        self.memory, self.kernels = memory, kernels

    def check(self, network: Network) -> None:
        """ValueError, one line, if the engine does not compute this network."""
        check_parts(network, COMPUTES)
        check_wiring(network, COMPUTES.engine)

    def outline(self, network: Network, steps: int, batch: int) -> list[str]:
        """How a training step is computed, in lines: its memory, and layers without a kernel.
        ValueError if a sample does not fit.
        """
        size = self._samples(network, steps, batch)
        self._refuse_parts(network, size, batch)
        gib = need(network, steps) * size / 2**30
        lines = [f"{gib:.3g} GiB by count, in {math.ceil(batch / size)} parts of {size} samples"]
        for layer in network.layers:
            if why := refusal(network, layer, self.kernels):
                lines.append(f"{' and '.join(p.name for p in layer)} in plain torch: {why}")
        return lines

    def keep(self, network: Network, splits: dict[str, Input]) -> tuple[dict[str, Kept], str]:
        """The splits on the device of the network, unless they take more than `memory`, and a line
        that says so.
        """
        lists = hears_events(network, self.kernels)
        names = " and ".join(splits)
        gib = sum(size(inputs, lists) for inputs in splits.values()) / 2**30
        if self.memory is not None and gib > self.memory:
            why = f"{gib:.3g} GiB are more than engine.memory = {self.memory:g} GiB"
            return {}, f"{names} sent batch by batch: {why}"
        for inputs in splits.values():
            check_input(network, inputs)
        device = network.projections[0].weight.device
        kept = {name: keep(inputs, device, lists) for name, inputs in splits.items()}
        return kept, f"{names} kept on the device: {gib:.3g} GiB"

    def simulate(self, network: Network, inputs: Input, record: tuple[str, ...] = ()) -> Activity:
        """Readout and spike counts; anything to `record` is left to the reference engine, which
        keeps all traces.
        """
        if record:
            return ReferenceEngine().simulate(network, inputs, record)
        self.check(network)
        check_input(network, inputs)
        return forward(network, inputs, self.kernels).activity

    @torch.no_grad()
    def evaluate(
        self, network: Network, inputs: Input, labels: np.ndarray, objective: Objective
    ) -> Outcome:
        self.check(network)
        check_input(network, inputs)
        check_labels(network, inputs, labels)
        return reduce(
            add,
            (
                score(
                    forward(network, inputs[part], self.kernels).activity, labels[part], objective
                )[1]
                for part in self._parts(network, inputs)
            ),
        )

    def step(
        self, network: Network, inputs: Input, labels: np.ndarray, objective: Objective
    ) -> Outcome:
        self.check(network)
        check_input(network, inputs)
        check_labels(network, inputs, labels)
        network.zero_grad(set_to_none=True)
        batch = len(labels)
        self._refuse_parts(network, self._samples(network, inputs.steps, batch), batch)
        outcome = reduce(
            add,
            (
                _step(network, inputs[part], labels[part], objective, batch, self.kernels)
                for part in self._parts(network, inputs)
            ),
        )
        for weight in network.parameters():
            if weight.grad is None:
                weight.grad = torch.zeros_like(weight)
        return outcome

    def _samples(self, network: Network, steps: int, batch: int) -> int:
        """How many are computed at once."""
        return batch if self.memory is None else fitting_samples(network, steps, batch, self.memory)

    def _refuse_parts(self, network: Network, size: int, batch: int) -> None:
        """ValueError where the statistics of a part would stand for those of the batch."""
        if size < batch and not all(norm.by_sample for norm in network.norms.values()):
            raise ValueError(
                f"normalization takes its statistics over a batch, and {size} of {batch} samples "
                f"fit into engine.memory = {self.memory:g} GiB; raise it, lower "
                f"trainer.batch_size, or normalize each sample by itself, as model.norm=layer does"
            )

    def _parts(self, network: Network, inputs: Input) -> list[slice]:
        size = self._samples(network, inputs.steps, len(inputs))
        return [slice(i, i + size) for i in range(0, len(inputs), size)]


def _step(
    network: Network,
    inputs: Input,
    labels: np.ndarray,
    objective: Objective,
    batch: int,
    kernels: str,
) -> Outcome:
    """Adds the gradients of a part of a batch of `batch` samples."""
    tape = forward(network, inputs, kernels, keep=True)
    leaves = [x.requires_grad_() for x in (tape.activity.readout, *tape.activity.counts.values())]
    loss, outcome = score(tape.activity, labels, objective)
    if len(labels) < batch:
        loss = loss * (len(labels) / batch)
    d_readout, *d_counts = torch.autograd.grad(loss, leaves, materialize_grads=True)
    if inputs.steps > 2:  # else nothing that a weight delivers reaches the readout
        backward(network, tape, d_readout, dict(zip(tape.activity.counts, d_counts)))
    return outcome
