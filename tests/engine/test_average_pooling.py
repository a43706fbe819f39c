"""Average pooling: as weights of single spikes in the compiled engine, as averages elsewhere."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from compared import assert_like_the_reference, drawn, frames, weighted
from making import one_line
from torch import nn

from fdi.data.inputs import Constant, Frames
from fdi.engine.cpu import CpuEngine
from fdi.engine.reference import ReferenceEngine
from fdi.init.fluct import Fluct, FluctCalibrated
from fdi.init.probe import probe_populations
from fdi.snn.models import conv, dale_conv
from fdi.snn.network import Network, fold, unroll
from fdi.snn.objective import LowerBound, Objective, UpperBound

STEPS, BATCH, CLASSES = 24, 5, 4
OBJECTIVE = Objective("mean", UpperBound(0.1, 0.5), LowerBound(100.0, 2.0))
GIVEN: dict[str, Any] = dict(classes=CLASSES, steps=STEPS, dt=2e-3, pooling="average")
MODELS: dict[str, Any] = {
    "conv": lambda: conv((2, 12, 12), filters=[4, 6, 5], pool=[2, 3, 1], **GIVEN),
    "recurrent, dense above": lambda: conv(
        (2, 12, 12), filters=[4, 6], pool=[2, 3], recurrent_kernel=3, dense=[7], **GIVEN
    ),
    "strides and skip": lambda: conv(
        (2, 12, 12), filters=[4, 6, 5], kernel=[3, 5, 3], stride=[1, 2, 1], padding=[1, 2, 1],
        pool=[2, 1, 3], skip=True, **GIVEN,
    ),
    "normalized": lambda: conv((2, 12, 12), filters=[4, 6], pool=[2, 3], norm="tdbn", **GIVEN),
    "line": lambda: conv((1, 24), filters=[4, 6, 5], pool=[2, 3, 2], **GIVEN),
    "dale": lambda: dale_conv(
        (2, 12, 12), excitatory=[4, 6], inhibitory=[2, 3], pool=[2, 3], **GIVEN
    ),
}  # fmt: skip


def network(model: str) -> Network:
    return weighted(MODELS[model]().double(), 25, 1)


def batch(net: Network) -> tuple[Frames, np.ndarray]:
    return frames(net, STEPS, BATCH), np.arange(BATCH) % CLASSES


@pytest.mark.parametrize(
    "model",
    [
        pytest.param(model, marks=[pytest.mark.slow] if model in ("dale", "normalized") else [])
        for model in MODELS
    ],
)
def test_the_compiled_engine_computes_what_the_reference_does(model):
    net = network(model)
    engines = CpuEngine(2, chunk=2), CpuEngine(1, chunk=2, windows=3)
    one, other = assert_like_the_reference(net, *batch(net), OBJECTIVE, *engines, spikes=6)
    assert all(torch.equal(other[name], gradient) for name, gradient in one.items())


def test_weights_of_single_spikes_stand_for_those_of_averages():
    generator = torch.Generator().manual_seed(0)
    x, w = (torch.rand(*shape, generator=generator) for shape in ((2, 3, 12, 18), (5, 3, 3, 2)))
    averaged = nn.functional.conv2d(nn.functional.avg_pool2d(x, (2, 3)), w)
    torch.testing.assert_close(nn.functional.conv2d(x, unroll(w, (2, 3)), stride=(2, 3)), averaged)
    d = torch.rand(5, 3, 6, 6, generator=generator)
    (gradient,) = torch.autograd.grad(unroll(w.requires_grad_(), (2, 3)), w, d)
    torch.testing.assert_close(fold(d, (2, 3)), gradient)


def test_a_map_that_windows_do_not_divide_is_refused_with_what_to_do():
    with one_line(r"map of h1 has edges of 9 and 9; use windows that divide"):
        conv((2, 9, 9), filters=[4], pool=2, **GIVEN)


def test_the_closed_form_counts_the_average():
    """The second layer hears averages of four spikes, with a quarter of their variance."""
    x = np.random.default_rng(0).poisson(0.04, (12, 400, 2, 8, 8)).astype(np.uint8)
    given = GIVEN | dict(steps=400)
    net = conv((2, 8, 8), filters=16, depth=2, pool=[2, 1], **given)
    inputs, labels = Frames(x), np.arange(12) % CLASSES
    for strategy, near in ((Fluct(nu="propagate"), 0.15), (FluctCalibrated(), 0.02)):
        drawn(net, strategy, inputs, 20.0)
        *rows, _ = probe_populations(
            net, ReferenceEngine(), inputs, labels, Objective(), strategy, 20.0
        )
        for row in rows:
            assert row["free_sigma"] == pytest.approx(1.0, rel=near), strategy
            assert row["free_sigma"] == pytest.approx(row["theory_sigma_u"], rel=0.15), strategy


def test_constant_images_are_averaged_behind_the_first_layer():
    net = network("conv")
    x = Constant(np.random.default_rng(0).normal(size=(BATCH, 2, 12, 12)), STEPS)
    assert_like_the_reference(net, x, np.arange(BATCH) % CLASSES, OBJECTIVE, CpuEngine(1))
