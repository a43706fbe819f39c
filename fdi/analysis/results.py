"""All that figures and tables are made of: the user's own runs, or the measurements that come with
fdi.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fdi.analysis.baseline import TARGET, is_baseline
from fdi.analysis.collect import (
    KEYS,
    PLACE,
    VALID,
    accuracies,
    columns,
    config_columns,
    curves,
    runs,
)
from fdi.analysis.index import Index, index, stamp
from fdi.config.identity import ADDED
from fdi.track.layout import PROBE
from fdi.track.state import read_probe

EXACT: dict[str, Any] = {}  # numbers to their last bit, as all of pandas 3.1 reads
if tuple(map(int, pd.__version__.split(".")[:2])) < (3, 1):
    EXACT["float_precision"] = "round_trip"
OWN = "own runs"
REFERENCE = "results/reference, commit "
RUNS, CURVES, PROBES, PROVENANCE = "runs.csv", "curves", "probe.csv", "provenance.csv"
READOUT = "readout"
PROBED = "probe"  # kind of entries of the index
PART = 5000  # runs whose initial states are collected at a time
Curve = tuple[np.ndarray, np.ndarray]
NAME = (
    "dataset",
    "model",
    "init",
    "seed",
    "id",
)  # what tells runs apart in the files of the reference


@dataclass(frozen=True)
class Results:
    """Three tables that share the columns `collect.KEYS`, and the folder that holds the runs, and
    measurements that are none.

    `runs`: `collect.runs`, `source`, where they come from, and `baseline`, is their initialization
    one. `curves`: accuracies and rates of `collect.curves`; None leaves them in the folders of the
    runs. `probe`: the initial states, a row per run and population, with the columns of init.json;
    `probed` None: they are read from the folders of the runs when they are needed.
    """

    runs: pd.DataFrame
    curves: pd.DataFrame | None
    probed: pd.DataFrame | None
    folder: Path

    @cached_property
    def probe(self) -> pd.DataFrame:
        return probes(self.runs, self.folder) if self.probed is None else self.probed

    @property
    def layers(self) -> pd.DataFrame:
        """The initial states of the hidden populations."""
        return self.probe[self.probe["population"] != READOUT]

    def of(self, runs: pd.DataFrame) -> Results:
        """The same of some of the runs."""
        return replace(self, runs=runs)

    def curves_of(self, runs: pd.DataFrame) -> pd.DataFrame:
        """The learning curves of some of the runs."""
        if self.curves is None:
            return curves(runs, _drawn)
        return self.curves[self.curves["path"].isin(runs["path"])]

    def learning(self, runs: pd.DataFrame) -> dict[str, Curve]:
        """Path -> epochs of the task, counted from 1, and the validation accuracies after them, of
        the runs that have some.
        """
        if self.curves is not None:
            return _learning(self.curves_of(runs))
        found: dict[str, Curve] = {}
        shared: dict[bytes, np.ndarray] = {}  # tens of thousands of runs have the same epochs
        for path, values in accuracies(runs, self.folder):
            places = np.flatnonzero(~np.isnan(values))
            epochs = shared.setdefault(places.tobytes(), places + 1)
            if len(epochs):
                found[path] = (epochs, values if len(epochs) == len(values) else values[places])
        return found

    def table(self, name: str) -> pd.DataFrame:
        """`<name>.csv` of the folder, with its first line, a comment, as the column `source`; empty
        where there is no such file.
        """
        path = self.folder / f"{name}.csv"
        if not path.exists():
            return pd.DataFrame()
        with path.open(encoding="utf-8") as file:
            first = file.readline()
        source = first.removeprefix("#").strip() if first.startswith("#") else str(path)
        return pd.read_csv(path, comment="#").assign(source=source)


def found(folder: Path, probed: bool = False) -> Results:
    """What `fdi.analysis.reference.write` wrote to `folder`, or the runs below `folder`/runs, with
    their initial states if `probed`.
    """
    if (folder / RUNS).exists():
        return reference(folder)
    table = runs(folder)
    return Results(table, None, probes(table if probed else table.iloc[:0], folder), folder)


def own(results: Path) -> Results:
    """The runs below `results`/runs."""
    return of_runs(runs(results), results)


def of_runs(table: pd.DataFrame, results: Path) -> Results:
    """Some of the runs below `results`/runs: rows of `collect.runs`."""
    return Results(_origin(table, OWN), None, None, results)


def reference(folder: Path) -> Results:
    """What `fdi.analysis.reference.write` wrote to `folder`; no rows where it wrote nothing."""
    if not (folder / RUNS).exists():
        nothing = runs(folder)
        return Results(_origin(nothing, ""), curves(nothing), None, folder)
    texts = {"id": str, "error": str, "provenance": str}
    table = numbers(_keyed(pd.read_csv(folder / RUNS, dtype=texts, **EXACT)))
    commits = (
        pd.read_csv(folder / PROVENANCE, dtype=str)
        .set_index("provenance")["commit"]
        .str.replace(r"^(.{7})\w*", r"\1", regex=True)
    )
    table = _before(table)
    table = _origin(table, REFERENCE + table["provenance"].map(commits).fillna("unknown"))
    parts = [
        pd.read_csv(file, dtype={"id": str, "phase": str})
        for file in sorted((folder / CURVES).glob("*.csv"))
    ]
    learning = (
        pd.concat(parts, ignore_index=True)
        if parts
        else pd.DataFrame(columns=[*NAME, "epoch", "phase"])
    )
    return Results(
        table, _keyed(learning), _keyed(pd.read_csv(folder / PROBES, dtype={"id": str})), folder
    )


def _before(table: pd.DataFrame) -> pd.DataFrame:
    """`table` with what keys that came later (fdi.config.identity.ADDED) would have said in runs
    before them, of an object with the same class.
    """
    filled = {}
    for column, value in ADDED.items():
        target = f"{column.split('.')[0]}._target_"
        if value is not None and column in table and target in table:
            owners = table.loc[table[column].notna(), target].unique()
            filled[column] = table[column].mask(
                table[column].isna() & table[target].isin(owners), value
            )
    return table.assign(**filled)


def numbers(table: pd.DataFrame) -> pd.DataFrame:
    """`table` with one number for "1", 1.0 and 1 in columns of the config that have texts, too."""
    mixed = [column for column in config_columns(table) if table[column].dtype == object]
    return table.assign(**{column: table[column].map(_number) for column in mixed}).copy()


def _number(value: Any) -> Any:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return value
    return int(number) if number.is_integer() and not isinstance(value, bool) else value


def probes(table: pd.DataFrame, results: Path) -> pd.DataFrame:
    """The initial states of the runs in `table`, which are below `results`."""
    parts = []
    with index(results) as kept:
        for start in range(0, len(table), PART):
            paths = table["path"].iloc[start : start + PART]
            values, count = columns(
                {PLACE: place} | row
                for place, path in enumerate(paths, start)
                for row in _probe(path, kept)
            )
            parts += [pd.DataFrame(values)] if count else []
    if not parts:
        return pd.DataFrame(columns=[*KEYS, "population"])
    rows = pd.concat(parts, ignore_index=True)
    places = rows.pop(PLACE)
    keys = table[list(KEYS)].iloc[places].reset_index(drop=True)
    return pd.concat([keys, rows.drop(columns=KEYS, errors="ignore")], axis=1)


def _probe(path: str, kept: Index) -> list[dict[str, Any]]:
    """The rows of init.json, from the index where the file is as it was."""
    key = stamp(path, (PROBE,))
    if known := kept.find(PROBED, path, key):
        return json.loads(known[0])
    rows = read_probe(Path(path))
    kept.keep(PROBED, path, key, json.dumps(rows))
    return rows


def _learning(curves: pd.DataFrame) -> dict[str, Curve]:
    """The same of learning curves in one table."""
    if VALID not in curves:
        return {}
    task = curves.loc[curves["phase"] == "task", ["path", "epoch", VALID]]
    first = task.groupby("path", observed=True)["epoch"].transform("min")
    task = task.assign(epoch=task["epoch"] - first + 1).dropna(subset=VALID)
    task = task.sort_values("path", kind="stable")
    paths = task["path"].drop_duplicates()
    starts = np.flatnonzero(~task["path"].duplicated())[1:]
    parts = [np.split(task[name].to_numpy(), starts) for name in ("epoch", VALID)]
    return dict(zip(paths, zip(*parts)))


def _origin(table: pd.DataFrame, source: str | pd.Series) -> pd.DataFrame:
    """`table` with the columns `source` and `baseline`."""
    targets = table[TARGET] if TARGET in table else pd.Series("", index=table.index, dtype=str)
    return table.assign(source=source, baseline=targets.map(is_baseline).astype(bool))


def _drawn(column: str) -> bool:
    """Of the columns of metrics.csv, those that figures and tables need."""
    return column.endswith("/accuracy") or column.startswith("rate/")


def _keyed(table: pd.DataFrame) -> pd.DataFrame:
    """`path` from the columns that tell runs apart, as in a folder of runs; `state` of a table that
    has none is "done".
    """
    names = [
        f"{row.dataset}/{row.model}/{row.init}/seed={row.seed}-{row.id}"
        for row in table[list(NAME)].itertuples()
    ]
    keyed = table.copy().assign(path=names, state=table.get("state", "done"))
    return keyed[[*KEYS, *(column for column in keyed if column not in KEYS)]]
