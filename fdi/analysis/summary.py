"""The summary: one row per condition, statistics over its seeds, the difference to a baseline, what
was published.

Columns (accuracies are shares, 0 to 1, on the test set):

    dataset, model, init, and the config columns that differ
    n                                 seeds of finished runs; everything below is about these
    failed, partial                   runs that failed, and runs that are not finished; not part of
                                      the statistics
    accuracy, sd, low, high           after the last epoch: mean, standard deviation, 95 % interval
                                      of the mean (Student's t, with the noise of a test set below
                                      500 samples, cut at 0 and 1)
    accuracy_best                     with the weights of the best validation epoch: mean
    valid                             on the validation split, after the last epoch: mean
    rate/<population>                 Hz: mean
    versus, versus_low, versus_high, versus_n
                                      accuracy minus that of the baseline over the seeds both have:
                                      mean, interval (paired, as above), seeds
    versus_p                          of that difference, by Holm's method over all comparisons of a
                                      data set and model, as the interval: it holds 0 where this is
                                      0.05 or more
    verdict                           better or worse than the baseline where versus_p < 0.05, else
                                      undecided
    tags, note                        of the user's own, of all runs of the row; where there are any
    published                         percent, source and circumstances, as text

The baseline of a condition is the one of the initialization `versus`, kaiming unless given, that
agrees in all columns but those of `init`; without exactly one there is no difference. With
versus="best" it is the one among these that is best on the validation split, which the test set has
no part in choosing. The name is in `table.attrs`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from fdi.analysis.collect import PLACE
from fdi.analysis.conditions import LABELS, UNTRAINED, condition_columns, conditions
from fdi.analysis.statistics import Comparison, correct, paired, sample_noise, summary, verdict
from fdi.analysis.studies import columns as asked
from fdi.analysis.studies import published
from fdi.analysis.table_types import Runs, checked
from fdi.config import Mistake
from fdi.config.parts import choose

BASELINE, BEST_OF_ALL = "kaiming", "best"
SAMPLES = "test_samples"
ACCURACY, BEST, VALID = "test_accuracy_last", "test_accuracy_best", "valid_accuracy_last"
VERSUS = ("versus", "versus_low", "versus_high", "versus_n", "versus_p")
SAID = ("tags", "note")
LAST = ("versus_p", "verdict", *SAID, "published")  # columns


def summarize(runs: Runs, versus: str = BASELINE) -> pd.DataFrame:
    """The summary of a table of runs (fdi.analysis.collect.runs); raises ValueError if no run in it
    is readable, or none is of the initialization `versus`.
    """
    checked(runs, Runs, "the table of runs")
    if versus not in (BASELINE, BEST_OF_ALL) and versus not in set(runs["init"]):
        raise Mistake(
            f"--versus {versus}: no such run; {choose(versus, {*runs['init'], BEST_OF_ALL})}"
        )
    if (runs["state"] == "broken").all():
        raise Mistake(
            f"all {len(runs)} runs are broken, the first one: {runs['path'].iloc[0]}: "
            f"{runs['error'].iloc[0]}"
        )
    if runs["state"].isin(UNTRAINED).all():
        raise Mistake(f"{len(runs)} runs, none of them trained: there is nothing to summarize")
    columns = condition_columns(runs)
    rates = [column for column in map(str, runs) if column.startswith("rate/")]
    measured = [ACCURACY, BEST, VALID, SAMPLES, *rates]
    known = {name: runs[name].array for name in (*LABELS, *asked(), *rates) if name in runs}
    numbers, seeds = runs[measured].to_numpy(dtype=float), pair_numbers(runs)
    states = runs["state"].to_numpy(dtype=str)
    said = [name for name in SAID if name in runs and runs[name].notna().any()]
    placed = runs[[*columns, "state"]].assign(**{PLACE: np.arange(len(runs))})
    members = {key: rows[PLACE].to_numpy() for key, rows in conditions(placed, columns)}
    by_seed = {
        condition: _by_seed(seeds[done], numbers[done])
        for condition, places in members.items()
        for done in [places[states[places] == "done"]]
    }
    baselines = _baselines(by_seed, columns, versus)
    found = [
        _versus(
            by_seed[condition],
            [
                numbers
                for other, numbers in baselines.get(_partner(condition, columns), {}).items()
                if other != condition and (versus == BEST_OF_ALL or condition[2] != versus)
            ],
        )
        for condition in members
    ]
    networks = ["/".join(map(str, condition[:2])) for condition in members]
    rows = [
        {
            **dict(zip(columns, condition)),
            **_counts(states[places], by_seed[condition]),
            **_statistics(by_seed[condition].numbers, measured),
            **_difference(comparison),
            **{name: _texts(runs[name].array[places]) for name in said},
            "published": "; ".join(
                map(str, published({name: values[places[0]] for name, values in known.items()}))
            ),
        }
        for (condition, places), comparison in zip(members.items(), correct(found, networks))
    ]
    table = pd.DataFrame(rows)
    table["verdict"] = [verdict(*row) for row in zip(table["versus"], table["versus_p"])]
    last = [column for column in LAST if column in table]
    table = table[[*(column for column in table if column not in LAST), *last]]
    table.attrs["versus"] = versus
    return table


def _texts(values: Iterable[Any]) -> str:
    """Each once, in the order of the runs."""
    return "; ".join(dict.fromkeys(str(value) for value in values if pd.notna(value)))


def pair_numbers(runs: Runs, same_data: bool = True) -> np.ndarray:
    """A number for each seed and, on the `same_data`, checksum of the splits: two runs are a pair
    where it is equal.
    """
    shared = ["seed", *(["data_checksum"] if same_data and "data_checksum" in runs else [])]
    return runs.groupby(shared, dropna=False).ngroup().to_numpy()


class BySeed(NamedTuple):
    """The numbers of the finished runs of a condition: one row per pair (`seeds`: its number), the
    first column is ACCURACY; means where one has several runs.
    """

    seeds: np.ndarray
    numbers: np.ndarray


def _by_seed(seeds: np.ndarray, numbers: np.ndarray) -> BySeed:
    distinct, places = np.unique(seeds, return_inverse=True)
    if len(distinct) == len(seeds):
        return BySeed(distinct, numbers[np.argsort(places)])
    means = pd.DataFrame(numbers).groupby(places).mean()
    return BySeed(distinct, means.to_numpy())


def _counts(states: np.ndarray, by_seed: BySeed) -> dict[str, int]:
    done, failed = states == "done", states == "failed"
    return {
        "n": len(by_seed.seeds),
        "failed": int(failed.sum()),
        "partial": int((~done & ~failed).sum()),
    }


def _means(numbers: np.ndarray) -> np.ndarray:
    """Of each column, over what is known of it."""
    known = ~np.isnan(numbers)
    sums, counts = np.where(known, numbers, 0.0).sum(axis=0), known.sum(axis=0)
    return np.where(counts, sums / np.maximum(counts, 1), np.nan)


def _statistics(numbers: np.ndarray, measured: Sequence[str]) -> dict[str, float]:
    means = dict(zip(measured, _means(numbers).tolist()))
    noise = sample_noise(means[ACCURACY], means[SAMPLES])
    _, mean, sd, low, high = summary(numbers[:, 0], noise)
    rates = {column: means[column] for column in measured if column.startswith("rate/")}
    return {
        "accuracy": mean,
        "sd": sd,
        "low": np.maximum(low, 0.0),
        "high": np.minimum(high, 1.0),
        "accuracy_best": means[BEST],
        "valid": means[VALID],
        **rates,
    }


def _difference(found: Comparison | None) -> dict[str, float]:
    if found is None:
        return dict.fromkeys(VERSUS, float("nan"))
    return dict(zip(VERSUS, (found.mean, found.low, found.high, found.n, found.p)))


def _versus(by_seed: BySeed, baselines: list[BySeed]) -> Comparison | None:
    if len(baselines) != 1:
        return None
    _, own, other = np.intersect1d(by_seed.seeds, baselines[0].seeds, return_indices=True)
    ours, theirs = by_seed.numbers[own], baselines[0].numbers[other]
    means = [dict(zip((ACCURACY, BEST, VALID, SAMPLES), _means(side))) for side in (ours, theirs)]
    a, b = (sample_noise(side[ACCURACY], side[SAMPLES]) for side in means)
    return paired(ours[:, 0], theirs[:, 0], float(np.hypot(a, b))).within(1.0)


def _baselines(
    by_seed: dict[tuple[Any, ...], BySeed], columns: Sequence[str], versus: str
) -> dict[tuple[Any, ...], dict[tuple[Any, ...], BySeed]]:
    """Those of each partner, by condition."""
    by_partner: dict[tuple[Any, ...], dict[tuple[Any, ...], BySeed]] = defaultdict(dict)
    for condition, accuracies in by_seed.items():
        if versus in (condition[2], BEST_OF_ALL) and len(accuracies.seeds):
            by_partner[_partner(condition, columns)][condition] = accuracies
    if versus == BEST_OF_ALL:
        return {
            partner: dict([max(several.items(), key=lambda item: _on_validation(item[1]))])
            for partner, several in by_partner.items()
        }
    return by_partner


def _on_validation(by_seed: BySeed) -> float:
    """Mean accuracy; where there was no validation split, on the test set."""
    accuracy, _, valid = _means(by_seed.numbers)[:3]
    return float(accuracy if np.isnan(valid) else valid)


def _partner(condition: tuple[Any, ...], columns: Sequence[str]) -> tuple[Any, ...]:
    """What a condition and its baseline have in common."""
    return tuple(
        value for column, value in zip(columns, condition) if column.split(".")[0] != "init"
    )
