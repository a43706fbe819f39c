"""Statistics over seeds. Plain functions on arrays; nothing here knows what a run is."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtrit

COVERAGE = 0.95
RESAMPLES = 10_000


class Summary(NamedTuple):
    """`sd` has n - 1 in its denominator; `low` and `high` bound a 95 % interval of the mean. NaN
    where n is too small to say.
    """

    n: int
    mean: float
    sd: float
    low: float
    high: float


def summary(values: ArrayLike) -> Summary:
    """Mean and its interval by Student's t: mean +- t(0.975, n - 1) sd / sqrt(n)."""
    values = np.asarray(values, dtype=float)
    n, mean, sd = _moments(values)
    half = stdtrit(n - 1, (1 + COVERAGE) / 2) * sd / np.sqrt(n) if n > 1 else np.nan
    return Summary(n, mean, sd, float(mean - half), float(mean + half))


def paired(values: ArrayLike, baseline: ArrayLike, seed: int = 0) -> Summary:
    """Differences values[i] - baseline[i] of pairs that share a seed; the interval holds the middle
    95 % of bootstrapped means.

    10,000 resamples of the pairs with replacement, drawn from `seed`. With few pairs such an
    interval is too narrow: read it with n. Raises ValueError if the lengths differ.
    """
    values, baseline = np.asarray(values, dtype=float), np.asarray(baseline, dtype=float)
    if values.shape != baseline.shape:
        raise ValueError(f"{len(values)} values and {len(baseline)} baseline values are not pairs")
    differences = values - baseline
    n, mean, sd = _moments(differences)
    if n < 2:
        return Summary(n, mean, sd, np.nan, np.nan)
    chosen = np.random.default_rng(seed).integers(n, size=(RESAMPLES, n))
    low, high = np.quantile(
        differences[chosen].mean(axis=1), [(1 - COVERAGE) / 2, (1 + COVERAGE) / 2]
    )
    return Summary(n, mean, sd, float(low), float(high))


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


def _moments(values: np.ndarray) -> tuple[int, float, float]:
    n = len(values)
    return n, float(values.mean()) if n else np.nan, float(values.std(ddof=1)) if n > 1 else np.nan
