"""The summary: a row a condition, statistics over its seeds, the difference to a baseline, what was
published.

Columns (accuracies are shares, 0 to 1, on the test set):

    dataset, model, init, and the config columns that differ
    n                                 seeds of finished runs; everything below is about these
    failed, partial                   runs that failed, and runs that are not finished; not part
    of the statistics
    accuracy, sd, low, high           after the last epoch: mean, standard deviation, 95 %
    interval of the mean (Student's t, with the noise of a test set below 500 samples, cut at 0
    and 1)
    accuracy_best                     with the weights of the best validation epoch: mean
    valid                             on the validation split, after the last epoch: mean
    rate/<population>                 Hz: mean
    versus, versus_low, versus_high, versus_n
                                      accuracy minus that of kaiming over the seeds both have: mean,
                                      95 % interval (paired, as above), seeds
    versus_p                          of that difference, by Holm's method over all comparisons of
                                      the table
    verdict                           better or worse than kaiming where versus_p < 0.05, else
                                      undecided
    published                         percent, source and circumstances, as text

The baseline of a condition is the kaiming one that agrees in all columns but those of `init`;
without exactly one there is no difference.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from fdi.analysis.conditions import UNTRAINED, condition_columns, conditions
from fdi.analysis.published import published
from fdi.analysis.statistics import holm, paired, sample_noise, summary, verdict

BASELINE = "kaiming"
SAMPLES = "test_samples"
ACCURACY, BEST, VALID = "test_accuracy_last", "test_accuracy_best", "valid_accuracy_last"
VERSUS = ("versus", "versus_low", "versus_high", "versus_n", "versus_p")
LAST = ("versus_p", "verdict", "published")  # columns


def summarize(runs: pd.DataFrame) -> pd.DataFrame:
    """The summary of a table of runs (fdi.analysis.collect.runs); raises ValueError if no run in it
    is readable.
    """
    if (runs["state"] == "broken").all():
        raise ValueError(
            f"all {len(runs)} runs are broken, the first one: {runs['path'].iloc[0]}: "
            f"{runs['error'].iloc[0]}"
        )
    if runs["state"].isin(UNTRAINED).all():
        raise ValueError(f"{len(runs)} runs, none of them trained: there is nothing to summarize")
    columns = condition_columns(runs)
    measured = [
        ACCURACY,
        BEST,
        VALID,
        SAMPLES,
        *(column for column in runs if column.startswith("rate/")),
    ]
    members = dict(conditions(runs, columns))
    by_seed = {
        condition: found[found["state"] == "done"].groupby("seed")[measured].mean()
        for condition, found in members.items()
    }
    baselines = _baselines(by_seed, columns)
    rows = [
        {
            **dict(zip(columns, condition)),
            **_counts(members[condition]),
            **_statistics(by_seed[condition]),
            **_versus(
                by_seed[condition],
                baselines.get(_partner(condition, columns), []) if condition[2] != BASELINE else [],
            ),
            "published": "; ".join(map(str, published(members[condition].iloc[0].to_dict()))),
        }
        for condition in members
    ]
    table = pd.DataFrame(rows)
    table["versus_p"] = holm(table["versus_p"])
    table["verdict"] = [verdict(*row) for row in zip(table["versus"], table["versus_p"])]
    return table[[*(column for column in table if column not in LAST), *LAST]]


def _counts(runs: pd.DataFrame) -> dict[str, int]:
    states = runs["state"]
    done, failed = states == "done", states == "failed"
    return {
        "n": int(runs.loc[done, "seed"].nunique()),
        "failed": int(failed.sum()),
        "partial": int((~done & ~failed).sum()),
    }


def _statistics(by_seed: pd.DataFrame) -> dict[str, float]:
    means = by_seed.mean()
    noise = sample_noise(means[ACCURACY], means[SAMPLES])
    _, mean, sd, low, high = summary(by_seed[ACCURACY], noise)
    rates = {column: means[column] for column in by_seed if column.startswith("rate/")}
    return {
        "accuracy": mean,
        "sd": sd,
        "low": np.maximum(low, 0.0),
        "high": np.minimum(high, 1.0),
        "accuracy_best": means[BEST],
        "valid": means[VALID],
        **rates,
    }


def _versus(by_seed: pd.DataFrame, baselines: list[pd.DataFrame]) -> dict[str, float]:
    if len(baselines) != 1:
        return dict.fromkeys(VERSUS, float("nan"))
    common = by_seed.index.intersection(baselines[0].index)
    sides = [table.loc[common] for table in (by_seed, baselines[0])]
    a, b = (sample_noise(side[ACCURACY].mean(), side[SAMPLES].mean()) for side in sides)
    found = paired(*(side[ACCURACY] for side in sides), float(np.hypot(a, b))).within(1.0)
    return dict(zip(VERSUS, (found.mean, found.low, found.high, found.n, found.p)))


def _baselines(
    by_seed: dict[tuple[Any, ...], pd.DataFrame], columns: Sequence[str]
) -> dict[tuple[Any, ...], list[pd.DataFrame]]:
    found: dict[tuple[Any, ...], list[pd.DataFrame]] = defaultdict(list)
    for condition, accuracies in by_seed.items():
        if condition[2] == BASELINE and len(accuracies):
            found[_partner(condition, columns)].append(accuracies)
    return found


def _partner(condition: tuple[Any, ...], columns: Sequence[str]) -> tuple[Any, ...]:
    """What a condition and its baseline have in common."""
    return tuple(
        value for column, value in zip(columns, condition) if column.split(".")[0] != "init"
    )
