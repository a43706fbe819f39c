"""Which gradients an optimizer can follow."""

from __future__ import annotations

from typing import Any

import torch
from omegaconf import DictConfig

from fdi.config.floor import of_eps
from fdi.init.verdict import Floor
from fdi.runner import learning
from fdi.train.smorms3 import SMORMS3


def configured(config: DictConfig) -> Floor:
    """The floor of the optimizer of a run, whatever its network."""
    any_weights: Any = torch.nn.Linear(1, 1)
    any_weights.leaks = {}  # of a network with fixed time constants
    return floor_of(learning.optimizer(config, any_weights))


def floor_of(optimizer: torch.optim.Optimizer) -> Floor:
    """The floor of an optimizer, for elements of the gradient.

    SMORMS3      sqrt(eps): with |g| below it the step is min(lr, g^2 / eps), while the other
                 factor, grad / sqrt(g2), stays near 1; eps is no smaller than the least number
                 of its precision
    Adam & co.   eps: with |g| below it the step is lr |g| / eps
    SGD          0: its step is lr |g| everywhere; as for any other without one eps
    """
    kind = type(optimizer).__name__
    name = kind.lower()
    lr, eps = float(optimizer.defaults["lr"]), optimizer.defaults.get("eps")
    if not isinstance(eps, int | float):
        return Floor(f"{name} with lr={lr:g}", 0.0, lr, "raise optimizer.lr")
    named, lower = f"{name} with eps={eps:g}", "lower optimizer.eps"
    least = 0.0
    if isinstance(optimizer, SMORMS3):
        least = of_eps(kind, torch.finfo(optimizer.precision).tiny)
    return Floor(named, of_eps(kind, eps), lr, lower, least)
