"""What the floor of an optimizer is, by its steps."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch.optim import Optimizer

from fdi.runner.training import floor_of
from fdi.train.optimizers import SMORMS3


def moved(optimizer: Callable[..., Optimizer], gradient: float, **options) -> float:
    """How far one step moves a weight, in units of lr."""
    weight = torch.zeros(1, requires_grad=True)
    made = optimizer([weight], **options)
    weight.grad = torch.full((1,), gradient)
    made.step()
    return float(weight.detach().abs()) / made.defaults["lr"]


def floor(optimizer: Callable[..., Optimizer], **options):
    return floor_of(optimizer([torch.zeros(1, requires_grad=True)], **options))


def test_smorms3_follows_above_the_root_of_eps():
    found = floor(SMORMS3)
    assert found.gradient == pytest.approx(1e-8)
    assert moved(SMORMS3, 10 * found.gradient) > 1
    assert moved(SMORMS3, 1e-3 * found.gradient) < 1e-3
    assert floor(SMORMS3, eps=1e-24).gradient == pytest.approx(1e-12)


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_the_least_floor_of_a_precision_is_that_of_its_least_eps(precision):
    found = floor(SMORMS3, precision=precision)
    least = torch.finfo(getattr(torch, precision)).tiny
    assert floor(SMORMS3, precision=precision, eps=least).gradient == pytest.approx(found.least)
    with pytest.raises(ValueError, match="is below"):
        floor(SMORMS3, precision=precision, eps=least / 2)


@pytest.mark.parametrize("optimizer", [torch.optim.Adam, torch.optim.NAdam, torch.optim.RMSprop])
def test_adam_and_its_kin_follow_above_eps(optimizer):
    found = floor(optimizer, eps=1e-8, lr=1e-3)
    assert found.gradient == 1e-8
    options = {"eps": 1e-8, "lr": 1e-3}
    assert moved(optimizer, 1e3 * found.gradient, **options) > 0.5
    assert moved(optimizer, 1e-3 * found.gradient, **options) < 0.05


def test_sgd_has_none():
    found = floor(torch.optim.SGD, lr=0.1)
    assert (found.gradient, found.lr) == (0.0, 0.1)
    assert moved(torch.optim.SGD, 1e-20, lr=0.1) == pytest.approx(1e-20)
