"""What training minimizes: the task loss on the readout and the activity regularizers on spike
counts, each a mean over samples.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from fdi.config import Mistake


@dataclass(frozen=True)
class Outcome:
    """Sums over `samples`: cross-entropy `task`, `regularizer`, `correct` predictions, and spikes
    of each neuron, counts[name] [*shape].
    """

    samples: int
    task: float
    regularizer: float
    correct: int
    counts: dict[str, np.ndarray]

    def __add__(self, other: Outcome) -> Outcome:
        return Outcome(
            self.samples + other.samples,
            self.task + other.task,
            self.regularizer + other.regularizer,
            self.correct + other.correct,
            {name: counts + other.counts[name] for name, counts in self.counts.items()},
        )


REDUCTIONS = {
    "max": lambda readout_TBK: readout_TBK.amax(0),
    "mean": lambda readout_TBK: readout_TBK.mean(0),
    "last": lambda readout_TBK: readout_TBK[-1],
}


@dataclass(frozen=True)
class UpperBound:
    """strength mean(relu(n_bar - threshold)^2), n_bar the spike count of a trial averaged over
    units.

    `axes`: how many trailing axes of the population are averaged; None: all but the channels, or
    all units of a fully connected one.
    """

    strength: float
    threshold: float
    axes: int | None = None

    def per_sample(self, counts: Tensor) -> Tensor:
        """[B, *shape] -> [B]."""
        axes = self.axes or max(1, counts.ndim - 2)
        excess = F.relu(counts.flatten(-axes).mean(-1) - self.threshold)
        return self.strength * excess.square().reshape(len(counts), -1).mean(1)


@dataclass(frozen=True)
class LowerBound:
    """strength mean(relu(threshold - n)^2), n the spike count of a trial, per neuron."""

    strength: float
    threshold: float

    def per_sample(self, counts: Tensor) -> Tensor:
        """[B, *shape] -> [B]."""
        return self.strength * F.relu(self.threshold - counts).square().flatten(1).mean(1)


@dataclass(frozen=True)
class Objective:
    """loss = task_weight * cross-entropy(readout reduced over time) + the bounds summed over hidden
    populations.

    The cross-entropy is that to (1 - s) [k = label] + s / classes, s the `label_smoothing`.

    `readout`: "max" over time (the paper), "mean" over time, or the "last" step. `task_weight` is 0
    while priming.
    """

    readout: str = "max"
    upper: UpperBound | None = None
    lower: LowerBound | None = None
    task_weight: float = 1.0
    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        if self.readout not in REDUCTIONS:
            raise Mistake(
                f"readout = {self.readout!r} is unknown; choose one of {', '.join(REDUCTIONS)}"
            )

    def logits(self, readout_TBK: Tensor) -> Tensor:
        """[T, B, classes] -> [B, classes]."""
        return REDUCTIONS[self.readout](readout_TBK)

    def task(self, readout_TBK: Tensor, labels: Tensor) -> Tensor:
        """Cross-entropy of each sample, [B]."""
        return F.cross_entropy(
            self.logits(readout_TBK),
            labels,
            reduction="none",
            label_smoothing=self.label_smoothing,
        )

    def regularizer(self, counts: dict[str, Tensor]) -> Tensor:
        """Sum of the bounds over hidden populations, of each sample, [B]."""
        bounds = [bound for bound in (self.upper, self.lower) if bound is not None]
        alike: dict[torch.Size, list[Tensor]] = {}  # of one shape: computed at once
        for n in counts.values():
            alike.setdefault(n.shape, []).append(n)
        first = next(iter(counts.values()))
        return sum(
            (
                bound.per_sample(torch.cat(group)).view(len(group), -1).sum(0)
                for bound in bounds
                for group in alike.values()
            ),
            torch.zeros_like(first.flatten(1)[:, 0]),
        )
