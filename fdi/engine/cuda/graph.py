"""A training step from the input to the gradients, and as a CUDA graph: captured once, and launched
as a whole, since the kernels of a small network take less time than their launches.

All that a graph reads stays where it was: weights, data, tables of layer.py, and the samples and
labels of a batch, which each batch is copied to.
"""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import numpy as np
import torch
from torch import Tensor

from fdi.engine.cuda.kept import Given, Kept
from fdi.engine.cuda.tape import backward, forward
from fdi.engine.device import measured, outcome, send, targets
from fdi.snn.network import Activity, Network
from fdi.snn.objective import Objective, Outcome


def adjoint(
    network: Network, inputs: Given, labels: Tensor, objective: Objective, batch: int, kernels: str
) -> tuple[Activity, Tensor]:
    """Adds the gradients of a part of a batch of `batch` samples; nothing waits for the device."""
    tape = forward(network, inputs, kernels, keep=True)
    leaves = [x.requires_grad_() for x in (tape.activity.readout, *tape.activity.counts.values())]
    loss, numbers = measured(tape.activity, labels, objective)
    if len(labels) < batch:
        loss = loss * (len(labels) / batch)
    d_readout, *d_counts = torch.autograd.grad(loss, leaves, materialize_grads=True)
    if inputs.steps > 2:  # else nothing that a weight delivers reaches the readout
        backward(network, tape, d_readout, dict(zip(tape.activity.counts, d_counts)))
    return tape.activity, numbers


class Graph:
    """The step of batches of one size, captured with the first of them."""

    def __init__(
        self, network: Network, inputs: Kept, labels: np.ndarray, objective: Objective, kernels: str
    ) -> None:
        weight = network.projections[0].weight
        device = weight.device
        self.alive = (network, inputs)
        self.samples, self.labels = send(inputs.samples, device), targets(labels, weight)
        self.captured = torch.cuda.CUDAGraph()
        network.zero_grad(set_to_none=True)
        with torch.cuda.device(device), torch.cuda.graph(self.captured):
            self.activity, self.numbers = adjoint(
                network, replace(inputs, where=self.samples), self.labels, objective,
                len(labels), kernels,
            )  # fmt: skip
            for weight in network.parameters():
                if weight.grad is None:
                    weight.grad = torch.zeros_like(weight)
        self.gradients = [cast(Tensor, weight.grad) for weight in network.parameters()]

    def step(self, network: Network, inputs: Kept, labels: np.ndarray) -> Outcome:
        """Sets the gradient of every weight."""
        self.samples.copy_(send(inputs.samples, self.samples.device))
        self.labels.copy_(targets(labels, network.projections[0].weight))
        self.captured.replay()
        for weight, gradient in zip(network.parameters(), self.gradients):
            weight.grad = gradient
        return outcome(self.activity, self.numbers)
