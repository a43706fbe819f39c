"""What learning curves add to the summary: how soon, how much on the way, and how often not at all.

Columns, of the finished runs of a condition (accuracies are shares, of the validation split unless
said otherwise):

    chance                  share of runs whose test accuracy is no better than guessing
    area                    area under the learning curve, a mean accuracy over the epochs of the
                            task
    target                  90 % of the highest mean accuracy (last epoch) of any condition with the
                            same data set and model
    epochs_to, reached      first epoch of the task with that accuracy, mean over the seeds that
                            get there, and how many these are
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pandas as pd

from fdi.analysis.collect import Runs, metric_of
from fdi.analysis.conditions import BASELINE, by_seed, condition_columns, conditions
from fdi.analysis.derived import guesses
from fdi.analysis.results import Curve, Results
from fdi.analysis.summary import summarize

SHARE = 0.9  # of the best accuracy
MEANS = ["chance", "area", "last"]
UNKNOWN: Curve = (np.zeros(1), np.full(1, np.nan))


def full(results: Results, versus: str = BASELINE) -> pd.DataFrame:
    """The summary with the columns above, before `published`; `versus` as there. Raises ValueError
    if there is nothing to summarize.
    """
    summary = summarize(results.runs, versus)
    curves = results.learning(results.runs[results.runs["state"] == "done"])
    runs = _learned(results.runs, curves)
    columns, done = condition_columns(results.runs), (runs["state"] == "done").to_numpy()
    members = [places[done[places]] for _, places in conditions(runs, columns)]
    seeds = by_seed(runs, MEANS, members)
    last = pd.Series([of.mean("last") for of in seeds], summary.index, dtype=float)
    metric = metric_of(results.runs)
    best = last.groupby([summary["dataset"], summary["model"]])
    target_of = metric.near(best.transform("min" if metric.lower else "max"), SHARE)
    first, paths = np.full(len(runs), np.nan), runs["path"].to_numpy()
    for places, target in zip(members, target_of):
        of = [curves.get(path, UNKNOWN) for path in paths[places]]
        first[places] = [first_epoch(*curve, target, metric.sign) for curve in of]
    firsts = by_seed(runs.assign(first=first), ["first"], members)
    wide = summary.assign(
        chance=[of.mean("chance") for of in seeds],
        area=[of.mean("area") for of in seeds],
        target=target_of,
        epochs_to=[of.mean("first") for of in firsts],
        reached=[len(of.of("first")) for of in firsts],
    )
    return wide[[*(column for column in wide if column != "published"), "published"]]


def _learned(runs: Runs, curves: dict[str, Curve]) -> pd.DataFrame:
    """The runs with the columns of MEANS, NaN where they are not known."""
    known = runs[["test_accuracy_last", "classes", "test_samples"]].notna().all(axis=1)
    of = [curves.get(path, UNKNOWN) for path in runs["path"]]
    return runs.assign(
        chance=guesses(runs).astype(float).where(known),
        area=[area(*curve) for curve in of],
        last=[accuracy[-1] for _, accuracy in of],
    )


def first_epoch(epochs: np.ndarray, accuracy: np.ndarray, target: float, sign: int = 1) -> float:
    """The first of the recorded `epochs` whose accuracy reaches the target, with the `sign` of an
    improvement; NaN without one.
    """
    reached = np.flatnonzero(sign * accuracy >= sign * target)
    return float(epochs[reached[0]]) if len(reached) else np.nan


def area(epochs: np.ndarray, accuracy: np.ndarray) -> float:
    """Trapezoids between the recorded epochs, of which the reference keeps about 60 of a long
    training, divided by their length.
    """
    if len(epochs) == 1:
        return float(accuracy[0])
    trapezoids = np.diff(epochs) * (accuracy[1:] + accuracy[:-1]) / 2
    return float(trapezoids.sum() / (epochs[-1] - epochs[0]))


def by_network(results: Results) -> Iterator[pd.DataFrame]:
    """The summary with the columns above of the finished runs of each data set and model."""
    done = results.runs[results.runs["state"] == "done"]
    for _, group in done.groupby(["dataset", "model"]):
        yield full(replace(results, runs=group))
