"""What others measured, with its source: published.yaml, for networks of fdi."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from fdi.analysis.collect import neutral


def architecture(model: str) -> str:
    """Of a model: a deep one is a preset of the same architecture."""
    return model.removesuffix("_deep")


@dataclass(frozen=True)
class Published:
    """A test accuracy (share, 0 to 1) and its spread `sd` as others published them, for a network
    of `depth` hidden layers; shown beside measured ones, never averaged with them.

    `source`: the tag of where it comes from, `commit` and `date`: of what the authors' code printed
    it. `where`: what was run. `config`: values the run must have to be the same experiment, by
    column of the run table.
    """

    dataset: str
    model: str
    depth: int
    init: str
    accuracy: float
    source: str
    where: str
    sd: float | None = None
    commit: str = ""
    date: datetime.date | None = None
    config: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        spread = "" if self.sd is None else f" +- {100 * self.sd:.1f}"
        when = f", {self.date.day} {self.date:%B %Y}, {self.commit}" if self.date else ""
        return f"{100 * self.accuracy:.1f}{spread} [{self.source}{when}] {self.where}"


@cache
def quotes() -> tuple[tuple[Published, ...], dict[str, str]]:
    """All values, and the meaning of each tag of a source."""
    text = files("fdi.study").joinpath("published.yaml").read_text(encoding="utf-8")
    content = yaml.safe_load(text)
    return tuple(Published(**entry) for entry in content["values"]), content["sources"]


def columns() -> tuple[str, ...]:
    """The columns of the run table that `published` asks for beside data set, model and
    initialization.
    """
    return tuple(dict.fromkeys(key for entry in quotes()[0] for key in entry.config))


def published(run: Mapping[str, Any], layers: int) -> list[Published]:
    """What was published for the data set, architecture and initialization of `run`, a finished row
    of the run table, with that many hidden layers.
    """
    return [
        entry
        for entry in quotes()[0]
        if all(run[key] == getattr(entry, key) for key in ("dataset", "init"))
        and entry.model == architecture(run["model"])
        and entry.depth == layers
        and all(run.get(key, neutral().get(key)) == value for key, value in entry.config.items())
    ]
