"""Kinds of neurons in kinds of networks, such that learn tau_mem and layers whose constants differ
among them: the compiled engine computes what the reference does, or refuses.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from compared import assert_like_the_reference, frames, gradients, weighted
from making import one_line

from fdi.data.inputs import Constant
from fdi.engine.cpu import CpuEngine
from fdi.engine.reference import ReferenceEngine
from fdi.snn.models import conv, dale, dale_conv, dense
from fdi.snn.network import Network, draw_time_constants
from fdi.snn.neuron import Neuron, adaptive_threshold, adlif, alif, lif
from fdi.snn.objective import LowerBound, Objective, UpperBound

STEPS, BATCH, CLASSES = 24, 7, 3
LABELS = np.arange(BATCH) % CLASSES
OBJECTIVE = Objective("mean", UpperBound(0.1, 0.5), LowerBound(100.0, 2.0))
IMAGE: dict[str, Any] = dict(input_shape=(2, 7, 7))
MODELS: dict[str, Any] = {
    "dense": lambda **form: dense((9,), hidden=[20, 17], **form),
    "skip": lambda **form: dense((9,), hidden=[1, 20, 12], skip=True, **form),
    "recurrent": lambda **form: dense((9,), hidden=[20, 17], recurrent=True, **form),
    "dale": lambda **form: dale((9,), excitatory=[20, 17], inhibitory=[6, 5], **form),
    "conv": lambda **form: conv(**IMAGE, filters=[5, 18, 4], pool=[2, 1, 1], skip=True, **form),
    "conv and dense": lambda **form: conv(
        **IMAGE, filters=[5], pool=3, dense=[11, 6], dense_recurrent=True, **form
    ),
    "recurrent conv": lambda **form: conv(**IMAGE, filters=[5, 4], recurrent_kernel=3, **form),
    "dale conv": lambda **form: dale_conv(
        **IMAGE, excitatory=[5, 4], inhibitory=[3, 2], recurrent_kernel=3, **form
    ),
}
KINDS = {
    "lif": lif(),
    "learning": lif(learn_tau=True),
    "learning, subtract": lif(learn_tau=True, reset="subtract"),
    "learning alif": alif(learn_tau=True, a=0.7),
    "learning adlif": adlif(learn_tau=True, a=0.5),
    "learning adaptive_threshold": adaptive_threshold(learn_tau=True, b=0.3),
    "alif, sigmoid": alif(reset="subtract", surrogate="sigmoid", a=0.7),
    "adlif, triangle": adlif(surrogate="triangle", a=0.5),
    "adlif, boxcar": adlif(reset="zero", surrogate="boxcar", beta=0.4),
    **{f"different {n}": lif(tau_shape=3.0, reset=n) for n in ("zero", "subtract")},
    "different alif": alif(a=0.7, tau_shape=3.0),
    "different adlif": adlif(a=0.5, tau_shape=3.0),
    "different adaptive_threshold": adaptive_threshold(b=0.3, tau_shape=3.0),
}
COMPILED = (  # by other tests that are not slow, too
    ("conv and dense", "lif"),
    *((model, "different adaptive_threshold") for model in ("recurrent", "skip")),
    *((model, "learning, subtract") for model in ("dense", "skip", "recurrent")),
)


def network(model: str, neuron: Neuron) -> Network:
    """In float64, each population at a time constant of its own, and with spikes."""
    net = MODELS[model](classes=CLASSES, steps=STEPS, dt=2e-3, neuron=neuron)
    draw_time_constants(net, np.random.default_rng(0))
    for i, leak in enumerate(net.leaks.values()):
        leak.data.add_(0.3 * i - 0.5)
    return weighted(net, 6, 1, 1 / 3).double()


def assert_it_is_that_of_the_reference(net: Network) -> None:
    engines = CpuEngine(threads=2, chunk=3), CpuEngine(threads=2, chunk=3, windows=3)
    image = Constant(2 * np.random.default_rng(0).normal(size=(BATCH, *net.input_shape)), STEPS)
    for x in (frames(net, STEPS, BATCH), image):
        for found in assert_like_the_reference(net, x, LABELS, OBJECTIVE, *engines):
            assert all(gradient.any() for gradient in found.values())


@pytest.mark.parametrize(
    ("model", "kind"),
    [
        pytest.param(*each, marks=[pytest.mark.slow] * (each not in COMPILED))
        for each in product(MODELS, KINDS)
    ],
)
def test_a_kind_of_neuron_in_a_network_is_that_of_the_reference_or_refused(model, kind):
    if "conv" in model and ("threshold" in kind or "different" in kind):
        with one_line("in fully connected layers only|share weights"):
            CpuEngine().check(network(model, KINDS[kind]))
        return
    net = network(model, KINDS[kind])
    assert_it_is_that_of_the_reference(net)
    if "different" in kind:
        alike, x = network(model, replace(KINDS[kind], tau_shape=None)), frames(net, STEPS, BATCH)
        one, other = (ReferenceEngine().simulate(each, x).readout for each in (net, alike))
        assert not torch.allclose(one, other)


@pytest.mark.parametrize("kind", ["learning, subtract", "different adaptive_threshold"])
def test_threads_and_windows_change_no_bit(kind):
    net = network("recurrent", KINDS[kind])
    x = frames(net, STEPS, BATCH)
    first, *others = (
        gradients(CpuEngine(threads, chunk=4, windows=windows), net, x, LABELS, OBJECTIVE)
        for threads, windows in ((1, 1), (2, 1), (1, 5), (32, 1))
    )
    for other in others:
        assert all(torch.equal(other[name], gradient) for name, gradient in first.items())


@pytest.mark.parametrize(
    "neuron",
    [lif(tau_mem=50e-3, theta=0.7), pytest.param(KINDS["different zero"], marks=pytest.mark.slow)],
)
def test_layers_above_maps_have_constants_of_their_own(neuron):
    net = network("conv and dense", lif())
    maps, *rows = net.layers
    above = [tuple(replace(p, neuron=neuron) for p in row) for row in rows]
    other = Network(net.input_shape, above, net.readout, [], net.dt)
    draw_time_constants(other, np.random.default_rng(0))
    net.layers = [maps, *other.layers]
    assert_it_is_that_of_the_reference(net)


def test_layers_that_do_not_learn_beside_such_that_do_are_refused():
    net = network("dense", lif())
    first, (second,) = net.layers
    layers = [first, (replace(second, neuron=lif(learn_tau=True)),)]
    mixed = Network(net.input_shape, layers, net.readout, [*net.projections], net.dt)
    with one_line("of which all or none learn tau_mem; use engine=refer"):
        CpuEngine().check(mixed)
