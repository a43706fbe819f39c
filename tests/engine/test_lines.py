"""Convolutions over a line, with and without recurrence, in trials longer than the steps that go
back together, against the reference engine.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from fdi.data.inputs import Frames
from fdi.engine.cpu import CpuEngine
from fdi.engine.cpu.conv_plan import NEAR
from fdi.engine.reference import ReferenceEngine
from fdi.snn.models import conv
from fdi.snn.network import Network
from fdi.snn.objective import LowerBound, Objective, UpperBound

STEPS = 2 * NEAR + 5
SHAPES: dict[str, Any] = {
    "strides": dict(filters=[3, 18, 5], kernel=[7, 5, 3], stride=[3, 2, 1], recurrent_kernel=5),
    "steps beyond the kernel": dict(filters=[4, 6], kernel=[3, 2], stride=[2, 3], padding=2),
    "pooling, skip connections": dict(
        filters=[4, 6, 20], kernel=3, padding=1, pool=[2, 1, 1], skip=True, recurrent_kernel=3
    ),
}


def build(shape: str) -> Network:
    """With weights that make it spike."""
    network = conv((2, 41), classes=3, steps=STEPS, dt=2e-3, **SHAPES[shape])
    generator = torch.Generator().manual_seed(0)
    for projection in network.projections:
        std = (3 if projection.recurrent else 12) / projection.fan_in**0.5
        torch.nn.init.normal_(projection.weight, std=std, generator=generator)
    return network.double()


def gradients(engine, network: Network) -> list[torch.Tensor]:
    rng = np.random.default_rng(0)
    x = Frames((rng.random((2, STEPS, 2, 41)) < 0.2).astype(np.uint8))
    objective = Objective("mean", UpperBound(0.01, 2.0), LowerBound(0.1, 1.0))
    outcome = engine.step(network, x, np.array([0, 2]), objective)
    assert outcome.regularizer > 0
    return [projection.weight.grad.clone() for projection in network.projections]


@pytest.mark.parametrize("shape", SHAPES)
def test_gradients_equal_the_reference(shape):
    network = build(shape)
    expected = gradients(ReferenceEngine(), network)
    for actual, wanted in zip(gradients(CpuEngine(1), network), expected):
        assert wanted.abs().max() > 0
        torch.testing.assert_close(actual, wanted, rtol=0, atol=1e-9 * float(wanted.abs().max()))


def test_they_are_the_same_bits_in_any_window():
    """Windows of 27, 18 and 1 steps cut those that go back together elsewhere."""
    network = build("strides")
    expected = gradients(CpuEngine(1), network)
    for windows in (2, 3, STEPS):
        for actual, wanted in zip(gradients(CpuEngine(2, windows=windows), network), expected):
            assert torch.equal(actual, wanted)
