"""What others measured, with where it comes from; shown beside our numbers, never averaged with
them.

Rossbroich, Gygax, Zenke (2022), Neuromorph. Comput. Eng. 2, 044016, unless the source says
otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

SOURCES = {
    "P": "first-party: the paper's abstract, or the SHD leaderboard",
    "K": "the authors' notebooks",
    "2": "second-hand: quoted by others, not seen in the paper",
}


@dataclass(frozen=True)
class Published:
    """A test accuracy (share, 0 to 1) and its spread as published; `source` is a key of SOURCES,
    `where` says what was run.

    `config`: values the run must have to be the same experiment, by column of the run table.
    """

    dataset: str
    model: str
    init: str
    accuracy: float
    sd: float | None
    source: str
    where: str
    config: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        spread = "" if self.sd is None else f" +- {100 * self.sd:.1f}"
        return f"{100 * self.accuracy:.1f}{spread} [{self.source}] {self.where}"


UNIT_SPREAD = {"init.sigma_u": 1.0}

PUBLISHED = (
    Published(
        "randman",
        "dense",
        "fluct",
        0.963,
        None,
        "K",
        "one run, 1 x 128, 200 epochs",
        {**UNIT_SPREAD, "trainer.epochs": 200},
    ),
    Published("shd", "dense", "fluct", 0.550, None, "K", "one run, 3 x 128", UNIT_SPREAD),
    Published("shd", "conv_recurrent", "fluct", 0.835, 0.015, "P", "3 layers", UNIT_SPREAD),
    Published("shd", "conv_recurrent", "fluct", 0.827, None, "K", "one run, 3 layers", UNIT_SPREAD),
    Published("shd", "conv_recurrent", "kaiming", 0.045, 0.0, "2", "7 layers"),
    Published("shd", "conv_recurrent", "fluct", 0.809, 0.012, "2", "7 layers", UNIT_SPREAD),
    Published("shd", "dale", "fluct", 0.834, None, "K", "one run", UNIT_SPREAD),
    Published("cifar10", "conv", "kaiming", 0.100, None, "2", "4 layers"),
    Published("cifar10", "conv", "fluct", 0.656, None, "2", "4 layers", UNIT_SPREAD),
    Published("dvs_gesture", "conv", "kaiming", 0.091, None, "2", "8 layers"),
    Published("dvs_gesture", "conv", "fluct", 0.864, None, "2", "8 layers", UNIT_SPREAD),
    Published("dvs_gesture", "conv", "fluct", 0.845, None, "K", "one run, 20 epochs", UNIT_SPREAD),
)


def published(run: Mapping[str, Any]) -> list[Published]:
    """What was published for the data set, model and initialization of `run` (a row of the run
    table).
    """
    return [
        entry
        for entry in PUBLISHED
        if all(run[key] == getattr(entry, key) for key in ("dataset", "model", "init"))
        and all(run.get(key) == value for key, value in entry.config.items())
    ]
