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

from collections.abc import Iterable

import numpy as np
import pandas as pd

from fdi.analysis.conditions import condition_columns, conditions
from fdi.analysis.results import Results
from fdi.analysis.statistics import area, chance_share, epochs_to
from fdi.analysis.table import summarize

SHARE = 0.9  # of the best accuracy
COLUMNS = ("chance", "area", "target", "epochs_to", "reached")


def full(results: Results) -> pd.DataFrame:
    """The summary with the columns above, before `published`. Raises ValueError if there is nothing
    to summarize.
    """
    summary = summarize(results.runs)
    columns = condition_columns(results.runs)
    members = [found[found["state"] == "done"] for _, found in conditions(results.runs, columns)]
    accuracies = {
        path: curve
        for found in members
        for path, curve in _curves(results.curves_of(found)).items()
    }
    last = [
        _mean(accuracies[path][1][-1] for path in found["path"] if path in accuracies)
        for found in members
    ]
    best = (
        pd.Series(last, dtype=float)
        .groupby([summary["dataset"], summary["model"]])
        .transform("max")
    )
    rows = [_learning(found, accuracies, SHARE * top) for found, top in zip(members, best)]
    wide = summary.join(pd.DataFrame(rows, columns=COLUMNS, index=summary.index))
    return wide[[*(column for column in wide if column != "published"), "published"]]


def _curves(curves: pd.DataFrame) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Path -> epochs of the task, counted from 1, and the validation accuracies after them."""
    if "valid/accuracy" not in curves:
        return {}
    task = curves.loc[curves["phase"] == "task", ["path", "epoch", "valid/accuracy"]]
    first = task.groupby("path", observed=True)["epoch"].transform("min")
    task = task.assign(epoch=task["epoch"] - first + 1).dropna(subset="valid/accuracy")
    task = task.sort_values("path", kind="stable")
    paths = task["path"].drop_duplicates()
    starts = np.flatnonzero(~task["path"].duplicated())[1:]
    parts = [np.split(task[name].to_numpy(), starts) for name in ("epoch", "valid/accuracy")]
    return dict(zip(paths, zip(*parts)))


def _learning(
    runs: pd.DataFrame, curves: dict[str, tuple[np.ndarray, np.ndarray]], target: float
) -> dict[str, float]:
    found = [curves[path] for path in runs["path"] if path in curves]
    reached = [
        float(epoch) for epoch in (_first(*curve, target) for curve in found) if pd.notna(epoch)
    ]
    counted = runs.dropna(subset=["classes", "test_samples"])
    failed = [
        chance_share([run.test_accuracy_last], int(run.classes), int(run.test_samples))
        for run in counted.itertuples()
    ]
    return {
        "chance": _mean(failed),
        "area": _mean(float(area(_every_epoch(*curve))) for curve in found),
        "target": target,
        "epochs_to": _mean(reached),
        "reached": len(reached),
    }


def _first(epochs: np.ndarray, accuracy: np.ndarray, target: float) -> float:
    place = float(epochs_to(accuracy, target))
    return float(epochs[int(place) - 1]) if pd.notna(place) else place


def _every_epoch(epochs: np.ndarray, accuracy: np.ndarray) -> np.ndarray:
    """The accuracies with those between two recorded epochs filled in: the reference keeps some 60
    epochs of a long training.
    """
    return np.interp(np.arange(epochs[0], epochs[-1] + 1), epochs, accuracy)


def _mean(values: Iterable[float]) -> float:
    values = list(values)
    return sum(values) / len(values) if values else float("nan")
