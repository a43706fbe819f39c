"""Gradients through convolutions of 3 x 3 by minimal filtering, on even and odd edges, with and
without guards, against the reference engine.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fdi.data.inputs import Frames
from fdi.engine.cpu import CpuEngine
from fdi.engine.cpu.conv_layout import lay_out
from fdi.engine.reference import ReferenceEngine
from fdi.snn.models import conv
from fdi.snn.network import Network
from fdi.snn.objective import Objective

STEPS, CLASSES = 15, 3


def build(edges: tuple[int, int], padding: int, pool: int, recurrent: int) -> Network:
    """Of two layers, with weights that make them spike."""
    network = conv(
        filters=[5, 18], kernel=3, padding=padding, pool=[pool, 1], recurrent_kernel=recurrent,
        input_shape=(2, *edges), classes=CLASSES, steps=STEPS, dt=2e-3,
    )  # fmt: skip
    generator = torch.Generator().manual_seed(0)
    for projection in network.projections:
        std = (2 if projection.recurrent else 15) / projection.fan_in**0.5
        torch.nn.init.normal_(projection.weight, std=std, generator=generator)
    return network


def trial(edges: tuple[int, int]) -> tuple[Frames, np.ndarray]:
    rng = np.random.default_rng(0)
    return Frames((rng.random((2, STEPS, 2, *edges)) < 0.3).astype(np.uint8)), np.array([0, 2])


def gradients(engine, network: Network, edges: tuple[int, int]) -> list[torch.Tensor]:
    engine.step(network, *trial(edges), Objective("mean"))
    return [projection.weight.grad.clone() for projection in network.projections]


@pytest.mark.parametrize("recurrent", [0, 3])
@pytest.mark.parametrize(
    ("edges", "padding", "pool"),
    [((8, 8), 1, 1), ((13, 15), 1, 2), ((7, 9), 1, 1), ((8, 11), 2, 1), ((13, 12), 0, 1)],
)
def test_gradients_of_tiles_equal_the_reference(edges, padding, pool, recurrent):
    network = build(edges, padding, pool, recurrent).double()
    assert any(link["tiles"] > 0 for link in lay_out(network).plan.links)
    expected = gradients(ReferenceEngine(), network, edges)
    for actual, wanted in zip(gradients(CpuEngine(), network, edges), expected):
        assert wanted.abs().max() > 0
        torch.testing.assert_close(actual, wanted, rtol=0, atol=1e-11 * float(wanted.abs().max()))


def test_tiles_round_no_worse_than_the_reference_in_float32():
    edges = (12, 12)
    network = build(edges, 1, 1, 0)
    tiles, plain = (
        gradients(engine, network, edges) for engine in (CpuEngine(), ReferenceEngine())
    )
    exact = gradients(ReferenceEngine(), network.double(), edges)
    for a, b, wanted in zip(tiles, plain, exact):
        assert (a - wanted).abs().max() < 3 * (b - wanted).abs().max()


def test_tiles_of_several_steps_are_the_same_bits_in_any_window():
    """Windows of 8, 5 and 1 steps cut the 8 steps whose tiles are multiplied together."""
    edges = (8, 8)
    network = build(edges, 1, 1, 0)
    assert lay_out(network).plan.layers["ring"].max() == 8
    expected = gradients(CpuEngine(1), network, edges)
    for windows in (2, 3, STEPS):
        for actual, wanted in zip(
            gradients(CpuEngine(2, windows=windows), network, edges), expected
        ):
            assert wanted.abs().max() > 0
            assert torch.equal(actual, wanted)
