"""How weights approach the spread that is asked for."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from fdi.config import Mistake
from fdi.init.strategy import TOLERANCE, calibrate


def calibrated(response, sigma_u=1.0):
    """The spread of a population whose spread is `response` of its weight, which starts at 1."""
    weight = torch.ones((), dtype=torch.float64)
    network: Any = SimpleNamespace(
        layers=[[SimpleNamespace(name="h1")]],
        norms={"h1": "its spread is what is measured"},
        scale=lambda name, factor: weight.mul_(factor),
        fixed={},
    )

    def measure(_):
        square, none = response(weight) ** 2, torch.zeros(())
        moments = SimpleNamespace(free_temporal=square, free_mean=none, free_across=none)
        return SimpleNamespace(moments={"h1": moments})

    calibrate(network, measure, sigma_u, analogue=False)
    return float(response(weight))


@pytest.mark.parametrize("start", [0.05, 0.4, 3.0])
@pytest.mark.parametrize("steepness", [0.7, 1, 1.9, 2.5])
def test_a_spread_as_steep_as_recurrence_makes_it_is_reached(start, steepness):
    spread = calibrated(lambda weight: start * weight**steepness)
    assert spread == pytest.approx(1, abs=TOLERANCE)


@pytest.mark.parametrize("start", [0.2, 0.5])
def test_a_spread_that_jumps_where_recurrence_sets_in_is_reached(start):
    """Linear below and above, 14 times within a factor of 1.6: what a recurrent convolution with
    orthogonal weights does on spoken digits.
    """
    spread = calibrated(lambda w: start * w * (1 + 13 * torch.sigmoid((w.log() - 0.7) / 0.1)))
    assert spread == pytest.approx(1, abs=TOLERANCE)


def test_a_spread_that_does_not_depend_on_the_weight_is_refused():
    with pytest.raises(Mistake, match="not reached within 24 rounds"):
        calibrated(lambda weight: 0.5 * weight**0)
