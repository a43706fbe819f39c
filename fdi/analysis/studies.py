"""Studies: what packages beside fdi add to its tables, figures and report.

A study is a package with an entry point in the group `fdi.studies`; fdi's own one, fdi.study, is
one of them. What its `__init__` defines of the following is used, and `published.yaml` beside it:

FIGURES                    names of its modules that describe a figure, as in fdi.figures
reference(folder)          -> the measurements that it keeps in a folder, None for any other folder
PLAIN                      config key -> value: what these have in common in all figures that do not
                           vary the key
sections(mine, measured)   -> (heading, HTML) of the report, from the user's own results and from
                           the measurements of studies, two fdi.analysis.results.Results: `runs`,
                           a row per run with the columns of `fdi-table --csv`, `curves`, `probe`
published.yaml             `sources`: tag -> where numbers come from; `values`: each a `Published`
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import entry_points
from importlib.resources import files
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
import yaml

from fdi.analysis.collect import Runs, checked
from fdi.analysis.derived import architecture, depth
from fdi.analysis.results import OWN, Results, own
from fdi.config import Mistake
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


def drawn(runs: Runs, varied: Sequence[str] = ()) -> pd.DataFrame:
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


@dataclass(frozen=True)
class Published:
    """A test accuracy (share, 0 to 1) and its spread `sd` as others published them, for a network
    of `depth` hidden layers; shown beside measured ones, never averaged with them.

    `source`: the tag of where it comes from. `where`: what was run. `config`: values the run must
    have to be the same experiment, by column of the run table.
    """

    dataset: str
    model: str
    depth: int
    init: str
    accuracy: float
    source: str
    where: str
    sd: float | None = None
    config: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        spread = "" if self.sd is None else f" +- {100 * self.sd:.1f}"
        return f"{100 * self.accuracy:.1f}{spread} [{self.source}] {self.where}"


@cache
def quotes() -> tuple[tuple[Published, ...], dict[str, str]]:
    """What the studies quote, and the meaning of each tag of a source; a line for a file that does
    not say it, and for a tag with two meanings.
    """
    values: list[Published] = []
    sources: dict[str, str] = {}
    for study in studies():
        file = files(study) / "published.yaml"
        with spared(str(file)):
            if file.is_file():
                several, tags = _quoted(yaml.safe_load(file.read_text(encoding="utf-8")), sources)
                values += several
                sources |= tags
    return tuple(values), sources


def _quoted(content: Any, known: Mapping[str, str]) -> tuple[list[Published], dict[str, str]]:
    """What one file says. Raises fdi.Mistake for one that does not say it, and for a tag that has
    another meaning among the `known` sources.
    """
    try:
        several = [Published(**entry) for entry in content["values"]]
        tags = {str(tag): str(meaning) for tag, meaning in content["sources"].items()}
        unknown = {entry.source for entry in several} - {*tags}
        [(f"{entry}", dict(entry.config)) for entry in several]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise Mistake(f"it needs sources and values, see {__name__}: {error}") from None
    if unknown:
        raise Mistake(f"no source {min(unknown)}; add it to sources")
    if twice := [tag for tag in tags if known.get(tag, tags[tag]) != tags[tag]]:
        raise Mistake(f"another study calls its source {twice[0]}, too; rename it")
    return several, tags


def published(run: Mapping[str, Any]) -> list[Published]:
    """What was published for the data set, architecture, depth and initialization of `run` (a
    finished row of the run table).
    """
    return of_depth(run, depth(run))


def columns() -> tuple[str, ...]:
    """The columns of the run table that `published` asks for beside data set, model,
    initialization and rates.
    """
    return tuple(dict.fromkeys(key for entry in quotes()[0] for key in entry.config))


def of_depth(run: Mapping[str, Any], layers: int) -> list[Published]:
    """`published`, for a run whose number of hidden layers is known."""
    return [
        entry
        for entry in quotes()[0]
        if all(run[key] == getattr(entry, key) for key in ("dataset", "init"))
        and entry.model == architecture(run["model"])
        and entry.depth == layers
        and all(run.get(key) == value for key, value in entry.config.items())
    ]
