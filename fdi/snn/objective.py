"""What training minimizes: the task loss on the readout and the activity regularizers on spike
counts, each a mean over samples.
"""

from __future__ import annotations

from collections.abc import Iterable
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
class Bound:
    """strength mean(relu(excess)^norm) for the hidden populations of these `layers`, all without
    names; the excess is that of a trial's spike counts, averaged over `axes` trailing axes, 0: of
    each neuron by itself; None: all axes but the channels, or all units of a fully connected one.

    A `norm` of 2 is that of Rossbroich et al. 2022; both are in their library (fmi-basel/stork,
    regularizers.py).
    """

    strength: float
    threshold: float
    axes: int | None = None
    norm: int = 2
    layers: tuple[str, ...] = ()

    def per_sample(self, counts: Tensor) -> Tensor:
        """[B, *shape] -> [B]."""
        axes = max(1, counts.ndim - 2) if self.axes is None else self.axes
        excess = F.relu(self.excess(counts.flatten(-axes).mean(-1) if axes else counts))
        penalty = excess.square() if self.norm == 2 else excess
        return self.strength * penalty.reshape(len(counts), -1).mean(1)

    def excess(self, n: Tensor) -> Tensor:
        """By how much counts are out of bounds, where this is above 0."""
        raise NotImplementedError

    def holds_for(self, population: str) -> bool:
        return not self.layers or population in self.layers


class UpperBound(Bound):
    """On n - threshold."""

    def excess(self, n: Tensor) -> Tensor:
        return n - self.threshold


@dataclass(frozen=True)
class LowerBound(Bound):
    """On threshold - n, of each neuron unless `axes` says more."""

    axes: int | None = 0

    def excess(self, n: Tensor) -> Tensor:
        return self.threshold - n


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
        first = next(iter(counts.values()))
        return sum(
            (
                bound.per_sample(torch.cat(group)).view(len(group), -1).sum(0)
                for bound in bounds
                for group in _alike(n for name, n in counts.items() if bound.holds_for(name))
            ),
            torch.zeros_like(first.flatten(1)[:, 0]),
        )


def _alike(counts: Iterable[Tensor]) -> Iterable[list[Tensor]]:
    """Those of one shape, which are computed at once."""
    groups: dict[torch.Size, list[Tensor]] = {}
    for n in counts:
        groups.setdefault(n.shape, []).append(n)
    return groups.values()
