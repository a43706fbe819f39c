"""The floor of an optimizer, below which it does not follow a gradient, and how far above it the
initial gradients of a run lie.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from fdi.analysis.bounds import unbounded
from fdi.analysis.results import Results

SMORMS3_EPS, ADAM_EPS = 1e-16, 1e-8  # where a config does not say
LEAST_SQUARE = 2.0**-149  # the smallest float32
SQUARED = {"SMORMS3"}  # those that add eps to the mean square of a gradient
ADDED_TO_THE_ROOT = {"Adam", "AdamW", "NAdam", "RAdam", "RMSprop"}


def floor(run: Mapping[Any, Any]) -> float:
    """The gradient at which `optimizer.eps` halves a step: sqrt(eps) for SMORMS3, eps for Adam and
    its relatives, but not below the root of the smallest float32 unless the optimizer is more
    precise; NaN for one without, like SGD.
    """
    name = str(run.get("optimizer._target_", "")).rpartition(".")[2]
    eps = run.get("optimizer.eps")
    if name in SQUARED:
        found = math.sqrt(eps if pd.notna(eps) else SMORMS3_EPS)
    elif name in ADDED_TO_THE_ROOT:
        found = float(eps) if pd.notna(eps) else ADAM_EPS
    else:
        return math.nan
    precise = run.get("optimizer.precision") == "float64"
    return found if precise else max(found, math.sqrt(LEAST_SQUARE))


def task_gradient(results: Results) -> pd.Series:
    """Norm of the gradient of the task alone in each population, by the index of `results.probe`:
    measured as such, or that of an objective without bounds; NaN where bounds hide it.
    """
    free = set(unbounded(results.runs)["path"])
    probe = results.probe.reindex(columns=["path", "grad", "grad_task"])  # of no run: without
    return probe["grad_task"].fillna(probe["grad"].where(probe["path"].isin(free)))


def ratios(results: Results) -> pd.DataFrame:
    """By the path of the run, for the finished runs without bounds whose initial state was measured
    and whose optimizer has a floor: `gradient`, the largest norm over the hidden populations of the
    gradient of their afferent weights, `floor`, and `ratio`, one over the other.
    """
    runs = unbounded(results.runs[results.runs["state"] == "done"])
    measured = results.layers.reindex(columns=["path", "grad"])  # of no run: without columns
    gradient = measured.groupby("path")["grad"].max()
    found = pd.DataFrame(
        {
            "gradient": gradient.reindex(runs["path"]).astype(float),
            "floor": [floor(run) for run in runs.to_dict("records")],
        },
        index=runs["path"],
    )
    found["ratio"] = found["gradient"] / found["floor"]
    return found[np.isfinite(found["ratio"])]
