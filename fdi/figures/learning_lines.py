"""The lines of a page of learning curves: mean and interval over the seeds of a condition."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from fdi.analysis.conditions import LABELS, conditions, short_names, shown
from fdi.analysis.results import Results
from fdi.analysis.statistics import summaries
from fdi.figures import words
from fdi.figures.sweeps import source

ACCURACIES = ("train/accuracy", "valid/accuracy")


def lines(runs: pd.DataFrame, columns: Sequence[str], results: Results) -> pd.DataFrame:
    """The lines of runs that differ in seed and initialization only; empty where they have no
    curves.
    """
    parts: list[pd.DataFrame] = []
    for values, members in conditions(runs, columns):
        rows = _long(_aligned(results.curves_of(members)))
        if len(rows):
            init = members["init"].iloc[0]
            number = sum(part["init"].iloc[0] == init for part in parts)
            parts.append(rows.assign(line=name(columns, values), init=init, number=number))
    return (
        pd.concat(parts, ignore_index=True).assign(source=source(runs)) if parts else pd.DataFrame()
    )


def _aligned(metrics: pd.DataFrame) -> pd.DataFrame:
    """The rows with epochs counted from the start of the task."""
    primed = (metrics["phase"] == "prime").groupby(metrics["path"], observed=True).transform("sum")
    return metrics.assign(epoch=metrics["epoch"] - primed)


def _long(metrics: pd.DataFrame) -> pd.DataFrame:
    """Mean and interval over the seeds of one condition: a row for each quantity and epoch."""
    measured = metrics.dropna(axis="columns", how="all")
    quantities = [q for q in map(str, measured) if q in ACCURACIES or q.startswith("rate/")]
    if not quantities:
        return pd.DataFrame()
    by_seed = measured.groupby(["epoch", "seed"], observed=True)[quantities].mean().unstack()
    epochs, parts = by_seed.index.to_numpy(), []
    cube = by_seed.to_numpy().reshape(len(epochs), len(quantities), -1)
    for i, quantity in enumerate(quantities):
        values = cube[:, i, ~np.isnan(cube[:, i]).all(axis=0)]
        shared = ~np.isnan(values).any(axis=1)
        scale, most = (100.0, 100.0) if quantity in ACCURACIES else (1.0, np.inf)
        spread = summaries(scale * values[shared])
        spread["low"] = np.maximum(spread["low"], 0)
        spread["high"] = np.minimum(spread["high"], most)
        names = np.full(shared.sum(), quantity, dtype=object)
        parts.append({"epoch": epochs[shared], **spread, "quantity": names})
    return pd.DataFrame({key: np.concatenate([part[key] for part in parts]) for key in parts[0]})


def name(columns: Sequence[str], values: Sequence[Any]) -> str:
    """The values of these columns as text; those of a config with the name of their key."""
    short = short_names(columns)
    return ", ".join(
        words.init(str(value))
        if column == LABELS[2]
        else str(value)
        if column in LABELS
        else f"{short[column]} = {shown(value)}"
        for column, value in zip(columns, values)
        if value is not None
    )
