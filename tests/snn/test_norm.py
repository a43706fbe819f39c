"""Normalization of what arrives: its equations, those of two libraries, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from compared import drawn, frames, weighted
from making import one_line

from fdi.engine.cuda import CudaEngine
from fdi.engine.device import dense_input as as_dense
from fdi.engine.reference import ReferenceEngine
from fdi.engine.reference.simulation import simulate
from fdi.init.baselines import Lsuv
from fdi.init.fluct import FluctCalibrated
from fdi.init.probe import probe_populations
from fdi.snn.models import conv, dale, dense, normalize
from fdi.snn.network import Norm
from fdi.snn.objective import LowerBound, Objective, UpperBound

KINDS = ("tdbn", "bntt", "layer")
STEPS, BATCH, THETA = 18, 5, 1.5
SHAPES = [(7,), (3, 4, 4)]
OBJECTIVE = Objective("mean", UpperBound(0.1, 0.5), LowerBound(100.0, 2.0))


def arriving(shape, seed=0, batch=BATCH):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(STEPS - 2, batch, *shape, generator=generator, dtype=torch.float64)
    return 3 * x.cumsum(0) + 1  # statistics that change from step to step


def norm_of(kind, shape, seed=3):
    """With gains and biases that are all different."""
    norm = Norm(kind, shape, STEPS - 2, THETA).double()
    generator = torch.Generator().manual_seed(seed)
    for value in norm.parameters():
        value.data.add_(torch.rand(value.shape, generator=generator))
    return norm


def network_of(kind, **options):
    net = dense((9,), 4, STEPS, 2e-3, hidden=[30, 20, 20], norm=kind, **options)
    for population in weighted(net, 5, 1).hidden:
        net.scale(population.name, 5.0)  # so that all layers spike
    return net.double()


def batch_for(net):
    return frames(net, STEPS, BATCH), np.arange(BATCH) % 4


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    ("kind", "over"), [("tdbn", [0, 1, 3, 4]), ("bntt", [1, 3, 4]), ("layer", [2, 3, 4])]
)
def test_mean_and_variance_are_those_of_the_equation(kind, over, shape):
    norm, x = norm_of(kind, shape), arriving(shape)
    dims = [axis for axis in over if axis < x.ndim]
    rest = x - x.mean(dims, keepdim=True)
    steps = STEPS - 2 if kind == "bntt" else 1
    tail = (1,) * (len(shape) - 1)
    gain = norm.gain.view(steps, 1, shape[0], *tail)
    bias = 0 if norm.bias is None else norm.bias.view(1, 1, shape[0], *tail)
    expected = gain * rest / (rest.square().mean(dims, keepdim=True) + 1e-5).sqrt() + bias
    torch.testing.assert_close(norm(x, learn=True), expected)
    assert (norm.bias is None) == (kind == "bntt")
    assert Norm(kind, shape, 3, THETA).gain[0].item() == (THETA if kind == "tdbn" else 1)


@pytest.mark.parametrize("kind", ["tdbn", "bntt"])
def test_evaluation_takes_the_average_of_ten_batches_then_forgets(kind):
    norm, shape = norm_of(kind, (7,)), (7,)
    over = (0, 1) if kind == "tdbn" else (1,)
    batches = [arriving(shape, seed) + seed for seed in range(12)]
    torch.testing.assert_close(norm(batches[0], learn=False), norm(batches[0], learn=True))
    for x in batches[1:10]:
        norm(x, learn=True)
    mean = torch.stack([x.mean(over) for x in batches[:10]]).mean(0)
    var = torch.stack([x.var(over) for x in batches[:10]]).mean(0)
    for x in batches[10:]:
        norm(x, learn=True)
        mean, var = 0.9 * mean + 0.1 * x.mean(over), 0.9 * var + 0.1 * x.var(over)
    torch.testing.assert_close(norm.mean.view(mean.shape), mean)
    torch.testing.assert_close(norm.var.view(var.shape), var)
    gain = norm.gain.view(-1, 1, 7)
    mean, var = mean.view(-1, 1, 7), var.view(-1, 1, 7)
    expected = gain * (batches[0] - mean) / (var + 1e-5).sqrt()
    expected = expected if norm.bias is None else expected + norm.bias
    torch.testing.assert_close(norm(batches[0], learn=False), expected)


@pytest.mark.parametrize("shape", SHAPES)
def test_agrees_with_batch_norm_tt_of_snntorch(shape):
    layers = pytest.importorskip("snntorch._layers.bntt", reason="snnTorch is not installed")
    make = layers.BatchNormTT1d if len(shape) == 1 else layers.BatchNormTT2d
    theirs, ours, x = make(shape[0], STEPS - 2).double(), norm_of("bntt", shape), arriving(shape)
    for layer, gain in zip(theirs, ours.gain.data.view(STEPS - 2, -1)):
        layer.weight.data.copy_(gain)
        layer.momentum = None  # the average, as here for the first ten batches
    for seed in range(3):
        x = arriving(shape, seed)
        expected = torch.stack([layer(each) for layer, each in zip(theirs, x)])
        torch.testing.assert_close(ours(x, learn=True), expected, rtol=0, atol=1e-6)
    theirs.eval()
    expected = torch.stack([layer(each) for layer, each in zip(theirs, x)])
    torch.testing.assert_close(ours(x, learn=False), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("shape", SHAPES)
def test_agrees_with_threshold_dependent_batch_norm_of_spikingjelly(shape):
    reason = "SpikingJelly is not installed"
    layer = pytest.importorskip("spikingjelly.activation_based.layer", reason=reason)
    name = f"ThresholdDependentBatchNorm{1 if len(shape) == 1 else 2}d"
    theirs = getattr(layer, name)(1.0, THETA, shape[0], momentum=None).double()
    ours = Norm("tdbn", shape, STEPS - 2, THETA).double()
    torch.testing.assert_close(ours.gain, theirs.weight)
    for seed in range(3):
        x = arriving(shape, seed)
        torch.testing.assert_close(ours(x, learn=True), theirs(x), rtol=0, atol=1e-6)
    theirs.eval()
    torch.testing.assert_close(ours(x, learn=False), theirs(x), rtol=0, atol=1e-6)


def test_the_gradient_takes_no_more_of_each_step_for_more_steps():
    """x[t] in a loop would have a gradient as large as x at every step."""
    net = network_of("tdbn", skip=True)
    x, _ = batch_for(net)
    seen, left = set(), [simulate(net, as_dense(net, x)).readout.grad_fn]
    while left:
        node = left.pop()
        if node is not None and node not in seen:
            seen.add(node)
            left += [before for before, _ in node.next_functions]
    names = {type(node).__name__ for node in seen}
    assert "UnbindBackward0" in names
    assert "SelectBackward0" not in names


@pytest.mark.parametrize("kind", KINDS)
def test_the_scale_of_weights_does_not_matter_and_that_of_the_gain_does(kind):
    net = network_of(kind)
    x, _ = batch_for(net)
    plain = ReferenceEngine().simulate(net, x, record=("free",)).free["h1"]
    net.projections[0].weight.data.mul_(50)
    scaled = ReferenceEngine().simulate(net, x, record=("free",)).free["h1"]
    torch.testing.assert_close(scaled, plain, rtol=1e-3, atol=1e-3)
    net.scale("h1", 2.0)
    doubled = ReferenceEngine().simulate(net, x, record=("free",)).free["h1"]
    torch.testing.assert_close(doubled, 2 * scaled)


@pytest.mark.parametrize("strategy", [FluctCalibrated(0.7), Lsuv(0.7)])
@pytest.mark.parametrize("kind", KINDS)
def test_calibration_sets_the_gain_and_the_probe_measures_behind_it(kind, strategy):
    net = network_of(kind)
    x, labels = batch_for(net)
    engine = ReferenceEngine()
    drawn(net, strategy, x, 20.0)
    before = {name: value.clone() for name, value in net.weights().items()}
    rows = probe_populations(net, engine, x, labels, OBJECTIVE, strategy, 20.0)
    for row in rows[:-1]:
        assert row["free_sigma"] == pytest.approx(0.7, rel=0.02)
        assert row["theory_sigma_u"] is row["theory_mu_u"] is None
        assert row["target_sigma_u"] == 0.7
    assert all(torch.equal(before[name], value) for name, value in net.weights().items())


@pytest.mark.parametrize("make", [
        lambda **form: normalize(dale((9,), **form), "tdbn", STEPS),
        lambda **form: dense((9,), norm="layer", recurrent=True, **form),
        lambda **form: conv((2, 6, 6), norm="bntt", recurrent_kernel=3, **form),
        lambda **form: conv((2, 6, 6), norm="bntt", dense=8, dense_recurrent=True, **form),
    ],
)  # fmt: skip
def test_recurrence_and_dales_law_are_refused(make):
    with one_line(r"^model.norm=.*; use model.norm=none, or model=dense"):
        make(classes=4, steps=STEPS, dt=2e-3)


def test_statistics_of_one_value_are_refused():
    with one_line("a batch of one sample has no variance"):
        Norm("bntt", (7,), 10, 1.0).check(1)
    Norm("bntt", (7, 2, 2), 10, 1.0).check(1)
    Norm("tdbn", (7,), 10, 1.0).check(1)
    Norm("bntt", (7,), 10, 1.0).check(2)


@pytest.mark.parametrize("kind", KINDS)
def test_parts_of_a_batch_are_refused_where_statistics_are_of_the_batch(kind):
    net = network_of(kind)
    x, labels = batch_for(net)
    engine = CudaEngine(memory=2.2e-4)
    if kind == "layer":
        assert "in 2 parts" in engine.plan(net, STEPS, BATCH, {}, {}).lines[0]
        return
    for call in (
        lambda: engine.plan(net, STEPS, BATCH, {}, {}),
        lambda: engine.step(net, x, labels, OBJECTIVE),
    ):
        with one_line(r"raise it, lower trainer.batch_size"):
            call()
