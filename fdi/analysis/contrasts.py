"""Means with their intervals, and differences between runs that agree in their seed and in
everything else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from fdi.analysis.collect import config_columns
from fdi.analysis.select import depth, kept, where
from fdi.analysis.statistics import Comparison, correct, paired, sample_noise, summary, verdict
from fdi.analysis.summary import ACCURACY, BASELINE, VERSUS, pair_numbers
from fdi.analysis.table_types import Runs

PERCENT = 100.0
STATISTICS = ("mean", "sd", "n", "low", "high")


class Contrast(NamedTuple):
    """`one` minus `other`: the mean of `quantity` on each side over common seeds, and the paired
    difference. `run` is a row of the run table that has what both sides have in common.
    """

    run: dict[str, Any]
    quantity: str
    one: float
    other: float
    difference: Comparison


def setting(run: Mapping[str, Any]) -> str:
    """Data set, how many samples it was cut to, the length of its `trial` where that is
    known, architecture, depth and
    length of training.
    """
    layers, cut, trial = depth(run), run.get("dataset.max_train"), run.get("trial")
    data = run["dataset"] + (f" ({cut:,.0f} samples)" if pd.notna(cut) else "")
    data += f" in {trial:g} s" if pd.notna(trial) else ""
    epochs = run["trainer.epochs"]
    return f"{data}, {run['model']}, {layers} layer{'s' if layers > 1 else ''}, {epochs:.0f} epochs"


def contrasts(
    runs: Runs,
    one: Mapping[str, Any],
    other: Mapping[str, Any],
    quantity: str = ACCURACY,
    scale: float = PERCENT,
) -> Iterator[Contrast]:
    """The finished runs with the values `one` against those with the values `other`: a contrast for
    each set of runs that otherwise agrees in everything but the arguments of the initialization.
    """
    done = kept(runs, runs["state"] == "done")
    a, b = where(done, one).assign(_one=True), where(done, other).assign(_one=False)
    both = pd.concat([a, b])
    free = ("seed", *one, *other)
    keys = [
        "dataset",
        "model",
        *(
            column
            for column in config_columns(done)
            if column not in free
            and not column.startswith("init.")
            and both[column].nunique(dropna=False) > 1
        ),
    ]
    same_data = not any(key.startswith("dataset") for key in free)
    for _, group in both.groupby(keys, dropna=False, sort=False) if len(both) else ():
        means = (
            group.groupby(["_one", pair_numbers(group, same_data)])[quantity].mean().dropna()
            * scale
        )
        if means.index.get_level_values("_one").nunique() == 2:
            first, second = means[True], means[False]
            seeds = first.index.intersection(second.index)
            if len(seeds):
                first, second = first[seeds], second[seeds]
                run = group.iloc[0].to_dict()
                difference = difference_of(first, second, run["test_samples"], quantity, scale)
                yield Contrast(run, quantity, first.mean(), second.mean(), difference)


def difference_of(
    one: pd.Series,
    other: pd.Series,
    samples: float,
    quantity: str = ACCURACY,
    scale: float = PERCENT,
) -> Comparison:
    """`one` minus `other`, paired by seed. Of accuracies the interval lies within +-`scale` and
    includes the noise of `samples` test samples.
    """
    if quantity != ACCURACY:
        return paired(one, other)
    a, b = (sample_noise(side.mean() / scale, samples) for side in (one, other))
    return paired(one, other, scale * float(np.hypot(a, b))).within(scale)


def moments(
    runs: Runs,
    by: Sequence[str],
    quantity: str,
    scale: float = 1.0,
    most: float = np.inf,
) -> pd.DataFrame:
    """Mean, standard deviation, number of seeds and 95 % interval (Student's t, of an accuracy with
    the noise of a small test set, cut at 0 and `most`) of `quantity`: a row per combination of
    `by`, columns *by, mean, sd, n, low, high.
    """
    rows = []
    for values, group in runs.groupby(list(by), dropna=False):
        seeds = group.groupby("seed")[quantity].mean().dropna()
        samples = group["test_samples"].min() if quantity == ACCURACY else np.nan
        noise = scale * sample_noise(seeds.mean(), samples)
        n, mean, sd, low, high = summary(scale * seeds, noise)
        if n:
            rows.append((*values, mean, sd, n, np.maximum(low, 0.0), np.minimum(high, most)))
    return pd.DataFrame(rows, columns=[*by, *STATISTICS])


def accuracies(
    runs: Runs,
    by: Sequence[str],
    within: Sequence[str] = (),
    base: Mapping[str, Any] = {"init": BASELINE},
) -> pd.DataFrame:
    """`moments` of the test accuracy in percent, with the columns of the difference to the runs
    with the values `base` that agree in `within` (both of them columns of `by`), its `p` alone, and
    `verdict`: p and interval of the difference are those of Holm's method over all rows.
    """
    table = moments(runs, by, ACCURACY, PERCENT, PERCENT)
    groups = [
        (PERCENT * group.groupby("_pair")[ACCURACY].mean(), group["test_samples"].min())
        for _, group in runs.assign(_pair=pair_numbers(runs)).groupby(list(by), dropna=False)
        if group[ACCURACY].notna().any()
    ]
    alone = [_versus(table, groups, i, within, base) for i in range(len(table))]
    table["p"] = [np.nan if each is None else each.p for each in alone]
    versus = [
        (np.nan,) * len(VERSUS) if c is None else (c.mean, c.low, c.high, c.n, c.p)
        for c in correct(alone, np.zeros(len(table)))
    ]
    table = table.join(pd.DataFrame(versus, columns=VERSUS, index=table.index, dtype=float))
    return table.assign(verdict=[verdict(*row) for row in zip(table["versus"], table["versus_p"])])


def _versus(
    table: pd.DataFrame,
    groups: Sequence[tuple[pd.Series, float]],
    row: int,
    within: Sequence[str],
    base: Mapping[str, Any],
) -> Comparison | None:
    baselines = where(table, {**base, **table.loc[row, list(within)]}).index
    if len(baselines) != 1 or row in baselines:
        return None
    (a, samples), (b, _) = groups[row], groups[baselines[0]]
    common = a.index.intersection(b.index)
    return difference_of(a[common], b[common], samples)


def best(runs: Runs, by: Sequence[str], key: str) -> pd.DataFrame:
    """Of the runs that agree in `by`, those with the value of `key` (a column) whose mean
    validation accuracy after the last epoch is highest. What is chosen on validation may be
    reported on the test set.
    """
    valid = runs.groupby([*by, key], dropna=False)["valid_accuracy_last"].transform("mean")
    top = valid.groupby([runs[column] for column in by], dropna=False).transform("max")
    chosen = runs[valid == top]
    same = chosen.groupby([*by, key], dropna=False).ngroup()
    first = same.groupby([chosen[column] for column in by], dropna=False).transform("min")
    return chosen[same == first]
