"""A network as it is trained in any library, and what the libraries on top of torch share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmark.workloads import LR, network
from fdi.data.inputs import Events


class Learner(ABC):
    """A network of a library with its optimizer, Adam with the step size `lr` of the workload."""

    @abstractmethod
    def put(self, x: Events, labels: np.ndarray) -> Any:
        """A batch as the library takes it."""

    @abstractmethod
    def step(self, batch: Any) -> float:
        """One training step; returns the loss before it."""

    @abstractmethod
    def correct(self, batch: Any) -> int:
        """How many samples are classified as labelled."""


class TorchLearner(Learner):
    """`forward`: [T, B, *shape], or with `batch_first` [B, T, *shape], -> readout [T, B, classes];
    on torch's default device.
    """

    def __init__(
        self,
        work: dict,
        model: nn.Module,
        forward: Callable[[Tensor], Tensor],
        batch_first: bool = False,
    ) -> None:
        self.device, self.batch_first = torch.get_default_device(), batch_first
        self.model, self.forward = model.to(self.device), forward
        self.optimizer = torch.optim.Adam(model.parameters(), work.get("lr", LR))

    def put(self, x: Events, labels: np.ndarray) -> tuple[Tensor, Tensor]:
        dense = torch.from_numpy(x.dense())
        dense = dense.transpose(0, 1).contiguous() if self.batch_first else dense
        return dense.to(self.device), torch.from_numpy(labels).to(self.device)

    def step(self, batch: tuple[Tensor, Tensor]) -> float:
        x, labels = batch
        self.optimizer.zero_grad()
        loss = nn.functional.cross_entropy(self.forward(x).amax(0), labels)
        loss.backward()
        self.optimizer.step()
        return float(loss.detach())

    @torch.no_grad()
    def correct(self, batch: tuple[Tensor, Tensor]) -> int:
        x, labels = batch
        return int((self.forward(x).amax(0).argmax(1) == labels).sum())


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
