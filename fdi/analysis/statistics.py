"""Statistics over seeds. Plain functions on arrays; nothing here knows what a run is."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtr, stdtrit

LEVEL = 0.05  # of a test; intervals cover the rest
ROUNDING = 1e-12  # of accuracies


class Summary(NamedTuple):
    """`sd` has n - 1 in its denominator; `low` and `high` bound a 95 % interval of the mean. NaN
    where n is too small to say.
    """

    n: int
    mean: float
    sd: float
    low: float
    high: float


class Comparison(NamedTuple):
    """A `Summary` of paired differences, and the two-sided `p` of Student's t that their mean
    is 0.
    """

    n: int
    mean: float
    sd: float
    low: float
    high: float
    p: float

    def within(self, most: float) -> Comparison:
        """With an interval that ends at +-`most`, where no difference can be larger."""
        low, high = np.maximum(self.low, -most), np.minimum(self.high, most)
        return self._replace(low=float(low), high=float(high))


def summary(values: ArrayLike) -> Summary:
    """Mean and its interval by Student's t: mean +- t(0.975, n - 1) sd / sqrt(n)."""
    values = np.asarray(values, dtype=float)
    n = len(values)
    mean = float(values.mean()) if n else np.nan
    sd = float(values.std(ddof=1)) if n > 1 else np.nan
    half = stdtrit(n - 1, 1 - LEVEL / 2) * sd / np.sqrt(n) if n > 1 else np.nan
    return Summary(n, mean, sd, float(mean - half), float(mean + half))


def paired(values: ArrayLike, baseline: ArrayLike) -> Comparison:
    """Differences values[i] - baseline[i] of pairs that share a seed, their mean and interval by
    Student's t: the interval holds 0 where p >= 0.05. Raises ValueError if the lengths differ.
    """
    values, baseline = np.asarray(values, dtype=float), np.asarray(baseline, dtype=float)
    if values.shape != baseline.shape:
        raise ValueError(f"{len(values)} values and {len(baseline)} baseline values are not pairs")
    found = summary(values - baseline)
    if found.n < 2:
        return Comparison(*found, np.nan)
    if found.sd <= ROUNDING:  # equal differences, in all the digits that there are
        return Comparison(*found, 1.0 if abs(found.mean) <= ROUNDING else 0.0)
    t = abs(found.mean) / (found.sd / np.sqrt(found.n))
    return Comparison(*found, 2 * float(stdtr(found.n - 1, -t)))


def holm(p: ArrayLike) -> np.ndarray:
    """The p of several comparisons, each multiplied so that the chance of one or more false
    "better" or "worse" among all of them is at most 5 % where 0.05 is the limit: p_(k) ->
    max_(j <= k) (m - j + 1) p_(j), m comparisons in ascending order (Holm 1979). NaN stays NaN and
    is no comparison.
    """
    p = np.asarray(p, dtype=float)
    adjusted = np.full(p.shape, np.nan)
    order = np.argsort(p)[: np.isfinite(p).sum()]
    steps = p[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted


def verdict(difference: float, p: float) -> str:
    """better, worse or undecided, of a difference and its p (Holm's, where there are several);
    "" where no p can be given.
    """
    if np.isnan(p):
        return ""
    if p >= LEVEL:
        return "undecided"
    return "better" if difference > 0 else "worse"


def epochs_to(accuracy: ArrayLike, target: float) -> np.ndarray:
    """First epoch, counted from 1, with accuracy >= target, along the last axis; NaN where there is
    none.
    """
    reached = np.asarray(accuracy, dtype=float) >= target
    return np.where(reached.any(axis=-1), reached.argmax(axis=-1) + 1.0, np.nan)


def area(accuracy: ArrayLike) -> np.ndarray:
    """Area under learning curves (trapezoids over the last axis, one epoch apart) divided by its
    length: a mean accuracy, 0 to 1.
    """
    accuracy = np.asarray(accuracy, dtype=float)
    if accuracy.shape[-1] == 1:
        return accuracy[..., 0]
    return (accuracy[..., 1:] + accuracy[..., :-1]).mean(axis=-1) / 2


def chance_share(accuracy: ArrayLike, classes: int, samples: int) -> float:
    """Share of runs no better than guessing: accuracy <= p + 2 sqrt(p (1 - p) / samples), p = 1 /
    classes, on `samples` test samples.
    """
    p = 1 / classes
    return float(
        np.mean(np.asarray(accuracy, dtype=float) <= p + 2 * np.sqrt(p * (1 - p) / samples))
    )
