"""Statistics over seeds. Plain functions on arrays; nothing here knows what a run is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtri, stdtr, stdtrit

from fdi.config import Mistake

PERCENT = 100.0
LEVEL = 0.05  # of a test; intervals cover the rest
ROUNDING = 1e-4  # of the largest value: files keep five digits
SMALL = 500  # test samples: below, their choice enters an interval
TINY = 1e-16  # no p is given as smaller
RESAMPLES = 29_999  # of networks
MANY = 200  # seeds of a condition, more than one trains
HALVINGS = 50  # of the range of log p: 15 digits


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
    """A `Summary` of paired differences, and the two-sided `p` that their mean is 0; the interval
    is NaN where n is too small to say. It includes `noise`, and ends at +-`most`, where no
    difference can be larger.
    """

    n: int
    mean: float
    sd: float
    low: float
    high: float
    p: float
    noise: float = 0.0
    most: float = np.inf

    def within(self, most: float) -> Comparison:
        """With an interval that ends at +-`most`."""
        low, high = np.maximum(self.low, -most), np.minimum(self.high, most)
        return self._replace(low=float(low), high=float(high), most=most)

    def corrected(self, p: float) -> Comparison:
        """With `p`, that of several comparisons, and the interval that goes with it: it holds 0
        where p >= 0.05, and is as much wider as the comparison must be surer.
        """
        if not (self.p < p and self.sd > 0):
            return self._replace(p=p)
        half = _half(LEVEL * self.p / p, self.n, self.sd, self.noise)
        wider = self._replace(low=self.mean - float(half), high=self.mean + float(half), p=p)
        return wider.within(self.most)

    def times(self, factor: float) -> Comparison:
        """Of differences in another unit, or, if the factor is negative, the other way round."""
        low, high = sorted((factor * self.low, factor * self.high))
        mean, size = factor * self.mean, abs(factor)
        sd, noise, most = size * self.sd, size * self.noise, size * self.most
        return Comparison(self.n, mean, sd, low, high, self.p, noise, most)

    def smallest(self, n: int, level: float = LEVEL) -> float:
        """The smallest mean difference that `n` pairs would decide at this level: half the width of
        their interval, if they spread as these.
        """
        return float(_half(level, n, self.sd, self.noise))

    def enough(self, level: float = LEVEL) -> int | None:
        """The fewest pairs that would decide a mean difference as large as this one; None where
        MANY would not.
        """
        n = np.arange(2, MANY + 1)
        decided = _half(level, n, self.sd, self.noise) < abs(self.mean)
        return int(n[decided][0]) if decided.any() else None


def summary(values: ArrayLike, noise: float = 0.0) -> Summary:
    """Mean and its interval.

        mean +- sqrt((t(0.975, n - 1) sd / sqrt(n))^2 + (z(0.975) noise)^2)

    Student's t, and beside it a `noise` that all values share, a standard error that more of them
    do not lower: two half widths of independent causes add up as squares (Zou & Donner 2008).
    """
    row = summaries(np.asarray(values, dtype=float)[None], noise)
    return Summary(*(row[field].item() for field in Summary._fields))


def summaries(values: np.ndarray, noise: float = 0.0) -> dict[str, np.ndarray]:
    """`summary` of each row of `values` [rows, n], by the name of its fields, each [rows]."""
    rows, n = values.shape
    unknown = np.full(rows, np.nan)
    mean = values.mean(axis=1) if n else unknown
    sd = values.std(axis=1, ddof=1) if n > 1 else unknown
    half = _half(LEVEL, n, sd, noise) if n > 1 else unknown
    fields = (np.full(rows, n), mean, sd, mean - half, mean + half)
    return dict(zip(Summary._fields, fields))


def paired(values: ArrayLike, baseline: ArrayLike, noise: float = 0.0) -> Comparison:
    """Differences values[i] - baseline[i] of pairs that share a seed, their mean and interval as in
    `summary`: the interval holds 0 where p >= 0.05. Raises ValueError if the lengths differ.

    Where all differences are equal, n of them say no more than their sign: p is at least that of
    the exact sign test, 2^(1 - n), and there is no interval where that is 0.05 or more.
    """
    values, baseline = np.asarray(values, dtype=float), np.asarray(baseline, dtype=float)
    if values.shape != baseline.shape:
        raise Mistake(f"{len(values)} values and {len(baseline)} baseline values are not pairs")
    difference = summary(values - baseline, noise)
    if difference.n < 2:
        return Comparison(*difference, np.nan)
    rounding = ROUNDING * max(np.abs(values).max(), np.abs(baseline).max())
    if difference.sd > rounding:
        return Comparison(*difference, _p(difference, noise), noise)
    if abs(difference.mean) <= rounding:
        return Comparison(*difference, 1.0)
    signs = 2.0 ** (1 - difference.n)
    if signs >= LEVEL:
        difference = difference._replace(low=np.nan, high=np.nan)
    return Comparison(*difference, max(signs, _p(difference._replace(sd=0.0), noise)))


def _half(level: ArrayLike, n: ArrayLike, sd: ArrayLike, noise: float) -> np.ndarray:
    """Half the width of an interval that leaves out `level`."""
    n = np.asarray(n)
    student = stdtrit(n - 1, 1 - np.asarray(level) / 2) * np.asarray(sd) / np.sqrt(n)
    return np.hypot(student, ndtri(1 - np.asarray(level) / 2) * noise)


def _p(difference: Summary, noise: float) -> float:
    """The level at which the interval ends at 0."""
    student = difference.sd / np.sqrt(difference.n)
    if not noise:
        return (
            2 * float(stdtr(difference.n - 1, -abs(difference.mean) / student)) if student else 0.0
        )

    def beyond(log_p: float) -> bool:
        tail = np.exp(log_p) / 2
        half = np.hypot(stdtrit(difference.n - 1, tail) * student, ndtri(tail) * noise)
        return bool(half >= abs(difference.mean))

    low, high = float(np.log(TINY)), 0.0
    if not beyond(low):
        return TINY
    for _ in range(HALVINGS):  # scipy.optimize takes 25 MB to import
        middle = (low + high) / 2
        low, high = (middle, high) if beyond(middle) else (low, middle)
    return float(np.exp(high))


def sample_noise(accuracy: float, samples: float) -> float:
    """Standard error of an accuracy from the choice of its test samples, whose hits are binomial;
    0 where there are SMALL of them or more, or nobody knows how many.

        sqrt(p (1 - p) / (samples + 4)),   p = (accuracy samples + 2) / (samples + 4)

    (Agresti & Coull 1998). All seeds hear the same samples, so it does not shrink with their
    number. Of a difference of two accuracies the two parts add up as squares; networks that are
    tested on the same samples differ by less, so that is an upper bound, for where nobody knows
    which samples were hit (`paired_noise`).
    """
    if not samples < SMALL:
        return 0.0
    p = (accuracy * samples + 2) / (samples + 4)
    return float(np.sqrt(p * (1 - p) / (samples + 4)))


def paired_noise(one: np.ndarray, other: np.ndarray) -> float:
    """Standard error of the difference of two accuracies on the same samples from their choice;
    `one` and `other`: for each sample the share of the seeds that hit it. 0 as in `sample_noise`.

        sqrt(sum d^2 + 1 - (sum d)^2 / (samples + 2)) / (samples + 2),   d = one - other

    which with one seed is McNemar's, with half a sample more in each of the four cells (Agresti &
    Min 2005).
    """
    if not len(one) < SMALL:
        return 0.0
    d, samples = one - other, len(one) + 2
    return float(np.sqrt((d**2).sum() + 1 - d.sum() ** 2 / samples) / samples)


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


def correct(comparisons: Sequence[Comparison | None], families: ArrayLike) -> list[Any]:
    """The comparisons with `holm` of their p over each family, and the intervals that go with
    these; `families`: one value each. What is no comparison, None, stays.
    """
    p = np.array([np.nan if each is None else each.p for each in comparisons], dtype=float)
    names, adjusted = np.asarray(families), p.copy()
    for name in np.unique(names):
        adjusted[names == name] = holm(p[names == name])
    return [
        each if each is None or np.isnan(value) else each.corrected(float(value))
        for each, value in zip(comparisons, adjusted)
    ]


def resampled(differences: ArrayLike) -> list[Comparison]:
    """Mean paired differences over networks that were drawn, a column each of `differences`
    [networks, comparisons], by the bootstrap: RESAMPLES samples of as many networks, drawn with
    replacement, the same for all columns. An interval ends at quantiles of the means of these
    samples; p is twice the share of them on the other side of 0, by Holm's method over the columns,
    and an interval is as much wider as its comparison must be surer (Efron & Tibshirani 1993,
    chapter 13). NaN where there are fewer than two networks.
    """
    rows = np.asarray(differences, dtype=float)
    n = len(rows)
    mean = rows.mean(axis=0) if n else np.full(rows.shape[1], np.nan)
    if n < 2:
        return [Comparison(n, float(value), *[np.nan] * 4) for value in mean]
    counts = np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), size=RESAMPLES)
    means = counts @ rows / n
    means[np.abs(means) < ROUNDING * np.abs(rows).max(initial=1)] = 0
    beyond = np.minimum((means <= 0).sum(axis=0), (means >= 0).sum(axis=0)) + 1
    p = np.minimum(2 * beyond / (RESAMPLES + 1), 1.0)
    adjusted = holm(p)
    half = LEVEL * p / adjusted / 2
    ends = [np.quantile(drawn, [tail, 1 - tail]) for drawn, tail in zip(means.T, half)]
    values = zip(mean, rows.std(axis=0, ddof=1), *np.transpose(ends), adjusted)
    return [Comparison(n, *map(float, value)) for value in values]


def better_or_worse(difference: float, p: float, sign: int = 1) -> str:
    """better, worse or undecided, of a difference and its p (Holm's, where there are several);
    "" where no p can be given. `sign` of an improvement.
    """
    if np.isnan(p):
        return ""
    if p >= LEVEL:
        return "undecided"
    return "better" if sign * difference > 0 else "worse"


def chance_level(classes: Any, samples: Any) -> Any:
    """The accuracy up to which a run is no better than guessing on `samples` test samples.

    p + 2 sqrt(p (1 - p) / samples),   p = 1 / classes
    """
    p = 1 / classes
    return p + 2 * np.sqrt(p * (1 - p) / samples)
