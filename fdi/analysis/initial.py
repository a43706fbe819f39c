"""The measured initial states, by what they depend on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pandas as pd

from fdi.analysis.collect import KEYS, SHARED
from fdi.analysis.conditions import LABELS, condition_columns, conditions, one_each
from fdi.analysis.formats import shown
from fdi.analysis.results import Results

OWNERS = ("dataset.", "model.", "neuron.", "init.")  # keys that an initial state depends on
Rows = list[dict[str, Any]]


def measured(results: Results) -> Iterator[tuple[dict[str, str], list[Rows]]]:
    """For each initial state: the texts that tell it from others, and the rows of its probes, those
    of one run for each seed. Runs that differ only in their training share an initial state.
    """
    runs = results.runs[results.runs["path"].isin(results.probe["path"])].assign(state="done")
    if runs.empty:
        return
    columns = [
        name
        for name in condition_columns(runs)
        if name in (*LABELS, *SHARED) or name.startswith(OWNERS)
    ]
    states = [one_each(runs.iloc[places]) for _, places in conditions(runs, columns)]
    layers: dict[str, Rows] = defaultdict(list)
    for row in _rows(results.probe_of(pd.concat([seeds[list(KEYS)] for seeds in states]))):
        layers[row["path"]].append(row)
    for seeds in states:
        first = seeds.iloc[0]
        labels = {name: shown(first[name]) for name in columns if pd.notna(first[name])}
        yield labels, [layers[path] for path in seeds["path"]]


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
