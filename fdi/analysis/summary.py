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

import numpy as np
import pandas as pd

from fdi.analysis.collect import ACCURACY, BEST, METRIC, TEST_SAMPLES, VALID, Runs, checked
from fdi.analysis.conditions import (
    BASELINE,
    UNTRAINED,
    by_seed,
    condition_columns,
    conditions,
    differences,
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


def summarize(runs: Runs, versus: str = BASELINE, full: bool = False) -> pd.DataFrame:
    """The summary of a table of runs (fdi.analysis.collect.runs), `full`: with `chance`; raises
    ValueError if no run in it is readable, or none is of the initialization `versus`.
    """
    _refuse(runs, versus)
    columns = condition_columns(runs)
    rates = [column for column in map(str, runs) if column.startswith(("rate/", "operations/"))]
    if full:
        known = runs[[ACCURACY, "classes", TEST_SAMPLES]].notna().all(axis=1)
        runs = runs.assign(**{CHANCE: guesses(runs).astype(float).where(known)})
        rates.append(CHANCE)
    measured = [ACCURACY, BEST, VALID, TEST_SAMPLES, *rates]
    said = [name for name in SAID if name in runs and runs[name].notna().any()]
    states = runs["state"].to_numpy(dtype=str)
    places = dict(conditions(runs, columns))
    done = [of[states[of] == "done"] for of in places.values()]
    seeds = by_seed(runs, measured, done)
    texts = runs[METRIC] if METRIC in runs else pd.Series(None, runs.index, dtype=object)
    metrics = [of_rows([texts.iloc[of[0]]]) for of in places.values()]
    within = [column for column in columns if column.split(".")[0] != "init"]
    found = differences(pd.DataFrame([*places], columns=columns), seeds, {"init": versus}, within)
    compared = correct(found, ["/".join(map(str, condition[:2])) for condition in places])
    rows = []
    for (condition, of), own, apart, metric in zip(places.items(), seeds, compared, metrics):
        reached = spread(own.of(ACCURACY), own.mean(TEST_SAMPLES), most=1.0)
        rows.append(
            {
                **dict(zip(columns, condition)),
                "n": reached.n,
                "failed": int((states[of] == "failed").sum()),
                "partial": int((~np.isin(states[of], ["done", "failed"])).sum()),
                "accuracy": reached.mean,
                "sd": reached.sd,
                "low": reached.low,
                "high": reached.high,
                "accuracy_best": own.mean(BEST),
                "valid": own.mean(VALID),
                **{column: own.mean(column) for column in rates},
                **versus_columns(apart),
                "verdict": verdict(apart.mean, apart.p, metric.sign) if apart else "",
                **({METRIC: str(metric)} if METRIC in runs else {}),
                **{n: "; ".join(map(str, runs[n].iloc[of].dropna().unique())) for n in said},
            }
        )
    table = pd.DataFrame(rows)
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
