"""What figures and tables are made of: runs, their learning curves and their initial states, of the
user and of studies.

A study is a package with an entry point in the group `fdi.studies`; fdi's own one, fdi.study, is
one of them. What its `__init__` defines of the following is used:

FIGURES                    names of its modules that describe a figure, as in fdi.figures
reference(folder)          -> the measurements that it keeps in a folder, None for any other folder
PLAIN                      config key -> value: what these have in common in all figures that do not
                           vary the key
sections(mine, measured)   -> (heading, HTML) of the report, from the user's own results and from
                           the measurements of studies, two `Results`: `runs`, a row per run with
                           the columns of `fdi-table --csv`, `curves`, `probe`
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType

import pandas as pd

from fdi.analysis.collect import METRIC, Runs, checked, runs
from fdi.analysis.metrics import curves, probes
from fdi.config.metric import of_rows
from fdi.track.files import spared

TARGET, BASELINES = "init._target_", "fdi.init.baselines."
OWN = "own runs"
EXAMPLE = "fdi-run -m init=kaiming,fluct 'seed=range(3)'"  # makes runs, where there are none
GROUP = "fdi.studies"
READOUT, SPLITS = "readout", ("train", "valid")


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
    curves: pd.DataFrame | None
    probed: pd.DataFrame | None
    folder: Path

    @cached_property
    def probe(self) -> pd.DataFrame:
        return probes(self.runs) if self.probed is None else self.probed

    def probe_of(self, runs: Runs) -> pd.DataFrame:
        """The initial states of some of the runs."""
        return self.probe[self.probe["path"].isin(runs["path"])]

    @property
    def layers(self) -> pd.DataFrame:
        """The initial states of the hidden populations."""
        return self.probe[self.probe["population"] != READOUT]

    def of(self, runs: Runs) -> Results:
        """The same of some of the runs; the initial states stay those of all."""
        return replace(self, runs=runs, probed=self.probe)

    def curves_of(self, runs: Runs) -> pd.DataFrame:
        """The learning curves of some of the runs."""
        if self.curves is not None:
            return self.curves[self.curves["path"].isin(runs["path"])]
        found = curves(runs)  # with what the runs are judged by in place of an accuracy
        for text in runs[METRIC].dropna().unique() if METRIC in runs else ():
            for split in SPLITS:
                if (own := f"{split}/{of_rows([text]).name}") in found:
                    values, usual = found.pop(own), f"{split}/accuracy"
                    found[usual] = found[usual].fillna(values) if usual in found else values
        return found

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
    checked(table)
    return Results(with_origin(table, OWN), None, None, results)


def with_origin(table: pd.DataFrame, source: str | pd.Series) -> pd.DataFrame:
    """`table` with the columns `source` and `baseline`."""
    targets = table[TARGET] if TARGET in table else pd.Series("", index=table.index, dtype=str)
    baseline = [str(target).startswith(BASELINES) for target in targets]
    return table.assign(source=source, baseline=baseline)


@cache
def studies() -> tuple[ModuleType, ...]:
    """The packages of the studies that are installed; a line for one that cannot be imported."""
    found = []
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        with spared(f"the study {entry.module}"):
            try:
                found.append(entry.load())
            except ModuleNotFoundError as error:  # uninstalled in parts
                if not f"{entry.module}.".startswith(f"{error.name}."):
                    raise
    return tuple(found)


def of_folder(folder: Path) -> Results:
    """The measurements that a study keeps in `folder`, or the runs below `folder`/runs."""
    for study in studies():
        with spared(f"the reference of {study.__name__}"):
            found = study.reference(folder) if hasattr(study, "reference") else None
            if found is not None:
                checked(found.runs)
                return found
    return own(folder)


def comparable(runs: Runs, varied: Sequence[str] = ()) -> pd.DataFrame:
    """The runs that figures show: the user's own, and of those of studies the ones that differ
    from the PLAIN of a study in `varied` keys only. A run that does not mention a key has its
    value.
    """
    shipped = runs["source"] != OWN
    for study in studies():
        with spared(f"PLAIN of {study.__name__}"):
            for key, value in getattr(study, "PLAIN", {}).items():
                if key not in varied and key in runs:
                    other = shipped & runs[key].notna() & (runs[key] != value)
                    runs, shipped = runs[~other], shipped[~other]
    return runs
