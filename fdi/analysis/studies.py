"""Studies: what packages beside fdi add to its tables, figures and report.

A study is a package with an entry point in the group `fdi.studies`; fdi's own one, fdi.study, is
one of them. What its `__init__` defines of the following is used:

FIGURES                    names of its modules that describe a figure, as in fdi.figures
reference(folder)          -> the measurements that it keeps in a folder, None for any other folder
PLAIN                      config key -> value: what these have in common in all figures that do not
                           vary the key
sections(mine, measured)   -> (heading, HTML) of the report, from the user's own results and from
                           the measurements of studies, two fdi.analysis.results.Results: `runs`,
                           a row per run with the columns of `fdi-table --csv`, `curves`, `probe`
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType

import pandas as pd

from fdi.analysis.collect import Runs, checked
from fdi.analysis.results import OWN, Results, own
from fdi.track.told import spared

GROUP = "fdi.studies"


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
