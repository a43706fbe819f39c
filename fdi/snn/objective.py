"""What training minimizes: the task loss on the readout and the activity regularizers on spike
counts, each a mean over samples; and what a run is judged by.

Targets are classes [B] or of each step [B, T], or numbers [B, K] or [B, T, K], see
fdi.data.targets.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from fdi.config import Mistake
from fdi.config.metric import ACCURACY, Metric
from fdi.data.targets import NO_CLASS

if TYPE_CHECKING:
    import torch
    from torch import Tensor

EVERY = "every"
ERROR = Metric("error", "", lower=True)


@dataclass(frozen=True)
class Outcome:
    """Sums over `samples`: loss of the `task`, `regularizer`, `sums` of which the metric is made
    (of an accuracy: how many are right, and how many there are), and spikes of each neuron,
    counts[name] [*shape].
    """

    samples: int
    task: float
    regularizer: float
    sums: np.ndarray
    counts: dict[str, np.ndarray]

    def __add__(self, other: Outcome) -> Outcome:
        return Outcome(
            self.samples + other.samples,
            self.task + other.task,
            self.regularizer + other.regularizer,
            self.sums + other.sums,
            {name: counts + other.counts[name] for name, counts in self.counts.items()},
        )


class Loss(ABC):
    """Compares what is read out with targets, and says by which number a run is judged.

    One of your own has `each`, and is judged by its mean; by another metric if it also has
    `judged_by`, `sums` and `score`. `classes`: whether its targets are classes; None: either.
    """

    judged_by = ERROR
    classes: bool | None = None

    @abstractmethod
    def each(self, prediction: Tensor, target: Tensor) -> Tensor:
        """[..., K] and [..., K], or classes [...] -> [...], to be differentiated: of each sample
        [B], or, with trainer.readout=every, of each step [B, T].
        """

    def sums(self, prediction: Tensor, target: Tensor) -> list[Tensor]:
        """What the metric is made of, each [...]; they are added up over all that counts."""
        each = self.each(prediction, target)
        return [each, each.new_ones(each.shape)]

    def score(self, sums: np.ndarray) -> float:
        """The metric, of what such sums add up to."""
        return float(sums[0] / sums[1])


@dataclass(frozen=True)
class CrossEntropy(Loss):
    """- sum_k w_k q_k log p_k, q_k = (1 - s) [k = class] + s / K, s the `label_smoothing` and w_k
    the `class_weights`, 1 unless given, as torch's; judged by accuracy, the share of classes whose
    readout is largest.
    """

    label_smoothing: float = 0.0
    class_weights: tuple[float, ...] = ()
    judged_by = ACCURACY
    classes = True

    def __post_init__(self) -> None:
        if not 0 <= self.label_smoothing < 1:
            raise Mistake(f"trainer.label_smoothing = {self.label_smoothing} must be below 1")

    def each(self, prediction: Tensor, target: Tensor) -> Tensor:
        import torch.nn.functional as F

        logits, labels = prediction.flatten(0, -2), target.flatten()
        weight = logits.new_tensor(self.class_weights) if self.class_weights else None
        smoothing = self.label_smoothing
        each = F.cross_entropy(logits, labels, weight, reduction="none", label_smoothing=smoothing)
        return each.view(target.shape)

    def sums(self, prediction: Tensor, target: Tensor) -> list[Tensor]:
        right = (prediction.argmax(-1) == target).to(prediction.dtype)
        return [right, right.new_ones(right.shape)]


@dataclass(frozen=True)
class Predicted(CrossEntropy):
    """Its sums over a batch are the classes that its samples [B] are taken for, one class each."""

    def sums(self, prediction: Tensor, target: Tensor) -> list[Tensor]:
        return list(prediction.argmax(-1).to(prediction.dtype).diag())


CROSS_ENTROPY = CrossEntropy()
METRICS = {"R2": Metric("R2"), "sMAPE": Metric("sMAPE", lower=True), "error": ERROR}


@dataclass(frozen=True)
class MeanSquare(Loss):
    """(1 / K) sum_k (x_k - y_k)^2, judged by a `metric`:

    R2 = 1 - sum (x - y)^2 / sum (y - <y>)^2, <y> the mean of each output
    sMAPE = mean 2 |x - y| / (|x| + |y|)
    error = mean (x - y)^2
    """

    metric: Literal["R2", "sMAPE", "error"] = "R2"
    classes = False

    @property
    def judged_by(self) -> Metric:  # type: ignore[override] # of each object
        return METRICS[self.metric]

    def each(self, prediction: Tensor, target: Tensor) -> Tensor:
        return (prediction - target).square().mean(-1)

    def sums(self, prediction: Tensor, target: Tensor) -> list[Tensor]:
        """Squares of the error and of y, how many there are, and each y; else as of a mean."""
        if self.metric == "error":
            return super().sums(prediction, target)
        apart = prediction - target
        ones = apart.new_ones(apart.shape[:-1])
        if self.metric == "sMAPE":
            size = (prediction.abs() + target.abs()).clamp(min=1e-30)
            return [(2 * apart.abs() / size).mean(-1), ones]
        squares = [values.square().sum(-1) for values in (apart, target)]
        return [*squares, ones, *target.unbind(-1)]

    def score(self, sums: np.ndarray) -> float:
        if self.metric != "R2":
            return super().score(sums)
        error, squares, n, *totals = sums
        return float(1 - error / (squares - np.square(totals).sum() / n))


REDUCTIONS = {
    "max": lambda readout_TBK: readout_TBK.amax(0),
    "mean": lambda readout_TBK: readout_TBK.mean(0),
    "last": lambda readout_TBK: readout_TBK[-1],
    EVERY: lambda readout_TBK: readout_TBK.transpose(0, 1),
}
READOUTS = tuple(name for name in REDUCTIONS if name != EVERY)


def _over_counted(readout_TBK: Tensor, counted_BT: Tensor, readout: str) -> Tensor:
    """REDUCTIONS over the steps that count alone."""
    import torch

    counted_TB1 = counted_BT.T[..., None]
    if readout == "max":
        return torch.where(counted_TB1, readout_TBK, -torch.inf).amax(0)
    if readout == "mean":
        return (readout_TBK * counted_TB1).sum(0) / counted_TB1.sum(0)
    return _last(readout_TBK.transpose(0, 1), counted_BT)


def _last(values: Tensor, counted_BT: Tensor) -> Tensor:
    """[B, T, ...] -> [B, ...], at the last step that counts."""
    import torch

    steps = torch.arange(counted_BT.shape[1], device=values.device)
    at = (steps * counted_BT).argmax(1)
    return values[torch.arange(len(values), device=values.device), at]


MEANS = {"neuron": 0, "channel": None, "population": 3}
"""Trailing axes of a mean over this: none, all but the channels (of a fully connected population
all), at most all three.
"""


@dataclass(frozen=True)
class ActivityBound:
    """strength mean(relu(excess)^norm) for the hidden populations of these `layers`, all without
    names; the excess is that of a trial's spike counts, averaged over `axes` trailing axes or as
    many as there are: MEANS.

    A `norm` of 2 is that of Rossbroich et al. 2022; both are in their library (fmi-basel/stork,
    regularizers.py).
    """

    side: ClassVar[int]

    strength: float
    threshold: float
    axes: int | None = None
    norm: int = 2
    layers: tuple[str, ...] = ()

    def per_sample(self, counts: Tensor) -> Tensor:
        """[B, *shape] -> [B]."""
        axes = self.averaged(counts.ndim - 1)
        n = counts.flatten(-axes).mean(-1) if axes else counts
        excess = (self.side * (n - self.threshold)).relu()
        penalty = excess.square() if self.norm == 2 else excess
        return self.strength * penalty.reshape(len(counts), -1).mean(1)

    def averaged(self, axes: int) -> int:
        """How many of the axes of a population."""
        return max(1, axes - 1) if self.axes is None else min(self.axes, axes)

    def holds_for(self, population: str) -> bool:
        return not self.layers or population in self.layers


class UpperBound(ActivityBound):
    """On n - threshold."""

    side = 1


@dataclass(frozen=True)
class LowerBound(ActivityBound):
    """On threshold - n, of each neuron unless `axes` says more."""

    side = -1
    axes: int | None = 0


@dataclass(frozen=True)
class Objective:
    """task_weight * loss of the readout + the bounds summed over hidden populations.

    `readout`: "max" over time (the paper), "mean" over time, the "last" step, or "every" step, each
    of which is compared, and their mean taken. Of the others, only steps that count. `task_weight`
    is 0 while priming.
    """

    readout: str = "max"
    upper: UpperBound | None = None
    lower: LowerBound | None = None
    task_weight: float = 1.0
    loss: Loss = CROSS_ENTROPY

    def __post_init__(self) -> None:
        if self.readout not in REDUCTIONS:
            raise Mistake(
                f"readout = {self.readout!r} is unknown; choose one of {', '.join(REDUCTIONS)}"
            )

    @property
    def label_smoothing(self) -> float:
        return self.loss.label_smoothing if isinstance(self.loss, CrossEntropy) else 0.0

    def by_hand(self, targets: np.ndarray) -> bool:
        """Whether it is a cross-entropy of one class a sample, whose gradient is known without
        autograd.
        """
        plain = type(self.loss) is CrossEntropy and not self.loss.class_weights
        return plain and self.readout != EVERY and targets.ndim == 1

    def logits(self, readout_TBK: Tensor) -> Tensor:
        """[T, B, K] -> [B, K], or [B, T, K] of every step."""
        return REDUCTIONS[self.readout](readout_TBK)

    def judged(self, readout_TBK: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """The loss of each sample [B], and the sums that its metric is made of."""
        import torch

        prediction, target, counted = self._compared(readout_TBK, targets)
        task = self.loss.each(prediction, target)
        with torch.no_grad():
            sums = torch.stack(self.loss.sums(prediction, target), -1)
        if counted is not None:
            share = counted.to(task.dtype) / counted.sum(1, keepdim=True)
            task, sums = (task * share).sum(1), sums * counted[..., None]
        exact = isinstance(self.loss, CrossEntropy) or task.device.type not in ("cpu", "cuda")
        dtype = task.dtype if exact else torch.float64  # a variance is a small difference
        return task, sums.flatten(0, -2).sum(0, dtype=dtype)

    def _compared(
        self, readout_TBK: Tensor, targets: Tensor
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Prediction and target of each sample, or of each step and which of them count [B, T]."""
        numbers = targets.is_floating_point()
        if targets.ndim == 1 + numbers:
            prediction = self.logits(readout_TBK)
            if self.readout != EVERY:
                return prediction, targets, None
            targets = targets[:, None].expand(*prediction.shape[:2], *targets.shape[1:])
        counted = ~targets.isnan().any(-1) if numbers else targets != NO_CLASS
        known = targets.nan_to_num() if numbers else targets.clamp(min=0)
        if self.readout == EVERY:
            return self.logits(readout_TBK), known, counted
        prediction = _over_counted(readout_TBK, counted, self.readout)
        return prediction, _last(known, counted), None

    def regularizer(self, counts: dict[str, Tensor]) -> Tensor:
        """Sum of the bounds over hidden populations, of each sample, [B]."""
        import torch

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
