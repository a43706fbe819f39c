"""Means with their intervals, and their differences to a baseline, of the runs of a figure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from fdi.analysis.collect import ACCURACY, SAMPLES, VALID, Runs, metric_of
from fdi.analysis.conditions import (
    BASELINE,
    VERSUS,
    Seeds,
    by_seed,
    difference,
    spread,
    where,
)
from fdi.analysis.statistics import PERCENT, Comparison, correct, verdict

STATISTICS = ("mean", "sd", "n", "low", "high")
TESTED = (ACCURACY, SAMPLES)


def moments(
    runs: Runs,
    by: Sequence[str],
    quantity: str,
    scale: float = 1.0,
    most: float = np.inf,
) -> pd.DataFrame:
    """`spread` of `quantity` over the seeds: a row per combination of `by`, columns *by, mean, sd,
    n, low, high.
    """
    names = TESTED if quantity == ACCURACY else (quantity,)
    rows = []
    for values, seeds in _cells(runs, by, names):
        samples = seeds.mean(SAMPLES) if quantity == ACCURACY else np.nan
        found = spread(seeds.of(quantity), samples, scale, most)
        rows.append((*values, *(getattr(found, name) for name in STATISTICS)))
    return pd.DataFrame(rows, columns=[*by, *STATISTICS])


def _cells(
    runs: Runs, by: Sequence[str], names: Sequence[str]
) -> Iterator[tuple[tuple[Any, ...], Seeds]]:
    """Each combination of `by` for which the first of the `names` is known, and its seeds."""
    places: dict[Any, Any] = runs.groupby(list(by), dropna=False).indices
    for values, seeds in zip(places, by_seed(runs, names, [*places.values()])):
        if len(seeds.of(names[0])):
            yield values if isinstance(values, tuple) else (values,), seeds


def accuracies(
    runs: Runs,
    by: Sequence[str],
    within: Sequence[str] = (),
    base: Mapping[str, Any] = {"init": BASELINE},
) -> pd.DataFrame:
    """`moments` of the test accuracy in percent, or of what else the runs are judged by, with the
    columns of the difference to the runs with the values `base` that agree in `within` (both of
    them columns of `by`), its `p` alone, and `verdict`: p and interval of the difference are those
    of Holm's method over all rows.
    """
    metric = metric_of(runs)
    table = moments(runs, by, ACCURACY, metric.scale, PERCENT)
    seeds = [of for _, of in _cells(runs, by, TESTED)]
    alone: list[Comparison | None] = []
    for row in range(len(table)):
        baselines = where(table, {**base, **table.loc[row, list(within)]}).index
        one = len(baselines) == 1 and row not in baselines
        found = difference(seeds[row], seeds[baselines[0]], scale=metric.scale) if one else None
        alone.append(found)
    table["p"] = [np.nan if each is None else each.p for each in alone]
    versus = [*map(versus_columns, correct(alone, np.zeros(len(table))))]
    table = table.join(pd.DataFrame(versus, columns=VERSUS, index=table.index, dtype=float))
    each = zip(table["versus"], table["versus_p"])
    return table.assign(verdict=[verdict(*row, metric.sign) for row in each])


def versus_columns(found: Comparison | None) -> dict[str, float]:
    """The columns VERSUS of a difference, NaN where there is none."""
    if found is None:
        return dict.fromkeys(VERSUS, np.nan)
    return dict(zip(VERSUS, (found.mean, found.low, found.high, found.n, found.p)))


def best(runs: Runs, by: Sequence[str], key: str) -> pd.DataFrame:
    """Of the runs that agree in `by`, those with the value of `key` (a column) whose mean
    validation accuracy after the last epoch, or what else they are judged by, is best. What is
    chosen on validation may be reported on the test set.
    """
    means = moments(runs, [*by, key], VALID)
    means["mean"] *= metric_of(runs).sign
    top = means.groupby(list(by), dropna=False)["mean"].idxmax()
    return runs.merge(means.loc[top, [*by, key]])
