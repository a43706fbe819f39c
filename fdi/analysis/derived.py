"""Columns of runs that are made of several keys of the config, and quantities that are measured:
what the figure of a sweep may name beside the columns of fdi.analysis.collect.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd

from fdi.analysis.bounds import MODES, modes
from fdi.analysis.contrasts import PERCENT
from fdi.analysis.results import Results
from fdi.analysis.select import with_layers
from fdi.analysis.summary import ACCURACY
from fdi.analysis.table_types import Runs

Values = Callable[[pd.DataFrame], pd.Series]


class Column(NamedTuple):
    """`of` makes it from the run table; NaN where it says nothing of a run. `keys`: those of the
    config that differ where it does. `order`: of its values.
    """

    of: Values
    keys: tuple[str, ...]
    order: tuple[str, ...] = ()


def _in_loss(runs: Runs) -> pd.Series:
    """Which bounds on the activity are in the loss; NaN where they are trained alone first."""
    return modes(runs).replace("", np.nan)


REGIMES = ("none", "joint", "prime", "prime + joint")


def _homeostasis(runs: Runs) -> pd.Series:
    """Whether bounds on the activity are in the loss, trained alone first, or both."""
    runs = runs.reindex(columns=["homeostasis.prime_epochs", "homeostasis.joint"])
    primed, joint = runs["homeostasis.prime_epochs"] > 0, runs["homeostasis.joint"].eq(True)
    return (2 * primed + joint).map(dict(enumerate(REGIMES)))


NORMS = {"none": "", "tdbn": "tdBN", "bntt": "BNTT", "layer": "layer norm"}
NEITHER = "neither"


def _instead(runs: Runs) -> pd.Series:
    """The normalization and the skip connections of a network."""
    runs = runs.reindex(columns=["model.norm", "model.skip"])
    return pd.Series(
        [
            " + ".join(filter(None, [NORMS.get(norm, norm), "skip" * bool(skip)])) or NEITHER
            if pd.notna(norm) and pd.notna(skip)
            else np.nan
            for norm, skip in zip(runs["model.norm"], runs["model.skip"])
        ],
        index=runs.index,
        dtype=object,
    )


def _part(group: str) -> Values:
    """The last name of the `_target_` of a group of the config, "none" where there is none."""

    def name(runs: Runs) -> pd.Series:
        targets = runs.reindex(columns=[f"{group}._target_"])[f"{group}._target_"]
        return targets.astype(object).fillna("none").map(lambda name: name.rpartition(".")[2])

    return name


def _recurrent(runs: Runs) -> pd.Series:
    """Whether a network has weights within a layer."""
    wired = pd.Series(False, index=runs.index)
    names = ("model.recurrent", "model.recurrent_kernel", "model.recurrent_excitation")
    for column in runs.columns.intersection(names):
        wired |= ~runs[column].astype(str).isin(["False", "0", "0.0", "nan", "None"])
    return wired


ALONE = [NEITHER, *filter(None, NORMS.values()), "skip"]
COLUMNS = {
    "bounds": Column(_in_loss, ("homeostasis.",), MODES),
    "homeostasis": Column(_homeostasis, ("homeostasis.",), REGIMES),
    "instead": Column(
        _instead,
        ("model.norm", "model.skip", "engine."),  # some engines compute no norms
        (*ALONE, *(f"{norm} + skip" for norm in ALONE[1:-1])),
    ),
    "layers": Column(lambda runs: with_layers(runs)["layers"], ("model.depth",)),
    "neuron": Column(_part("neuron"), ("neuron.", "engine.")),
    "optimizer": Column(_part("optimizer"), ("optimizer.",)),
    "populations": Column(lambda runs: runs.filter(like="rate/").notna().sum(axis=1), ()),
    "recurrent": Column(_recurrent, ()),
    "scheduler": Column(_part("scheduler"), ("scheduler.", "scheduler")),
}
"""By the names of fdi.config.settings.DERIVED."""


class Quantity(NamedTuple):
    """What a panel shows, in words; `of` makes it from the run table. `most`: no mean is larger."""

    title: str
    of: Values
    most: float = np.inf


def of_hidden(start: str) -> Values:
    """The mean over the hidden populations, or the projections to them, of the columns that begin
    with `start`.
    """

    def mean(runs: Runs) -> pd.Series:
        names = [name for name in map(str, runs) if name.startswith(start)]
        names = [name for name in names if not name.endswith("->readout")]
        return runs[names].astype(float).mean(axis=1)

    return mean


QUANTITIES = {
    "accuracy": Quantity("test accuracy (%)", lambda runs: PERCENT * runs[ACCURACY], PERCENT),
    "rate": Quantity(
        "rate after training (Hz), mean of the hidden populations", of_hidden("rate/")
    ),
    "moved": Quantity("movement of hidden weights, |W - W$_0$| / |W$_0$|", of_hidden("moved/")),
    "alignment": Quantity(
        "alignment of hidden spikes, before and after (1: unchanged)", of_hidden("alignment/"), 1.0
    ),
    "epochs": Quantity("epochs trained", lambda runs: runs["epoch"]),
    "seconds": Quantity("duration of a run (s)", lambda runs: runs["seconds"]),
}
RATE_BY_LAYER = "rate_by_layer"
"""The rate of each hidden layer before training, where x is largest: a quantity with an axis of its
own.
"""


def column(name: str, results: Results) -> pd.Series:
    """A column of the run table, or one of COLUMNS; NaN where there is none."""
    runs = results.runs
    if name in COLUMNS:
        return COLUMNS[name].of(runs)
    return runs[name] if name in runs else pd.Series(np.nan, index=runs.index)
