"""Columns of runs that are made of several keys of the config, and quantities that are measured:
what the figure of a sweep may name beside the columns of fdi.analysis.collect.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from fdi.analysis.collect import ACCURACY, Runs
from fdi.analysis.statistics import PERCENT, chance_level
from fdi.config import Mistake

LAYER = re.compile(r"^rate/[a-z]*")
MODES = ("none", "upper", "lower", "both")
Values = Callable[[pd.DataFrame], pd.Series]


class Column(NamedTuple):
    """`of` makes it from the run table; NaN where it says nothing of a run. `keys`: those of the
    config that differ where it does. `order`: of its values.
    """

    of: Values
    keys: tuple[str, ...]
    order: tuple[str, ...] = ()


def with_layers(runs: Runs) -> pd.DataFrame:
    """The runs with `layers`, how many hidden ones they have."""
    rates = runs.filter(regex="^rate/").notna()
    layers = rates.T.groupby(rates.columns.map(lambda rate: LAYER.sub("", rate))).any().sum()
    return runs.assign(layers=layers.reindex(runs.index, fill_value=0).astype(int))


def guesses(runs: Runs) -> pd.Series:
    """Whether each of the finished runs is no better than guessing on its test set."""
    return runs[ACCURACY] <= chance_level(runs["classes"], runs["test_samples"])


def mode(run: Mapping[Any, Any]) -> str:
    """none, upper, lower or both: the bounds on the activity that are in the loss while the task is
    trained.
    """
    joint = run.get("homeostasis.joint")
    strengths = [run.get(f"homeostasis.{side}.strength") for side in ("upper", "lower")]
    upper, lower = (bool(joint and value and pd.notna(value)) for value in strengths)
    return MODES[upper + 2 * lower]


def modes(runs: Runs) -> pd.Series:
    """The `mode` of each run; NaN where the bounds are trained alone first."""
    names = ("prime_epochs", "joint", "upper.strength", "lower.strength")
    bounds = runs.reindex(columns=[f"homeostasis.{name}" for name in names], fill_value=None)
    found = pd.Series([*map(mode, bounds.to_dict("records"))], runs.index, dtype=object)
    return found.mask(bounds["homeostasis.prime_epochs"].fillna(0) > 0)


def unbounded(runs: Runs) -> pd.DataFrame:
    """The runs with no bounds in their loss."""
    return runs[modes(runs) == "none"]


RESET = ", reset optimizer"
HANDED_ON = 3  # numerics: before, the optimizer was reset for each phase, whatever the key says
REGIMES = ("none", "joint", "prime", "prime + joint", f"prime{RESET}", f"prime + joint{RESET}")


def _homeostasis(runs: Runs) -> pd.Series:
    """Whether activity regularization is in the loss, trained alone first, or both; and whether the
    optimizer forgets the phase before the task.
    """
    keys = ("prime_epochs", "joint", "fresh_optimizer")
    runs = runs.reindex(columns=["numerics", *(f"homeostasis.{key}" for key in keys)])
    primed, joint = runs["homeostasis.prime_epochs"] > 0, runs["homeostasis.joint"].eq(True)
    before = pd.to_numeric(runs["numerics"], errors="coerce") < HANDED_ON
    fresh = primed & (runs["homeostasis.fresh_optimizer"].eq(True) | before)
    return (2 * primed + joint + 2 * fresh).map(dict(enumerate(REGIMES)))


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


def _class(group: str, runs: Runs) -> pd.Series:
    """The last name of the `_target_` of a group of the config, "none" where there is none."""
    targets = runs.reindex(columns=[f"{group}._target_"])[f"{group}._target_"]
    return targets.astype(object).fillna("none").map(lambda name: name.rpartition(".")[2])


def _recurrent(runs: Runs) -> pd.Series:
    """Whether a network has weights within a layer."""
    wired = pd.Series(False, index=runs.index)
    names = ("model.recurrent", "model.recurrent_kernel", "model.recurrent_excitation")
    for column in runs.columns.intersection(names):
        wired |= ~runs[column].astype(str).isin(["False", "0", "0.0", "nan", "None"])
    return wired


ALONE = [NEITHER, *filter(None, NORMS.values()), "skip"]
COLUMNS = {
    "bounds": Column(modes, ("homeostasis.",), MODES),
    "homeostasis": Column(_homeostasis, ("homeostasis.",), REGIMES),
    "instead": Column(
        _instead,
        ("model.norm", "model.skip", "engine."),  # some engines compute no norms
        (*ALONE, *(f"{norm} + skip" for norm in ALONE[1:-1])),
    ),
    "layers": Column(lambda runs: with_layers(runs)["layers"], ("model.depth",)),
    "neuron": Column(partial(_class, "neuron"), ("neuron.", "engine.")),
    "optimizer": Column(partial(_class, "optimizer"), ("optimizer.",)),
    "recurrent": Column(_recurrent, ()),
    "scheduler": Column(partial(_class, "scheduler"), ("scheduler.", "scheduler")),
}
"""By their names, those of groups of the config or of fdi.config.settings.DERIVED."""


OPERATIONS = "operations/effective"
ENERGY_VARIABLE = "FDI_ENERGY"  # names other constants, as in FDI_ENERGY=0.03,0.23
PJ = (0.9, 4.6)  # of a 32-bit floating-point addition, and of a multiplication with one


def energies() -> tuple[float, float]:
    """Energy in pJ of an addition, and of a multiplication with addition: PJ, those of 45 nm
    (Horowitz 2014, doi:10.1109/ISSCC.2014.6757323), unless FDI_ENERGY says others. Raises
    fdi.Mistake for what are no two numbers.
    """
    if not (said := os.environ.get(ENERGY_VARIABLE)):
        return PJ
    try:
        addition, both = map(float, said.split(","))
        if 0 <= addition < np.inf and 0 <= both < np.inf:
            return addition, both
    except ValueError:
        pass
    raise Mistake(
        f"{ENERGY_VARIABLE} = {said} must be two numbers, the pJ of an addition and of a "
        f"multiplication with addition, as in {ENERGY_VARIABLE}={PJ[0]},{PJ[1]}"
    )


def energy(rows: pd.DataFrame, dense: bool = False) -> pd.Series:
    """nJ of a sample, from the columns operations/ of runs or of their means:

        E = e_add (effective - MAC) + e_mac MAC

    `dense`: that of the same network if each connection multiplied and added in each step.
    """
    names = [f"operations/{name}" for name in ("effective", "MAC", "dense")]
    effective, multiplied, each = (rows.reindex(columns=names)[n].astype(float) for n in names)
    addition, both = energies()
    pj = both * each if dense else addition * (effective - multiplied) + both * multiplied
    return pj / 1000


class Quantity(NamedTuple):
    """What a panel shows, in words; `of` makes it from the run table. `most`: no mean is larger."""

    title: str
    of: Values
    most: float = np.inf


def _of_hidden(start: str, runs: Runs) -> pd.Series:
    """The mean over the hidden populations, or the projections to them, of the columns that begin
    with `start`.
    """
    names = [name for name in map(str, runs) if name.startswith(start)]
    names = [name for name in names if not name.endswith("->readout")]
    return runs[names].astype(float).mean(axis=1)


QUANTITIES = {
    "accuracy": Quantity("test accuracy (%)", lambda runs: PERCENT * runs[ACCURACY], PERCENT),
    "rate": Quantity("mean hidden rate after training (Hz)", partial(_of_hidden, "rate/")),
    "moved": Quantity(
        "movement of hidden weights, |W - W$_0$| / |W$_0$|", partial(_of_hidden, "moved/")
    ),
    "alignment": Quantity(
        "alignment of hidden spikes (1: unchanged)", partial(_of_hidden, "alignment/"), 1.0
    ),
    "epochs": Quantity("epochs trained", lambda runs: runs["epoch"]),
    "operations": Quantity(
        "synaptic operations per sample",
        lambda runs: runs.reindex(columns=[OPERATIONS])[OPERATIONS],
    ),
    "energy": Quantity("estimated energy per sample (nJ)", energy),
    "seconds": Quantity("duration of a run (s)", lambda runs: runs["seconds"]),
}
