"""What is reported as the spread of a potential is what a simulator of a few lines finds, whatever
the input.
"""

from __future__ import annotations

from functools import partial
from itertools import product
from typing import Any

import numpy as np
import pytest
from compared import drawn, free_potential

from fdi.data.inputs import Constant, Frames, Input
from fdi.engine.reference import ReferenceEngine
from fdi.init.baselines import Kaiming, Lsuv
from fdi.init.fluct import Fluct, FluctCalibrated
from fdi.init.probe import probe_populations
from fdi.init.strategy import rate_of_equal_spread
from fdi.snn.models import dense
from fdi.snn.neuron import lif
from fdi.snn.objective import Objective

B, T, N, DT = 64, 100, 50, 2e-3
TRIALS = 3  # one after the other, of which the first is not counted
rng = np.random.default_rng(0)


def sampled(draw_: Any) -> np.ndarray:
    return draw_((B, TRIALS * T, N)).astype(np.float32)


def offset(size: tuple[int, ...]) -> np.ndarray:
    """A channel that stands at 9.8, as that of an accelerometer."""
    x = rng.normal(size=size)
    x[..., 0] = 9.8 + 0.1 * x[..., 0]
    return x


IMAGES = rng.integers(0, 256, (B, 1, N)) * np.ones((1, TRIALS * T, 1))
DATA = {
    "spikes": (sampled(partial(rng.poisson, 0.04)), False),
    "high counts": (sampled(partial(rng.poisson, 10.0)), False),
    "counts of small variance": (sampled(partial(rng.integers, 8, 13)), True),
    "shifted currents": (sampled(partial(rng.normal, 3.0, 1.0)), True),
    "a channel at 9.8": (sampled(offset), True),
    "pixels": (IMAGES.astype(np.float32), True),
}


def simulated(weight: np.ndarray, x: np.ndarray) -> tuple[float, float]:
    """Spread of U around the mean of each neuron, and of these means; without the first trial."""
    later = np.stack(free_potential(x.swapaxes(0, 1) @ weight.T, DT))[T:]
    return float(np.sqrt(later.var((0, 1)).mean())), float(later.mean((0, 1)).std())


@pytest.mark.parametrize(
    ("strategy", "name"),
    [
        *product((Fluct(), FluctCalibrated(sigma_u=0.7)), DATA),
        *((Lsuv(), name) for name in ("high counts", "a channel at 9.8")),
        *((Kaiming(), name) for name in ("spikes", "pixels")),
    ],
)
def test_theory_probe_and_calibration_agree_with_a_simulator(name, strategy):
    whole, analogue = DATA[name]
    inputs: Input = Frames(whole[:, :T], currents=analogue)
    if name == "pixels":
        inputs = Constant(whole[:, 0], T)
    nu = whole.mean() / DT
    if analogue:
        nu = rate_of_equal_spread([inputs[:40], inputs[40:]], lif(), DT)
    network, engine = dense((N,), 2, T, DT, hidden=100), ReferenceEngine()
    drawn(network, strategy, inputs, nu, 0, analogue)
    found = probe_populations(network, engine, inputs, np.arange(B) % 2, Objective(), strategy, nu)[
        0
    ]
    weight = network.projections[0].weight.detach().double().numpy()
    spread, of_means = simulated(weight, whole)
    assert found["free_sigma"] == pytest.approx(spread, rel=0.06)
    assert found["theory_sigma_u"] == pytest.approx(spread, rel=0.08)
    assert found["free_sigma_neurons"] == pytest.approx(of_means, rel=0.2, abs=0.05)
    if found["target_sigma_u"]:
        assert spread == pytest.approx(found["target_sigma_u"], rel=0.08)
