"""The floor of an optimizer."""

from __future__ import annotations

import math

import pandas as pd
import pytest
import torch

from fdi.analysis.bounds import unbounded
from fdi.train.optimizers import SMORMS3, floor


def step(made, gradient):
    p = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    optimizer = made([p])
    for _ in range(800):
        p.grad = torch.full_like(p, gradient)
        before = p.item()
        optimizer.step()
    return before - p.item()


@pytest.mark.parametrize("eps", [1e-6, 1e-16, 1e-40])
@pytest.mark.parametrize(
    ("target", "made"),
    [
        ("fdi.train.optimizers.SMORMS3", lambda eps: lambda p: SMORMS3(p, 1.0, eps, "float64")),
        ("torch.optim.Adam", lambda eps: lambda p: torch.optim.Adam(p, lr=1.0, eps=eps)),
        ("torch.optim.RMSprop", lambda eps: lambda p: torch.optim.RMSprop(p, lr=1.0, eps=eps)),
    ],
)
def test_the_floor_halves_a_step(target, made, eps):
    run = {"optimizer._target_": target, "optimizer.eps": eps, "optimizer.precision": "float64"}
    at, above = (step(made(eps), factor * floor(run)) for factor in (1, 1e6))
    # with SMORMS3 sqrt(eps) halves g^2/(g2 + eps), while eps beside sqrt(g2) does nothing yet
    assert at / above == pytest.approx(0.5, rel=1e-2)


def test_float32_has_a_floor_of_its_own_and_sgd_has_none():
    run = {"optimizer._target_": "fdi.train.optimizers.SMORMS3", "optimizer.eps": 1e-60}
    least = math.sqrt(float(torch.tensor(2.0**-149, dtype=torch.float32)))
    assert floor(run) == pytest.approx(least)
    assert float(torch.tensor(least, dtype=torch.float32) ** 2) > 0
    assert float(torch.tensor(least / 2, dtype=torch.float32) ** 2) == 0
    assert math.isnan(floor({"optimizer._target_": "torch.optim.SGD", "optimizer.lr": 0.1}))
    assert floor({"optimizer._target_": "torch.optim.Adam"}) == 1e-8


def test_bounds_of_strength_0_are_none():
    names = ("joint", "prime_epochs", "upper.strength", "lower.strength")
    rows = [(False, 0, 0.1, 100), (True, 0, 0, 0), (True, 0, 0.1, 0), (False, 5, 0, 1), (None,) * 4]
    runs = pd.DataFrame(rows, columns=[f"homeostasis.{name}" for name in names])
    assert unbounded(runs).index.tolist() == [0, 1, 4]
