"""A part of each kind. After `pip install examples/package`, from any folder:

fdi-run dataset=noise model=twins neuron=pulled init=even objective=hinge trainer.epochs=2
fdi-run optimizer=signs scheduler=halving logger=[lines,csv] engine=slow trainer.epochs=2
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.optim.lr_scheduler import StepLR

from fdi.data.dataset import Dataset, Split
from fdi.data.inputs import Frames
from fdi.engine.reference import ReferenceEngine
from fdi.init import Strategy
from fdi.snn.models import dense
from fdi.snn.network import Network
from fdi.snn.neuron import Neuron
from fdi.snn.objective import Loss


def noise(*, samples: int, rate: float, seed: int) -> Dataset:
    """Two classes of noise, the second twice as dense as the first, of `rate` Hz."""
    rng = np.random.default_rng(seed)
    labels = np.arange(samples) % 2
    x = rng.random((samples, 30, 6)) < rate * 2e-3 * (1 + labels[:, None, None])
    split = Split(Frames(x.astype(np.uint8)), labels)
    return Dataset("noise", split, split, split, 2, (6,), 30, 2e-3)


def twins(*, width: int = 8, **data: Any) -> Network:
    """Two layers of one width."""
    return dense(**data, hidden=[width, width])


@dataclass(frozen=True)
class Pulled(Neuron):
    """Its potential pulls itself up."""

    DRIVE = "gain * (current + pull * u)"

    pull: float = 0.1


@dataclass(frozen=True)
class Even(Strategy):
    """W ~ U(-gain, gain) / sqrt(fan_in)."""

    gain: float = 1.0

    def draw(self, drawing) -> None:
        for projection in drawing.afferents:
            far = self.gain / projection.fan_in**0.5
            projection.weight.data.uniform_(-far, far, generator=drawing.generator)


@dataclass(frozen=True)
class Hinge(Loss):
    """relu(margin - x_k + max over others of x_j), judged by its mean."""

    margin: float = 1.0
    classes = True

    def each(self, prediction, target):
        right = prediction.gather(-1, target[..., None])
        others = prediction.scatter(-1, target[..., None], -float("inf"))
        return (self.margin - right.squeeze(-1) + others.amax(-1)).relu()


class Signs(torch.optim.Optimizer):
    """Moves each weight by `lr` against the sign of its gradient."""

    def __init__(self, parameters, *, lr: float = 1e-3) -> None:
        super().__init__(parameters, {"lr": lr})

    @torch.no_grad()
    def step(self, closure=None) -> None:
        for group in self.param_groups:
            for weight in (w for w in group["params"] if w.grad is not None):
                weight -= group["lr"] * weight.grad.sign()


def halving(optimizer: Any, *, every: int = 10) -> StepLR:
    """Halves the step size after each `every` epochs."""
    return StepLR(optimizer, every, 0.5)


class Slow(ReferenceEngine):
    """The reference engine under a name of its own."""


@contextmanager
def lines(config: Any, directory: Any, epoch: int, *, name: str = "lines.txt") -> Iterator[Any]:
    """Writes what it is told to a file in the folder of the run, a line an epoch."""
    with (directory / name).open("a") as file:
        yield lambda values, epoch: print(epoch, *values, file=file)
