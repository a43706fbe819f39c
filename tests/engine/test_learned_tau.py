"""Neurons that learn tau_mem, and layers whose constants differ: the compiled engine computes what
the reference does.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from compared import assert_like_the_reference, gradients

from fdi.data.inputs import Constant, Frames
from fdi.engine.cpu import CpuEngine
from fdi.snn.models import conv, dale, dale_conv, dense
from fdi.snn.network import Network
from fdi.snn.neuron import Neuron, adaptive_threshold, adlif, alif, lif
from fdi.snn.objective import LowerBound, Objective, UpperBound

STEPS, BATCH, CLASSES = 24, 7, 3
OBJECTIVE = Objective("mean", UpperBound(0.1, 0.5), LowerBound(100.0, 2.0))
IMAGE: dict[str, Any] = dict(input_shape=(2, 7, 7))
MODELS: dict[str, Any] = {
    "dense": lambda **form: dense((9,), hidden=[20, 17], **form),
    "skip": lambda **form: dense((9,), hidden=[20, 17, 12], skip=True, **form),
    "recurrent": lambda **form: dense((9,), hidden=[20, 17], recurrent=True, **form),
    "dale": lambda **form: dale((9,), excitatory=[20, 17], inhibitory=[6, 5], **form),
    "conv": lambda **form: conv(**IMAGE, filters=[5, 18, 4], pool=[2, 1, 1], skip=True, **form),
    "conv and dense": lambda **form: conv(**IMAGE, filters=[5], pool=3, dense=[11], **form),
    "recurrent conv": lambda **form: conv(**IMAGE, filters=[5, 4], recurrent_kernel=3, **form),
    "dale conv": lambda **form: dale_conv(
        **IMAGE, excitatory=[5, 4], inhibitory=[3, 2], recurrent_kernel=3, **form
    ),
}
KINDS = {
    "lif": lif(learn_tau=True),
    "subtract": lif(learn_tau=True, reset="subtract"),
    "alif": alif(learn_tau=True, a=0.7),
    "adlif": adlif(learn_tau=True, a=0.5),
    "adaptive_threshold": adaptive_threshold(learn_tau=True, b=0.3),
}


def network(model: str, neuron: Neuron) -> Network:
    """In float64, each population at a time constant of its own, and with spikes."""
    net = MODELS[model](classes=CLASSES, steps=STEPS, dt=2e-3, neuron=neuron)
    generator = torch.Generator().manual_seed(1)
    for link in net.projections:
        link.weight.data.normal_(0, 5 / link.fan_in**0.5, generator=generator)
        if link.nonnegative:
            link.weight.data.abs_().div_(3)
    for i, leak in enumerate(net.leaks.values()):
        leak.data.add_(0.3 * i - 0.5)
    return net.double()


def batch(net: Network, constant: bool = False) -> tuple[Any, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, CLASSES, BATCH)
    if constant:
        return Constant(2 * rng.normal(size=(BATCH, *net.input_shape)), STEPS), labels
    counts = rng.poisson(0.3, (BATCH, STEPS, *net.input_shape))
    return Frames(counts.astype(np.uint8)), labels


def assert_it_learns(net: Network, engine: CpuEngine, constant: bool = False) -> None:
    """What it does in the reference."""
    x, labels = batch(net, constant)
    (found,) = assert_like_the_reference(net, x, labels, OBJECTIVE, engine, spikes=6)
    assert all(gradient.any() for gradient in found.values())


@pytest.mark.parametrize("constant", [False, True])
@pytest.mark.parametrize("model", ["dense", "skip", "recurrent"])
def test_dense_layers_learn_what_they_do_in_the_reference(model, constant):
    engine = CpuEngine(threads=2, chunk=3)
    assert_it_learns(network(model, KINDS["subtract"]), engine, constant)


@pytest.mark.slow  # each is compiled
@pytest.mark.parametrize("model", ["conv", "conv and dense"])
def test_maps_learn_what_they_do_in_the_reference(model):
    assert_it_learns(network(model, KINDS["lif"]), CpuEngine(2, chunk=3, windows=3))


@pytest.mark.slow  # each is compiled
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("model", MODELS)
def test_every_network_learns_what_it_does_in_the_reference(model, kind):
    if "conv" in model and kind == "adaptive_threshold":
        pytest.skip("refused")
    for windows in (1, 3):
        net = network(model, KINDS[kind])
        assert_it_learns(net, CpuEngine(threads=2, chunk=3, windows=windows))


def test_threads_and_windows_change_no_bit():
    net = network("recurrent", KINDS["subtract"])
    x, labels = batch(net)
    first, *others = (
        gradients(CpuEngine(threads, chunk=4, windows=windows), net, x, labels, OBJECTIVE)
        for threads, windows in ((1, 1), (2, 1), (1, 5), (32, 1))
    )
    for other in others:
        assert all(torch.equal(other[name], gradient) for name, gradient in first.items())


def test_layers_above_maps_have_constants_of_their_own():
    net = network("conv and dense", lif())
    (maps,), (rows,) = net.layers
    slower = replace(rows, neuron=lif(tau_mem=50e-3, theta=0.7))
    other = Network(net.input_shape, [(maps,), (slower,)], net.readout, [*net.projections], net.dt)
    assert_it_learns(other, CpuEngine(threads=1))


def test_layers_that_do_not_learn_beside_such_that_do_are_refused():
    net = network("dense", lif())
    first, (second,) = net.layers
    layers = [first, (replace(second, neuron=lif(learn_tau=True)),)]
    mixed = Network(net.input_shape, layers, net.readout, [*net.projections], net.dt)
    with pytest.raises(ValueError, match="of which all or none learn tau_mem; use engine=refer"):
        CpuEngine().check(mixed)
