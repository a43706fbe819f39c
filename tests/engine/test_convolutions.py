"""Convolutions on lines and maps, of 3 x 3 by minimal filtering, on even and odd edges, with and
without recurrence, in trials longer than the steps that go back together: what the reference engine
computes, and the same bits in any window of time.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from compared import assert_like_the_reference, gradients

from fdi.data.inputs import Frames
from fdi.engine.cpu import CpuEngine
from fdi.engine.cpu.conv_layout import lay_out
from fdi.engine.cpu.conv_plan import NEAR
from fdi.engine.reference import ReferenceEngine
from fdi.snn.models import conv
from fdi.snn.network import Network
from fdi.snn.objective import LowerBound, Objective, UpperBound

STEPS = 2 * NEAR + 5
OBJECTIVE = Objective("mean", UpperBound(0.01, 2.0), LowerBound(0.1, 1.0))
LINES: dict[str, dict[str, Any]] = {
    "strides": dict(filters=[3, 18, 5], kernel=[7, 5, 3], stride=[3, 2, 1], recurrent_kernel=5),
    "steps beyond the kernel": dict(filters=[4, 6], kernel=[3, 2], stride=[2, 3], padding=2),
    "pooling, skip connections": dict(
        filters=[4, 6, 20], kernel=3, padding=1, pool=[2, 1, 1], skip=True, recurrent_kernel=3
    ),
}
EDGES = [((8, 8), 1, 1), ((13, 15), 1, 2), ((7, 9), 1, 1), ((8, 11), 2, 1), ((13, 12), 0, 1)]
"""Edges of maps, padding, pool."""


def build(shape: tuple[int, ...], **options: Any) -> Network:
    """With weights that make it spike."""
    network = conv((2, *shape), classes=3, steps=STEPS, dt=2e-3, **options)
    generator = torch.Generator().manual_seed(0)
    for projection in network.projections:
        std = (3 if projection.recurrent else 12) / projection.fan_in**0.5
        torch.nn.init.normal_(projection.weight, std=std, generator=generator)
    return network


def tiled(edges: tuple[int, int], padding: int = 1, pool: int = 1, recurrent: int = 0) -> Network:
    given = dict(kernel=3, padding=padding, pool=[pool, 1], recurrent_kernel=recurrent)
    network = build(edges, filters=[5, 18], **given)
    assert any(link["tiles"] > 0 for link in lay_out(network).plan.links)
    return network


def trial(network: Network) -> tuple[Frames, np.ndarray, Objective]:
    spikes = np.random.default_rng(0).random((2, STEPS, *network.input_shape)) < 0.2
    return Frames(spikes.astype(np.uint8)), np.array([0, 2]), OBJECTIVE


@pytest.mark.parametrize("name", LINES)
def test_lines_are_those_of_the_reference(name):
    network = build((41,), **LINES[name]).double()
    assert_like_the_reference(network, *trial(network), CpuEngine(1), spikes=5)


@pytest.mark.parametrize("recurrent", [0, 3])
@pytest.mark.parametrize(("edges", "padding", "pool"), EDGES)
def test_tiles_are_those_of_the_reference(edges, padding, pool, recurrent):
    network = tiled(edges, padding, pool, recurrent).double()
    assert_like_the_reference(network, *trial(network), CpuEngine(1), spikes=5, near=1e-11)


def test_they_are_the_same_bits_in_any_window():
    """Which cut those steps elsewhere that go back together, or whose tiles are multiplied."""
    assert lay_out(tiled((8, 8))).plan.layers["ring"].max() == 8
    for network in (build((41,), **LINES["strides"]).double(), tiled((8, 8)).double()):
        expected = gradients(CpuEngine(1), network, *trial(network))
        for windows in (2, 3, STEPS):
            found = gradients(CpuEngine(2, windows=windows), network, *trial(network))
            for name, wanted in expected.items():
                assert wanted.abs().max() > 0
                assert torch.equal(found[name], wanted)


@pytest.mark.slow  # maps in float32 are compiled
def test_tiles_round_no_worse_than_the_reference_in_float32():
    network = tiled((12, 12))
    tiles, plain = (
        gradients(e, network, *trial(network)) for e in (CpuEngine(), ReferenceEngine())
    )
    exact = gradients(ReferenceEngine(), network.double(), *trial(network))
    for name, wanted in exact.items():
        assert (tiles[name] - wanted).abs().max() < 3 * (plain[name] - wanted).abs().max()
