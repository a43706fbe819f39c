"""What others measured, with where it comes from; shown beside our numbers, never averaged with
them.

Rossbroich, Gygax, Zenke (2022), Neuromorph. Comput. Eng. 2, 044016, unless the source says
otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

SOURCES = {
    "P": "first-party: the paper's abstract, or the SHD leaderboard",
    "K": "the authors' notebooks",
    "2": "second-hand: quoted by others, not seen in the paper",
}

LAYER = re.compile(r"^rate/[a-z]*")


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
    Published("shd", "conv_recurrent", 7, "kaiming", 0.045, 0.0, "2", "7 layers"),
    Published("shd", "conv_recurrent", 7, "fluct", 0.809, 0.012, "2", "7 layers", UNIT),
    Published("shd", "dale", 1, "fluct", 0.834, None, "K", "one run", UNIT),
    Published("cifar10", "conv", 4, "kaiming", 0.100, None, "2", "4 layers"),
    Published("cifar10", "conv", 4, "fluct", 0.656, None, "2", "4 layers", UNIT),
    Published("dvs_gesture", "conv", 8, "kaiming", 0.091, None, "2", "8 layers"),
    Published("dvs_gesture", "conv", 8, "fluct", 0.864, None, "2", "8 layers", UNIT),
    Published("dvs_gesture", "conv", 4, "fluct", 0.845, None, "K", "one run, 20 epochs", UNIT),
)


def published(run: Mapping[str, Any]) -> list[Published]:
    """What was published for the data set, architecture, depth and initialization of `run` (a
    finished row of the run table).
    """
    return [
        entry
        for entry in PUBLISHED
        if all(run[key] == getattr(entry, key) for key in ("dataset", "init"))
        and entry.model == architecture(run["model"])
        and entry.depth == depth(run)
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
    return runs.assign(layers=[depth(run) for run in runs.to_dict("records")])
