"""What learning curves add to the summary: how soon, how much on the way, and how often not at all.

Columns, of the finished runs of a condition (accuracies are shares, of the validation split unless
said otherwise):

    chance                  share of runs whose test accuracy is no better than guessing
    area                    area under the learning curve, a mean accuracy over the epochs of the
    task
    target                  90 % of the highest mean accuracy (last epoch) of any condition with the
    same data set and model
    epochs_to, reached      first epoch of the task with that accuracy, mean over the runs that
    get there, and how many these are
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd

from fdi.analysis.collect import PLACE
from fdi.analysis.conditions import condition_columns, conditions
from fdi.analysis.results import Curve, Results
from fdi.analysis.select import groups, kept
from fdi.analysis.statistics import area, chance_share, epochs_to
from fdi.analysis.summary import BASELINE, summarize
from fdi.analysis.table_types import Runs

SHARE = 0.9  # of the best accuracy
COUNTED = ("test_accuracy_last", "classes", "test_samples")
COLUMNS = ("chance", "area", "target", "epochs_to", "reached")


def full(results: Results, versus: str = BASELINE) -> pd.DataFrame:
    """The summary with the columns above, before `published`; `versus` as there. Raises ValueError
    if there is nothing to summarize.
    """
    summary = summarize(results.runs, versus)
    columns = condition_columns(results.runs)
    done = (results.runs["state"] == "done").to_numpy()
    placed = results.runs[[*columns, "state"]].assign(**{PLACE: np.arange(len(done))})
    places = [group[PLACE].to_numpy() for _, group in conditions(placed, columns)]
    curves = results.learning(results.runs[done])
    members = [_members(results.runs, group[done[group]], curves) for group in places]
    last = [_mean(float(accuracy[-1]) for _, accuracy in group.curves) for group in members]
    best = (
        pd.Series(last, dtype=float)
        .groupby([summary["dataset"], summary["model"]])
        .transform("max")
    )
    rows = [_learning(group, SHARE * top) for group, top in zip(members, best)]
    wide = summary.join(pd.DataFrame(rows, columns=COLUMNS, index=summary.index))
    wide = wide[[*(column for column in wide if column != "published"), "published"]]
    wide.attrs |= summary.attrs
    return wide


class Members(NamedTuple):
    """The finished runs of a condition: learning curves, and (test accuracy, classes, test samples)
    of each, as far as they are known.
    """

    curves: list[Curve]
    counted: np.ndarray


def _members(runs: Runs, places: np.ndarray, curves: dict[str, Curve]) -> Members:
    paths = runs["path"].array.take(places)
    counted = np.stack([runs[name].to_numpy()[places] for name in COUNTED], axis=1)
    return Members(
        [curves[path] for path in paths if path in curves],
        counted[~np.isnan(counted).any(axis=1)],
    )


def _learning(members: Members, target: float) -> dict[str, float]:
    firsts = (first_epoch(*curve, target) for curve in members.curves)
    reached = [float(epoch) for epoch in firsts if pd.notna(epoch)]
    return {
        "chance": _mean(
            chance_share([accuracy], int(classes), int(samples))
            for accuracy, classes, samples in members.counted
        ),
        "area": _mean(_area(*curve) for curve in members.curves),
        "target": target,
        "epochs_to": _mean(reached),
        "reached": len(reached),
    }


def first_epoch(epochs: np.ndarray, accuracy: np.ndarray, target: float) -> float:
    """The first of the recorded `epochs` whose accuracy reaches the target; NaN without one."""
    place = float(epochs_to(accuracy, target))
    return float(epochs[int(place) - 1]) if pd.notna(place) else place


def _area(epochs: np.ndarray, accuracy: np.ndarray) -> float:
    """The area with the accuracies between two recorded epochs filled in: the reference keeps about
    60 epochs of a long training.
    """
    if len(epochs) == epochs[-1] - epochs[0] + 1:
        return float(area(accuracy))
    trapezoids = np.diff(epochs) * (accuracy[1:] + accuracy[:-1]) / 2
    return float(trapezoids.sum() / (epochs[-1] - epochs[0]))


def _mean(values: Iterable[float]) -> float:
    values = list(values)
    return sum(values) / len(values) if values else float("nan")


def by_network(results: Results) -> Iterator[pd.DataFrame]:
    """The summary with the columns above of the finished runs of each data set and model."""
    done = kept(results.runs, results.runs["state"] == "done")
    for _, group in groups(done, ["dataset", "model"]):
        yield full(replace(results, runs=group))
