"""Training steps on the pretended GPU: their memory, and for what they wait."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pretend
import pytest
import torch
from compared import as_events

from fdi.data.inputs import Constant, Frames
from fdi.engine.cuda import CudaEngine
from fdi.engine.cuda.memory import need
from fdi.snn import models
from fdi.snn.network import Network
from fdi.snn.neuron import lif
from fdi.snn.objective import LowerBound, Objective, Predicted, UpperBound

STEPS, BATCH = 9, 3
KINDS = ("dense", "recurrent", "dale", "conv", "conv_recurrent", "dale_conv")
OBJECTIVE = Objective("mean", UpperBound(0.1, 0.5), LowerBound(100.0, 2.0))


def network(kind: str) -> Network:
    """Weights are multiples of 1/64, so that sums are exact in any order."""
    given: dict[str, Any] = dict(classes=3, steps=STEPS, dt=5e-3, neuron=lif(beta=4.0))
    built = {
        "dense": lambda: models.dense((7,), hidden=[150, 9], **given),
        "recurrent": lambda: models.dense((7,), hidden=[18, 9], recurrent=True, **given),
        "dale": lambda: models.dale((7,), excitatory=12, inhibitory=7, **given),
        "conv": lambda: models.conv((1, 7), filters=[4, 3], padding=1, pool=[2, 1], **given),
        "conv_recurrent": lambda: models.conv(
            (2, 5, 4), filters=[4, 3], padding=1, pool=[2, 1], recurrent_kernel=3, **given
        ),
        "dale_conv": lambda: models.dale_conv(
            (1, 7), excitatory=[10, 4], inhibitory=[8, 2], padding=1, pool=[2, 1], **given
        ),
    }[kind]()
    generator = torch.Generator().manual_seed(0)
    for projection in built.projections:
        drawn = torch.randn(projection.weight.shape, generator=generator)
        drawn = (drawn * 64 * 5 / projection.fan_in**0.5).round() / 64
        projection.weight.data.copy_(drawn.abs() if projection.nonnegative else drawn)
    return built


def batch(network: Network, kind: str = "frames", samples: int = BATCH, steps: int = STEPS):
    rng = np.random.default_rng(1)
    labels = np.arange(samples) % 3
    if kind == "constant":
        values = rng.integers(0, 64, (samples, *network.input_shape)) / 16
        return Constant(values.astype(np.float32), steps), labels
    counts = rng.poisson(0.7, (samples, steps, *network.input_shape))
    if kind == "frames":
        return Frames(counts.astype(np.uint8)), labels
    return as_events(counts, kind == "counted"), labels


def gradients(network: Network) -> list[np.ndarray]:
    return [p.weight.grad.cpu().numpy().copy() for p in network.projections]


def test_parts_of_a_batch_add_up_to_its_gradient():
    net = network("conv").double()
    x, labels = batch(net, samples=7)
    whole = CudaEngine().step(net, x, labels, OBJECTIVE)
    wanted = gradients(net)
    engine = CudaEngine(memory=2.5 * need(net, STEPS) / 2**30)
    assert "in 4 parts of 2 samples" in engine.plan(net, STEPS, 7, {}, {}).lines[0]
    outcome = engine.step(net, x, labels, OBJECTIVE)
    assert (outcome.samples, *outcome.sums) == (7, *whole.sums)
    for got, want in zip(gradients(net), wanted):
        np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-12)
    classes = replace(OBJECTIVE, loss=Predicted())
    found, expected = (each.evaluate(net, x, labels, classes) for each in (engine, CudaEngine()))
    np.testing.assert_array_equal(found.sums, expected.sums)
    with pytest.raises(ValueError, match=r"a sample of 9 steps needs .* raise engine\.memory"):
        CudaEngine(memory=1e-9).step(net, x, labels, OBJECTIVE)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "dtype", [torch.float32, pytest.param(torch.float64, marks=pytest.mark.slow)]
)
def test_the_memory_of_a_step_is_at_most_what_was_counted(kind, dtype):
    net = network(kind)
    x, labels = batch(net, samples=4)
    with pretend.Pretend():
        net = net.to(pretend.device(), dtype)
        CudaEngine().step(net, x, labels, OBJECTIVE)
        net.zero_grad()
        before = pretend.in_use()
        CudaEngine().step(net, x, labels, OBJECTIVE)
    used = pretend.COUNT.peak - before
    assert used - 3 * sum(w.nbytes for w in net.parameters()) <= 4 * need(net, STEPS) <= 6 * used
