"""Conditions: runs that differ in their seed only."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from fdi.analysis.collect import config_columns
from fdi.analysis.select import kept
from fdi.analysis.table_types import Runs
from fdi.track.record import UNTESTED

LABELS = ("dataset", "model", "init")
NAMING = re.compile(r"\.(_target_|name)$")
"""The end of a key that names what its group chose."""
UNTRAINED = ("broken", "probed", UNTESTED)


def condition_columns(runs: Runs) -> list[str]:
    """dataset, model, init and the config columns that differ between runs which one would take for
    repetitions otherwise.

    A key is compared between runs with the same data set and model, a key of `init` only between
    those of the same init, and a key of an object only between those with the same `_target_`,
    which otherwise differs itself.
    """
    readable = kept(runs, ~runs["state"].isin(UNTRAINED))
    return [
        *LABELS,
        *(
            column
            for column in config_columns(runs)
            if column != "seed" and _differs(readable, column)
        ),
    ]


def conditions(
    runs: Runs, columns: Sequence[str]
) -> Iterator[tuple[tuple[Any, ...], pd.DataFrame]]:
    """For each condition the values of `columns`, None where a key is absent, and its runs, in the
    order of these values. Runs in a state of UNTRAINED belong to no condition.
    """
    readable = kept(runs, ~runs["state"].isin(UNTRAINED))
    ordered = readable.sort_values(list(columns), key=_sortable, kind="stable")
    for values, members in ordered.groupby(list(columns), dropna=False, sort=False):
        yield tuple(None if pd.isna(value) else value for value in values), members


def short_names(columns: Sequence[str]) -> dict[str, str]:
    """Column -> the shortest end of its dotted name that no other column has: model.hidden ->
    hidden, optimizer._target_ -> optimizer, engine.name -> engine.
    """
    parts = {column: NAMING.sub("", column).split(".") for column in columns}
    ends = {
        column: [".".join(names[i:]) for i in reversed(range(len(names)))]
        for column, names in parts.items()
    }
    times = Counter(end for column in columns for end in ends[column])
    return {
        column: next((end for end in ends[column] if times[end] == 1), column) for column in columns
    }


def shown(value: Any) -> str:
    """A value of a condition as short text: true, null, 0.5, or the class of a `_target_`."""
    if value is None:
        return "null"
    if isinstance(value, bool | np.bool_):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}"
    return (
        str(value).rpartition(".")[2] if str(value).startswith(("fdi.", "torch.")) else str(value)
    )


def _differs(runs: Runs, column: str) -> bool:
    if runs[column].nunique(dropna=False) < 2:
        return False
    owner = column.split(".")[0]
    target = f"{owner}._target_"
    within = [
        "dataset",
        "model",
        *(["init"] if owner == "init" else []),
        *([target] if target in runs and target != column else []),
    ]
    return bool(
        (runs.groupby(within, dropna=False, sort=False)[column].nunique(dropna=False) > 1).any()
    )


def _sortable(column: pd.Series) -> pd.Series:
    return column if pd.api.types.is_numeric_dtype(column) else column.map(shown)
