"""What others measured, with where it comes from; shown beside our numbers, never averaged with
them.

Rossbroich, Gygax, Zenke (2022), Neuromorph. Comput. Eng. 2, 044016, unless the source says
otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

SOURCES = {
    "P": "first-party: the paper's abstract, or the SHD leaderboard",
    "K": "the authors' notebooks",
    "2": "second-hand, see below",
}


def sources(tags: Iterable[str] = SOURCES) -> str:
    """What these tags mean."""
    return "; ".join(f"[{tag}] {SOURCES[tag]}" for tag in tags)


LAYER = re.compile(r"^rate/[a-z]*")
HEARSAY = (
    "Hearsay: a note by a third party gives these accuracies from Kaiming weights and from sigma_U "
    "= 1: SHD, 7 recurrent convolutions, 4.5 +- 0.0 and 80.9 +- 1.2; CIFAR-10, 4 convolutions, "
    "10.0 and 65.6; DVS128 Gesture, 8 convolutions, 9.1 and 86.4. It names no table or figure of "
    "the paper and says nothing about bounds, the readout or the gain of Kaiming weights. Nothing "
    "else supports these numbers, so nothing here is compared with them. The claims marked [2] "
    "come from the same note."
)
"""What source 2, a third party, reports of the paper."""


@dataclass(frozen=True)
class Published:
    """A test accuracy (share, 0 to 1) and its spread as published; `source` is a key of SOURCES,
    `where` says what was run.

    `depth`: hidden layers. `config`: values the run must have to be the same experiment, by column
    of the run table.
    """

    dataset: str
    model: str
    depth: int
    init: str
    accuracy: float
    sd: float | None
    source: str
    where: str
    config: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        spread = "" if self.sd is None else f" +- {100 * self.sd:.1f}"
        return f"{100 * self.accuracy:.1f}{spread} [{self.source}] {self.where}"


UNIT = {"init.sigma_u": 1.0}
RANDMAN = {**UNIT, "trainer.epochs": 200}
PUBLISHED = (
    Published("randman", "dense", 1, "fluct", 0.963, None, "K", "one run, 200 epochs", RANDMAN),
    Published("shd", "dense", 3, "fluct", 0.550, None, "K", "one run, 3 layers", UNIT),
    Published("shd", "conv_recurrent", 3, "fluct", 0.835, 0.015, "P", "3 layers", UNIT),
    Published("shd", "conv_recurrent", 3, "fluct", 0.827, None, "K", "one run, 3 layers", UNIT),
    Published("shd", "dale", 1, "fluct", 0.834, None, "K", "one run", UNIT),
    Published("dvs_gesture", "conv", 4, "fluct", 0.845, None, "K", "one run, 20 epochs", UNIT),
)
RUN = ("dataset", "model", "init")
CONFIGS = tuple(dict.fromkeys(key for entry in PUBLISHED for key in entry.config))


def published(run: Mapping[str, Any]) -> list[Published]:
    """What was published for the data set, architecture, depth and initialization of `run` (a
    finished row of the run table).
    """
    return _of(run, depth(run))


def _of(run: Mapping[str, Any], layers: int) -> list[Published]:
    return [
        entry
        for entry in PUBLISHED
        if all(run[key] == getattr(entry, key) for key in ("dataset", "init"))
        and entry.model == architecture(run["model"])
        and entry.depth == layers
        and all(run.get(key) == value for key, value in entry.config.items())
    ]


def architecture(model: str) -> str:
    """Of a model: a deep one is a preset of the same architecture."""
    return model.removesuffix("_deep")


def depth(run: Mapping[Any, Any]) -> int:
    """Hidden layers of a finished run: h1, h2, ..., or e1 and i1, e2 and i2, ... under Dale's
    law.
    """
    layers = {LAYER.sub("", key) for key in run if key.startswith("rate/") and pd.notna(run[key])}
    return len(layers)


def with_layers(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs with `layers`, how many hidden ones they have."""
    rates = [name for name in map(str, runs) if name.startswith("rate/")]
    known = runs[rates].notna()
    there = [known[rate].rename(LAYER.sub("", rate)) for rate in rates]
    layers = {name: [c for c in there if c.name == name] for name in {c.name for c in there}}
    present = [pd.concat(columns, axis=1).any(axis=1) for columns in layers.values()]
    return runs.assign(layers=sum(present, start=pd.Series(0, index=runs.index)).astype(int))


def with_runs(runs: pd.DataFrame) -> set[str]:
    """What was published for one of the finished `runs`, as text."""
    columns = [*RUN, *(key for key in CONFIGS if key in runs)]
    alike = with_layers(runs)[[*columns, "layers"]].drop_duplicates()
    rows = alike.to_dict("records")
    return {str(entry) for run in rows for entry in _of(run, run["layers"])}
