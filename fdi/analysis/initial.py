"""The measured initial states, by what they depend on, and as a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from fdi.analysis.collect import KEYS, SHARED
from fdi.analysis.conditions import LABELS, condition_columns, conditions, groups
from fdi.analysis.formats import number, shown
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


OF_STATES = (
    "initial states, means over n seeds, of gradients medians: standard deviation of the membrane "
    "potential without reset in units of the threshold, its target, firing rate, norm of the "
    "gradient of the task (*: every element is below the optimizer's floor), and by which factor "
    "the standard deviation differs from its target at most (2/3: in 2 of 3 seeds)"
)
NUMBERS = {"sigma_U": "measured_sigma_u", "target": "target_sigma_u", "rate (Hz)": "rate"}


def states_in_words(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """The rows of `fdi.cli.summary.state_rows` as text; what a state lacks is empty."""
    keys = dict.fromkeys(key for row in rows for key in [*row][: [*row].index("n")])
    columns = {key: [str(row.get(key, "")) for row in rows] for key in (*keys, "n", "layer")}
    for name, key in NUMBERS.items():
        form = ".1f" if key == "rate" else ".2f"
        columns[name] = [number(row[key], form) for row in rows]
    columns["gradient"] = [
        number(row["gradient"], ".2g") + "*" * row["below_floor"] for row in rows
    ]
    columns["verdict"] = [
        row["verdict"] + f" ({row['agree']}/{row['n']})" * (row["agree"] < row["n"]) for row in rows
    ]
    return pd.DataFrame(columns, dtype=str)
