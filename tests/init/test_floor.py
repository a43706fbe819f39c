"""Which gradients an optimizer follows, by trying it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from compared import weighted

from fdi.init.probe import SIZES, floor, follow_gradients
from fdi.snn.models import dense
from fdi.train.optimizers import SMORMS3, AdamAtan2, fuse, relative_to


def measured(made: Callable[..., torch.optim.Optimizer], **options: Any):
    return floor(made([torch.nn.Parameter(torch.zeros(3, 3))], **options))


class Lion(torch.optim.Optimizer):
    """The sign of a running mean (Chen et al. 2023), as a user might write it; `eps` is a list."""

    def __init__(self, params, lr=1e-4, eps=(1e-8, 1e-3)):
        super().__init__(params, {"lr": lr, "eps": list(eps)})

    def step(self, closure=None):
        with torch.no_grad():
            for group in self.param_groups:
                for p in group["params"]:
                    p.sub_(p.grad.sign(), alpha=group["lr"])


def closed_form(eps: float, lr: float, gradient: float) -> float:
    """The step of SMORMS3 for a steady gradient, whose running means are exact from the start."""
    square = gradient**2
    return gradient * min(lr, square / (square + eps)) / (math.sqrt(square) + eps)


@pytest.mark.parametrize(("eps", "lr"), [(1e-16, 5e-3), (1e-16, 0.15), (1e-24, 5e-3), (1e-8, 5e-3)])
def test_smorms3_follows_steady_gradients_far_below_the_root_of_eps(eps, lr):
    """min(lr, g2 / (g2 + eps)) = lr / 2 at g = sqrt(eps lr / 2), whatever sqrt(eps) is."""
    found = measured(SMORMS3, eps=eps, lr=lr)
    assert found.steady == pytest.approx(math.sqrt(eps * lr / 2), rel=0.4)
    assert closed_form(eps, lr, found.steady) / lr == pytest.approx(0.5, rel=0.4)
    assert found.steady < found.noisy < 2 * math.sqrt(eps)


@pytest.mark.parametrize(
    ("made", "fused"),
    [
        (torch.optim.Adam, False),
        (torch.optim.AdamW, True),
        (torch.optim.NAdam, True),  # which has no fused form
    ],
)
def test_adam_and_its_kin_follow_above_eps(made, fused):
    optimizer = made([torch.nn.Parameter(torch.zeros(2))], eps=1e-6, lr=1e-3)
    found = floor(fuse(optimizer) if fused else optimizer)
    assert found.steady == pytest.approx(1e-6, rel=0.2)
    assert found.noisy == pytest.approx(1e-6, rel=0.2)
    assert found.step(1.0) == pytest.approx(1e-3, rel=1.0)


def test_precision_has_a_floor_of_its_own():
    """The square of a gradient below 2.6e-23 is 0 in float32, whatever eps is."""
    assert measured(SMORMS3, eps=1e-37).noisy > 1e-20
    assert measured(SMORMS3, eps=1e-80, precision="float64").noisy < 1e-40


@pytest.mark.parametrize("made", [Lion, AdamAtan2])
def test_some_have_no_floor(made):
    found = measured(made, lr=1e-3)
    assert (found.steady, found.noisy) == (0.0, 0.0)
    assert found.step(SIZES[-1]) == pytest.approx(1e-3, rel=0.01)


def test_steps_of_sgd_are_proportional_to_the_gradient():
    found = measured(torch.optim.SGD, lr=0.1)
    assert (found.steady, found.noisy) == (0.0, 0.0)
    np.testing.assert_allclose([found.step(g) for g in (1e-9, 1e-3, 1.0)], [1e-10, 1e-4, 0.1], 0.01)


def test_adadelta_and_rprop_are_measured_where_no_name_says_it():
    assert 1e-4 < measured(torch.optim.Adadelta).steady < 1e-2
    assert measured(torch.optim.Rprop).noisy == 0.0


def test_the_optimizer_and_its_weights_stay_as_they_are():
    weight = torch.nn.Parameter(torch.ones(4))
    optimizer = torch.optim.Adam([weight])
    weight.grad = torch.ones(4)
    optimizer.step()
    before, state = weight.detach().clone(), optimizer.state_dict()
    floor(optimizer)
    assert torch.equal(weight, before)
    assert optimizer.state_dict() == state


def test_equal_settings_are_measured_once():
    class Own(Lion):
        steps = 0
        held: Any = None

        def step(self, closure=None):
            Own.steps += 1
            super().step(closure)

    counts = []
    for lr, held in ((1e-3, None), (1e-3, None), (1e-2, None), (1e-3, lambda: None)):
        optimizer = Own([torch.nn.Parameter(torch.zeros(2))], lr=lr)
        optimizer.held = held  # a function without a name cannot be compared
        before = Own.steps
        assert floor(optimizer).step(1.0) == pytest.approx(lr)
        counts.append(Own.steps - before > 0)
    assert counts == [True, False, True, True]


def test_a_step_is_that_of_the_group_of_the_weights():
    weights = [torch.nn.Parameter(torch.full((4,), value)) for value in (1.0, 1.0)]
    groups: list[dict] = [{"params": weights[:1]}, {"params": weights[1:], "factor": 3.0}]
    rows: list[dict] = [{"population": name, "grad_task_max": 1.0} for name in ("h1", "readout")]
    follow_gradients(
        rows, torch.optim.Adam(groups, lr=1e-2), {"h1": weights[:1], "readout": weights[1:]}
    )
    assert rows[1]["step"] == pytest.approx(3 * rows[0]["step"])
    assert rows[0]["floor_steady"] == rows[1]["floor_steady"] > 0


def test_relative_steps_are_in_units_of_the_initial_weights():
    network, initial = (
        weighted(dense((5,), 3, 4, 2e-3, hidden=[4, 6]), 5, seed) for seed in (0, 1)
    )
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    relative_to(optimizer, network, initial)
    factors = {g["params"][0]: g["factor"] for g in optimizer.param_groups if "factor" in g}
    for projection, first in zip(network.projections, initial.projections):
        rms = float(first.weight.detach().square().mean().sqrt())
        assert factors[projection.weight] == pytest.approx(rms)
