"""The measured initial states, by what they depend on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from fdi.analysis.collect import KEYS, PLACE, SHARED
from fdi.analysis.conditions import LABELS, condition_columns, conditions, shown
from fdi.analysis.results import Results
from fdi.analysis.select import kept

OWNERS = ("dataset.", "model.", "neuron.", "init.")  # keys that an initial state depends on
Rows = list[dict[str, Any]]


def measured(results: Results) -> Iterator[tuple[dict[str, str], Rows, list[Rows]]]:
    """For each initial state: the texts that tell it from others, one run for each seed, and the
    rows of their probes. Runs that differ only in their training share an initial state.
    """
    runs = kept(results.runs, results.runs["path"].isin(results.probe["path"]))
    if runs.empty:
        return
    runs = runs.assign(state="done")
    columns = [
        name
        for name in condition_columns(runs)
        if name in (*LABELS, *SHARED) or name.startswith(OWNERS)
    ]
    placed = runs[[*columns, "seed", "state"]].assign(**{PLACE: np.arange(len(runs))})
    states = [
        runs.iloc[members.drop_duplicates("seed")[PLACE]]
        for _, members in conditions(placed, columns)
    ]
    layers: dict[str, Rows] = defaultdict(list)
    for row in _rows(results.probe_of(pd.concat([seeds[list(KEYS)] for seeds in states]))):
        layers[row["path"]].append(row)
    for seeds in states:
        first = seeds.iloc[0]
        labels = {name: shown(first[name]) for name in columns if pd.notna(first[name])}
        yield labels, _rows(seeds), [layers[path] for path in seeds["path"]]


def _rows(table: pd.DataFrame) -> Rows:
    """The rows of a table, with None for unknown numbers."""
    rows: list[dict[Any, Any]] = table.to_dict("records")
    return [
        {
            key: None if isinstance(value, float) and value != value else value
            for key, value in r.items()
        }
        for r in rows
    ]


def frame(records: Rows) -> pd.DataFrame:
    """Rows as a table, empty where a row lacks a key."""
    return pd.DataFrame(records)
