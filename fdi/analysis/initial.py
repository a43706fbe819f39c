"""The measured initial states, by what they depend on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from fdi.analysis.collect import KEYS, SHARED
from fdi.analysis.conditions import LABELS, condition_columns, conditions, groups
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
    states = [runs.iloc[places].drop_duplicates("seed") for _, places in conditions(runs, columns)]
    found = results.probe_of(pd.concat([seeds[list(KEYS)] for seeds in states]))
    rows = found.astype(object).where(found.notna(), None)  # None for unknown numbers
    layers: dict[str, Any] = {
        path: of.to_dict("records") for path, of in groups(rows, "path", sort=False)
    }
    for seeds in states:
        first = seeds.iloc[0]
        labels = {name: shown(first[name]) for name in columns if pd.notna(first[name])}
        yield labels, [layers.get(path, []) for path in seeds["path"]]
