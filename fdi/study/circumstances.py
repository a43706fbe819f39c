"""The circumstances of a measurement: activity regularization and eps of the optimizer, and
whether both are the authors'.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from inspect import signature
from typing import Any

import pandas as pd

from fdi.analysis.collect import Runs
from fdi.analysis.conditions import where
from fdi.analysis.derived import mode
from fdi.figures.words import SCHEDULE
from fdi.study import PLAIN
from fdi.train.optimizers import SMORMS3

STANDARD = {
    "readout_init": "normal",
    "optimizer._target_": "fdi.train.optimizers.SMORMS3",
    "optimizer.lr": 0.005,
    "neuron._target_": "fdi.snn.neuron.lif",
}
"""What all comparisons of the claims have in common."""
SURROGATE = {"neuron.surrogate": "superspike", "neuron.beta": 20.0}
"""The surrogate gradient of the authors, which is the default."""
EPS: float = signature(SMORMS3).parameters["eps"].default
"""In the authors' code, which is the default."""
BOTH = ("dense", "recurrent")
"""Models whose activity the authors bound from below, too; of all others from above alone."""
BOUNDS = {
    "none": "no bounds",
    "upper": "upper bound",
    "lower": "lower bound",
    "both": "both bounds",
}
TRIAL = ["dataset.steps", "dataset.dt"]
SIZE = ["dataset.max_train", "dataset.samples"]
"""More or fewer samples are other data."""
NETWORK = ["dataset", *SIZE, "model", "model.depth", "trainer.epochs"]


def standard(runs: Runs) -> pd.DataFrame:
    """The runs that claims and advice are made of: `plain_networks` at a constant learning rate,
    with the authors' surrogate gradient and STANDARD. `trial`: its length in s, for networks that
    were trained with several, else NaN.
    """
    runs = where(surrogate_of_authors(constant_rate(plain_networks(runs))), STANDARD)
    runs = runs.reindex(columns=runs.columns.union(SIZE, sort=False))
    length = runs.reindex(columns=TRIAL).prod(axis=1, min_count=len(TRIAL)).round(6)
    networks = runs.reindex(columns=NETWORK).assign(length=length)
    several = networks.groupby(NETWORK, dropna=False)["length"].transform("nunique") > 1
    return runs.assign(trial=length.where(several))


def plain_networks(runs: Runs, varied: Sequence[str] = ()) -> pd.DataFrame:
    """The runs without normalization, skip connections and learned time constants, except for those
    of the three that are `varied`. A run that does not mention one has none.
    """
    values = {key: value for key, value in PLAIN.items() if key not in varied}
    return where(runs, values, unsaid=True)


def surrogate_of_authors(runs: Runs) -> pd.DataFrame:
    """The runs with the authors' surrogate gradient, which runs that name none have as well."""
    return where(runs, SURROGATE, unsaid=True)


def constant_rate(runs: Runs) -> pd.DataFrame:
    """The runs whose learning rate stays the same, as the authors' does."""
    return runs[runs[SCHEDULE].isna()] if SCHEDULE in runs else runs


def bounds_of_task(run: Mapping[Any, Any]) -> str:
    """Which bounds are in the loss while the task is trained."""
    return BOUNDS[mode(run)]


def floor_of_run(run: Mapping[Any, Any]) -> str:
    """eps of the optimizer, as text."""
    return f"eps {run['optimizer.eps']:.0e}"


def circumstances(run: Mapping[Any, Any]) -> str:
    """The bounds and eps of a run, as text."""
    return f"{bounds_of_task(run)}, {floor_of_run(run)}"


def floor_of_authors(run: Mapping[Any, Any]) -> bool:
    """Whether the optimizer has the authors' eps."""
    return bool(run["optimizer.eps"] == EPS)


def of_authors(run: Mapping[Any, Any]) -> bool:
    """Whether a run has the authors' bounds for its model, and their eps."""
    theirs = "both bounds" if run["model"] in BOTH else "upper bound"
    return floor_of_authors(run) and bounds_of_task(run) == theirs


def by_authors(runs: Runs) -> pd.DataFrame:
    """The runs for which `of_authors` holds."""
    theirs = [of_authors(run) for run in runs.to_dict("records")]
    return runs[pd.Series(theirs, index=runs.index, dtype=bool)]
