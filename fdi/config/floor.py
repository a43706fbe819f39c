"""The floor of an optimizer: the gradient below which it hardly moves a weight."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

SMORMS3_EPS, ADAM_EPS = 1e-16, 1e-8  # where a config does not say
LEAST_SQUARE = 2.0**-149  # the smallest float32
SQUARED = {"SMORMS3"}  # those that add eps to the mean square of a gradient
ADDED_TO_THE_ROOT = {"Adam", "AdamW", "NAdam", "RAdam", "RMSprop"}


def of_eps(optimizer: str, eps: float) -> float:
    """The gradient at which `eps` halves a step: sqrt(eps) where it is added to the mean square of
    the gradient, as in SMORMS3, eps where it is added to the root of that, as in Adam.
    """
    return math.sqrt(eps) if optimizer in SQUARED else float(eps)


def floor(run: Mapping[Any, Any]) -> float:
    """That of `optimizer.eps`, from the dotted keys of a config, but not below the root of the
    smallest float32 unless the optimizer is more precise; NaN for one without, like SGD.
    """
    name = str(run.get("optimizer._target_", "")).rpartition(".")[2]
    eps = run.get("optimizer.eps")
    if eps is not None and math.isnan(eps):  # of a table
        eps = None
    if name not in SQUARED | ADDED_TO_THE_ROOT:
        return math.nan
    if eps is None:
        eps = SMORMS3_EPS if name in SQUARED else ADAM_EPS
    precise = run.get("optimizer.precision") == "float64"
    return max(of_eps(name, eps), 0.0 if precise else math.sqrt(LEAST_SQUARE))
