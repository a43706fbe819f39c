"""The floor of an optimizer: the gradient below which it hardly moves a weight."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

SMORMS3_EPS, ADAM_EPS = 1e-16, 1e-8  # where a config does not say
LEAST_SQUARE = 2.0**-149  # the smallest float32
SQUARED = {"SMORMS3"}  # those that add eps to the mean square of a gradient
ADDED_TO_THE_ROOT = {"Adam", "AdamW", "NAdam", "RAdam", "RMSprop"}


def floor(run: Mapping[Any, Any]) -> float:
    """The gradient at which `optimizer.eps` halves a step, from the dotted keys of a config:
    sqrt(eps) for SMORMS3, eps for Adam and its relatives, but not below the root of the smallest
    float32 unless the optimizer is more precise; NaN for one without, like SGD.
    """
    name = str(run.get("optimizer._target_", "")).rpartition(".")[2]
    eps = run.get("optimizer.eps")
    if eps is not None and math.isnan(eps):  # of a table
        eps = None
    if name in SQUARED:
        found = math.sqrt(SMORMS3_EPS if eps is None else eps)
    elif name in ADDED_TO_THE_ROOT:
        found = ADAM_EPS if eps is None else float(eps)
    else:
        return math.nan
    precise = run.get("optimizer.precision") == "float64"
    return found if precise else max(found, math.sqrt(LEAST_SQUARE))
