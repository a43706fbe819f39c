"""What figures and tables are made of: runs, their learning curves and their initial states."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fdi.analysis.collect import (
    KEYS,
    OWN_INIT,
    SHARED,
    Curves,
    Probe,
    Runs,
    checked,
    config_columns,
    runs,
)
from fdi.analysis.metrics import VALID, curves, probes

TARGET = "init._target_"


@lru_cache
def is_baseline(target: Any) -> bool:
    """Whether `target`, the dotted name of a class of fdi, is a baseline; a user's own class never
    is.
    """
    module, _, name = str(target).rpartition(".")
    if not module.startswith("fdi.init."):
        return False
    try:
        return getattr(import_module(module), name).baseline is True
    except (ImportError, AttributeError):
        return False


OWN = "own runs"
REFERENCE = "results/reference, commit "
READOUT = "readout"
NEEDED = (
    "population",
    "target_sigma_u",
    "theory_sigma_u",
    "free_sigma",
    "rate",
    "silent",
    "grad",
    "grad_task",
    "grad_task_max",
    "floor_steady",
    "floor_noisy",
)
"""What figures and tables need of an initial state; fdi.analysis.metrics reads all of it."""
Curve = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Results:
    """Three tables that share the columns `collect.KEYS`, and the `folder` of the runs, which may
    hold other measurements.

    `runs`: the columns of fdi.analysis.collect; `source`, where a run comes from; and `baseline`,
    whether its initialization is one. `curves`: accuracies and rates as in fdi.analysis.metrics.
    `probe`: initial states as in fdi.analysis.metrics. Where `curves` or `probed` are None, what
    figures and tables need of them is read from the folders of the runs.
    """

    runs: Runs
    curves: Curves | None
    probed: Probe | None
    folder: Path

    @cached_property
    def probe(self) -> Probe:
        if self.probed is not None:
            return self.probed
        return probes(self.runs, NEEDED)

    def probe_of(self, runs: Runs) -> pd.DataFrame:
        """All that was measured of the initial states of some of the runs."""
        if self.probed is None:
            return probes(runs)
        return self.probed[self.probed["path"].isin(runs["path"])]

    @property
    def layers(self) -> pd.DataFrame:
        """The initial states of the hidden populations."""
        return self.probe[self.probe["population"] != READOUT]

    def of(self, runs: Runs) -> Results:
        """The same of some of the runs; the initial states stay those of all."""
        return replace(self, runs=runs, probed=self.probe)

    def curves_of(self, runs: Runs) -> pd.DataFrame:
        """The learning curves of some of the runs."""
        if self.curves is None:
            return curves(runs, _needed)
        return self.curves[self.curves["path"].isin(runs["path"])]

    def learning(self, runs: Runs) -> dict[str, Curve]:
        """Path -> epochs of the task, counted from 1, and the validation accuracies after them, of
        the runs that have some.
        """
        measured = self.curves_of(runs) if self.curves is not None else curves(runs, VALID.__eq__)
        if VALID not in measured:
            return {}
        task = measured.loc[measured["phase"] == "task", ["path", "epoch", VALID]]
        first = task.groupby("path", observed=True)["epoch"].transform("min")
        task = task.assign(epoch=task["epoch"] - first + 1).dropna(subset=VALID)
        task = task.sort_values("path", kind="stable")
        starts = np.flatnonzero(~task["path"].duplicated())
        parts = [np.split(task[name].to_numpy(), starts[1:]) for name in ("epoch", VALID)]
        return dict(zip(task["path"].iloc[starts], zip(*parts)))

    def csv(self, name: str) -> pd.DataFrame:
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


def own(results: Path) -> Results:
    """The runs below `results`/runs."""
    return of_runs(runs(results), results)


def of_runs(table: Runs, results: Path) -> Results:
    """Some of the runs below `results`/runs: rows of `collect.runs`. Raises fdi.Mistake for a table
    of something else.
    """
    checked(table, Runs, "the table of runs")
    return Results(with_origin(table, OWN), None, None, results)


def with_origin(table: pd.DataFrame, source: str | pd.Series) -> pd.DataFrame:
    """`table` with the columns `source` and `baseline`."""
    targets = table[TARGET] if TARGET in table else pd.Series("", index=table.index, dtype=str)
    return table.assign(source=source, baseline=targets.map(is_baseline).astype(bool))


def _needed(column: str) -> bool:
    """Whether figures and tables need this column of metrics.csv."""
    return column.endswith("/accuracy") or column.startswith("rate/")


EXACT: dict[str, Any] = {}  # numbers to their last bit, as all of pandas 3.1 reads
if tuple(map(int, pd.__version__.split(".")[:2])) < (3, 1):
    EXACT["float_precision"] = "round_trip"
RUNS, CURVES, PROBES, PROVENANCE = "runs.csv", "curves", "probe.csv", "provenance.csv"
NAME = ("dataset", "model", "init", "seed", "id")
"""What tells runs apart in these files."""


def of_folder(folder: Path) -> Results:
    """What scripts/study/export_reference.py wrote to `folder`, or the runs below `folder`/runs."""
    if (folder / RUNS).exists():
        return reference(folder)
    return Results(runs(folder), None, None, folder)


def reference(folder: Path) -> Results:
    """What scripts/study/export_reference.py wrote to `folder`; no rows where it wrote
    nothing.
    """
    if not (folder / RUNS).exists():
        nothing = runs(folder)
        return Results(with_origin(nothing, ""), curves(nothing), None, folder)
    as_text = ("id", "error", "provenance", "data_checksum", "data", "code", OWN_INIT)
    given = dict.fromkeys(as_text, str)
    table = numbers(_keyed(pd.read_csv(folder / RUNS, dtype=given, low_memory=False, **EXACT)))
    checked(table, Runs, str(folder / RUNS))
    commits = (
        pd.read_csv(folder / PROVENANCE, dtype=str)
        .set_index("provenance")["commit"]
        .str.replace(r"^(.{7})\w*", r"\1", regex=True)
    )
    texts = [name for name in table if isinstance(table[name].dtype, pd.StringDtype)]
    table = table.astype(dict.fromkeys(texts, object)).copy()  # one block, not one for each of them
    table = with_origin(table, REFERENCE + table["provenance"].map(commits).fillna("unknown"))
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
        table,
        _keyed(learning),
        _keyed(pd.read_csv(folder / PROBES, dtype={"id": str}, low_memory=False)),
        folder,
    )


def numbers(table: pd.DataFrame) -> pd.DataFrame:
    """`table` with one number for "1", 1.0 and 1 in columns of the config that have texts, too."""
    keys = [column for column in config_columns(table) if column not in (*SHARED, OWN_INIT)]
    mixed = [column for column in keys if table[column].dtype == object]
    return table.assign(**{column: table[column].map(_number) for column in mixed}).copy()


def _number(value: Any) -> Any:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return value
    return int(number) if number.is_integer() and not isinstance(value, bool) else value


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
