"""The summary: one row per condition, statistics over its seeds, the difference to a baseline.

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
    operations/<..>                   of a sample, see fdi.runner.operations: mean
    chance                            if asked for, share of runs no better than guessing
    versus, versus_low, versus_high, versus_n
                                      accuracy minus that of the baseline over the seeds both have:
                                      mean, interval (paired, as above), seeds
    versus_p                          of that difference, by Holm's method over all comparisons of a
                                      data set and model, as the interval: it holds 0 where this is
                                      0.05 or more
    verdict                           better or worse than the baseline where versus_p < 0.05, else
                                      undecided
    metric                            what stands in place of an accuracy, its unit and direction;
                                      only where there are such runs
    tags, note                        of the user's own, of all runs of the row; where there are any

The baseline of a condition is the one of the initialization `versus`, kaiming unless given, that
agrees in all columns but those of `init`; without exactly one there is no difference. Its name is
in `table.attrs`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from fdi.analysis.collect import ACCURACY, BEST, METRIC, SAMPLES, VALID, Runs, checked
from fdi.analysis.conditions import (
    BASELINE,
    UNTRAINED,
    Seeds,
    by_seed,
    condition_columns,
    conditions,
    difference,
    spread,
    versus_columns,
)
from fdi.analysis.derived import guesses
from fdi.analysis.statistics import correct, verdict
from fdi.config import Mistake
from fdi.config.metric import of_rows
from fdi.config.parts import choose

SAID = ("tags", "note")
CHANCE = "chance"
LAST = ("versus_p", "verdict", METRIC, *SAID)  # columns
Condition = tuple[Any, ...]


def summarize(runs: Runs, versus: str = BASELINE, full: bool = False) -> pd.DataFrame:
    """The summary of a table of runs (fdi.analysis.collect.runs), `full`: with `chance`; raises
    ValueError if no run in it is readable, or none is of the initialization `versus`.
    """
    _refuse(runs, versus)
    columns = condition_columns(runs)
    rates = [column for column in map(str, runs) if column.startswith(("rate/", "operations/"))]
    if full:
        known = runs[[ACCURACY, "classes", SAMPLES]].notna().all(axis=1)
        runs = runs.assign(**{CHANCE: guesses(runs).astype(float).where(known)})
        rates.append(CHANCE)
    measured = [ACCURACY, BEST, VALID, SAMPLES, *rates]
    said = [name for name in SAID if name in runs and runs[name].notna().any()]
    states = runs["state"].to_numpy(dtype=str)
    places = dict(conditions(runs, columns))
    done = [of[states[of] == "done"] for of in places.values()]
    seeds = dict(zip(places, by_seed(runs, measured, done)))
    texts = runs[METRIC] if METRIC in runs else pd.Series(None, runs.index, dtype=object)
    metrics = [of_rows([texts.iloc[of[0]]]) for of in places.values()]
    bases = _baselines(seeds, columns, versus)
    found = [
        difference(of, seeds[base])
        if (base := bases.get(_partner(condition, columns))) and condition != base
        else None
        for condition, of in seeds.items()
    ]
    networks = ["/".join(map(str, condition[:2])) for condition in places]
    rows = [
        {
            **dict(zip(columns, condition)),
            **_statistics(states[of], seeds[condition], rates),
            **versus_columns(comparison),
            **{name: _texts(runs[name].array[of]) for name in said},
            **({METRIC: str(metric)} if METRIC in runs else {}),
        }
        for (condition, of), comparison, metric in zip(
            places.items(), correct(found, networks), metrics
        )
    ]
    table = pd.DataFrame(rows)
    differences = zip(table["versus"], table["versus_p"], metrics)
    table["verdict"] = [verdict(mean, p, metric.sign) for mean, p, metric in differences]
    last = [column for column in LAST if column in table]
    table = table[[*(column for column in table if column not in LAST), *last]]
    table.attrs["versus"] = versus
    return table


def _refuse(runs: Runs, versus: str) -> None:
    checked(runs)
    if versus != BASELINE and versus not in set(runs["init"]):
        raise Mistake(f"--versus {versus}: no such run; {choose(versus, {*runs['init']})}")
    if (runs["state"] == "broken").all():
        raise Mistake(
            f"all {len(runs)} runs are broken, the first one: {runs['path'].iloc[0]}: "
            f"{runs['error'].iloc[0]}"
        )
    if runs["state"].isin(UNTRAINED).all():
        raise Mistake(f"{len(runs)} runs, none of them trained: there is nothing to summarize")


def _texts(values: Iterable[Any]) -> str:
    """Each once, in the order of the runs."""
    return "; ".join(dict.fromkeys(str(value) for value in values if pd.notna(value)))


def _statistics(states: np.ndarray, seeds: Seeds, rates: Sequence[str]) -> dict[str, float]:
    n, mean, sd, low, high = spread(seeds.of(ACCURACY), seeds.mean(SAMPLES), most=1.0)
    return {
        "n": n,
        "failed": int((states == "failed").sum()),
        "partial": int((~np.isin(states, ["done", "failed"])).sum()),
        "accuracy": mean,
        "sd": sd,
        "low": low,
        "high": high,
        "accuracy_best": seeds.mean(BEST),
        "valid": seeds.mean(VALID),
        **{column: seeds.mean(column) for column in rates},
    }


def _baselines(
    seeds: dict[Condition, Seeds], columns: Sequence[str], versus: str
) -> dict[Condition, Condition]:
    """The baseline of the conditions with equal `_partner`; none where there are several."""
    found: dict[Condition, list[Condition]] = {}
    for condition, of in seeds.items():
        if condition[2] == versus and len(of.pair):
            found.setdefault(_partner(condition, columns), []).append(condition)
    return {partner: several[0] for partner, several in found.items() if len(several) == 1}


def _partner(condition: Condition, columns: Sequence[str]) -> Condition:
    """What a condition and its baseline have in common."""
    return tuple(
        value for column, value in zip(columns, condition) if column.split(".")[0] != "init"
    )
