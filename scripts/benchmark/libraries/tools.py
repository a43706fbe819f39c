"""What the libraries on top of torch share."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from benchmark.workloads import Step, network


def torch_step(
    model: nn.Module, forward: Callable[[Tensor], Tensor], x: Tensor, labels: np.ndarray
) -> Step:
    """`forward`: [T, B, *shape] -> readout [T, B, classes]; on torch's default device."""
    device = torch.get_default_device()
    model, x, targets = model.to(device), x.to(device), torch.from_numpy(labels).to(device)
    optimizer = torch.optim.Adam(model.parameters(), 1e-4)

    def step() -> float:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(forward(x).amax(0), targets)
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    return step


def weights(work: dict) -> list[nn.Module]:
    """The linear or convolutional map into each layer, and into the readout, with the weights that
    fdi draws.
    """
    net = network(work)
    modules = []
    for p in net.projections:
        if not p.recurrent:
            out, into = p.weight.shape[:2]
            modules.append(
                nn.Conv2d(into, out, 3, padding=1, bias=False)
                if p.convolutional
                else nn.Linear(into, out, bias=False)
            )
            modules[-1].weight = nn.Parameter(p.weight.detach().clone())
    return modules


def in_one(function: Callable[[Tensor], Tensor], s: Tensor) -> Tensor:
    """`function` on the first two axes taken together."""
    return function(s.flatten(0, 1)).unflatten(0, s.shape[:2])
