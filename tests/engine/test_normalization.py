"""Normalization in the compiled engine: what the reference computes, forward and back."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import numpy as np
import pytest
import torch
from compared import as_events, weighted
from making import one_line

from fdi.data.inputs import Constant, Frames
from fdi.engine import Engine
from fdi.engine.cpu import CpuEngine
from fdi.engine.cuda import CudaEngine
from fdi.engine.reference import ReferenceEngine
from fdi.snn.models import conv, dense
from fdi.snn.network import Network, Norm, draw_time_constants
from fdi.snn.neuron import adaptive_threshold, adlif, alif, lif
from fdi.snn.objective import LowerBound, Objective, UpperBound

STEPS, BATCH, CLASSES, DT = 18, 5, 4, 2e-3
KINDS = ("tdbn", "bntt", "layer")
OBJECTIVE = Objective("mean", UpperBound(0.1, 0.5), LowerBound(100.0, 2.0))
IMAGE: dict[str, Any] = dict(input_shape=(2, 7, 6))
MODELS: dict[str, Any] = {
    "dense": lambda **form: dense((9,), hidden=[30, 20, 20], **form),
    "skip": lambda **form: dense((9,), hidden=[30, 20, 20, 17], skip=True, **form),
    "conv": lambda **form: conv(**IMAGE, filters=[5, 18, 4], pool=[2, 1, 1], **form),
    "skip conv": lambda **form: conv(**IMAGE, filters=[5, 4, 6], skip=True, **form),
    "conv and dense": lambda **form: conv(
        **IMAGE, filters=[5, 4], stride=[2, 1], pool=[1, 2], dense=[11, 12], **form
    ),
    "one dimension": lambda **form: conv((2, 11), filters=[5, 4], kernel=5, padding=2, **form),
}
QUICK = ("skip", "conv and dense", "skip conv")
NEURONS: dict[str, Any] = {
    "lif": lif(),
    "learning": lif(learn_tau=True, reset="subtract"),
    "alif": alif(a=0.7),
    "adlif": adlif(a=0.5, learn_tau=True),
    "adaptive_threshold": adaptive_threshold(b=0.3, learn_tau=True),
    "different": lif(tau_shape=3.0),
}


def network(model: str, kind: str, neuron=NEURONS["lif"], steps: int = STEPS) -> Network:
    """In float64, with gains and biases that differ, and spikes in all layers."""
    net = MODELS[model](classes=CLASSES, steps=steps, dt=DT, neuron=neuron, norm=kind)
    draw_time_constants(net, np.random.default_rng(0))
    generator = torch.Generator().manual_seed(1)
    for population in weighted(net, 5, 1).hidden:
        net.scale(population.name, 5.0)
        for value in net.norms[population.name].parameters():
            value.data.add_(torch.rand(value.shape, generator=generator))
    return net.double()


def batch(net: Network, form: str = "frames", seed: int = 0, samples: int = BATCH) -> tuple:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, CLASSES, samples)
    if form == "constant":
        return Constant(rng.normal(size=(samples, *net.input_shape)), STEPS), labels
    counts = rng.poisson(0.3, (samples, STEPS, *net.input_shape)).astype(np.uint8)
    if form == "frames":
        return Frames(counts), labels
    return as_events(counts, True), labels


def assert_equal_to_the_reference(net: Network, engine: Engine, *inputs: tuple) -> None:
    """Steps and evaluations, of the batch before any step; then gradients and all that is kept."""
    other = deepcopy(net)
    for i, (x, labels) in enumerate(inputs):
        found = [
            (e.evaluate(n, x, labels, OBJECTIVE), e.step(n, x, labels, OBJECTIVE))
            for n, e in ((net, ReferenceEngine()), (other, engine))
        ]
        for wanted, outcome in zip(*found):
            assert outcome.task == pytest.approx(wanted.task, rel=1e-9)
            assert outcome.regularizer == pytest.approx(wanted.regularizer, rel=1e-9, abs=1e-12)
            assert outcome.sums[0] == wanted.sums[0]
            for name, counts in wanted.counts.items():
                assert counts.sum() > 20, (i, name)
                np.testing.assert_array_equal(outcome.counts[name], counts)
        named = dict(other.named_parameters())
        for name, p in net.named_parameters():
            size = float(p.grad.abs().max())
            assert size > 0, name
            torch.testing.assert_close(named[name].grad, p.grad, rtol=0, atol=1e-9 * size)
    for name, value in net.weights().items():
        torch.testing.assert_close(other.weights()[name], value, rtol=1e-9, atol=1e-12)


ENGINES: list[Any] = [lambda: CpuEngine(threads=2, chunk=2), lambda: CudaEngine()]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("model", QUICK)
def test_steps_are_those_of_the_reference(model, kind, engine):
    net = network(model, kind)
    assert_equal_to_the_reference(net, engine(), *(batch(net, seed=seed) for seed in range(2)))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("form", ["constant", "events"])
@pytest.mark.parametrize("model", ["skip", "conv and dense"])
def test_with_any_input(model, form, engine):
    net = network(model, "tdbn")
    assert_equal_to_the_reference(net, engine(), batch(net, form))


@pytest.mark.slow  # each is compiled
@pytest.mark.parametrize("neuron", NEURONS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("model", MODELS)
def test_every_network_is_that_of_the_reference(model, kind, neuron):
    if model in ("conv", "skip conv", "conv and dense", "one dimension") and neuron in (
        "adaptive_threshold", "different",
    ):  # fmt: skip
        pytest.skip("refused")
    for form in ("frames", "constant"):
        net = network(model, kind, NEURONS[neuron])
        assert_equal_to_the_reference(net, CpuEngine(threads=2, chunk=2), batch(net, form))


@pytest.mark.parametrize("model", ["skip", "conv and dense"])
def test_some_layers_may_be_normalized_and_others_not(model):
    net = network(model, "tdbn")
    del net.norms["h1"]
    net.norms["h3"] = network(model, "layer").norms["h3"]
    for link in net.afferents("h1"):
        link.weight.data.mul_(4)
    assert_equal_to_the_reference(net, CpuEngine(threads=2, chunk=2), batch(net))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("model", ["skip", "conv and dense"])
def test_threads_change_no_bit_and_running_statistics_no_gradient(model, kind):
    found = []
    for threads in (1, 2, 5):
        net = network(model, kind)
        x, labels = batch(net, samples=7)
        engine = CpuEngine(threads, chunk=2)
        for _ in range(2):
            engine.step(net, x, labels, OBJECTIVE)
        kept = [p.grad.clone() for p in net.parameters()]
        found.append(kept + [value.clone() for value in net.weights().values()])
        found[-1].append(torch.tensor(engine.evaluate(net, x, labels, OBJECTIVE).task))
    for other in found[1:]:
        for a, b in zip(found[0], other):
            assert torch.equal(a, b)


@pytest.mark.slow  # it is compiled
@pytest.mark.parametrize("kind", KINDS)
def test_in_float32_too(kind):
    net = network("skip", kind).float()
    x, labels = batch(net)
    exact = deepcopy(net).double()
    wanted = ReferenceEngine().step(exact, x, labels, OBJECTIVE)
    outcome = CpuEngine(threads=1, chunk=2).step(net, x, labels, OBJECTIVE)
    for name, counts in wanted.counts.items():
        np.testing.assert_array_equal(outcome.counts[name], counts)
    for p, q in zip(net.parameters(), exact.parameters()):
        assert p.grad.dtype == torch.float32
        size = float(q.grad.abs().max())
        torch.testing.assert_close(p.grad.double(), q.grad, rtol=0, atol=1e-4 * size)


@pytest.mark.parametrize("steps", [1, 2, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_short_trials(kind, steps):
    """Before the third step nothing arrives that has an effect."""
    nets = [dense((9,), CLASSES, steps, DT, hidden=5, norm=kind).double() for _ in range(3)]
    x, labels = Frames(np.ones((3, steps, 9), np.uint8)), np.zeros(3, np.int64)
    for net, engine in zip(nets, (ReferenceEngine(), *(make() for make in ENGINES))):
        for link in net.projections:
            link.weight.data.copy_(torch.linspace(-9, 9, link.weight.numel()).view_as(link.weight))
        assert engine.step(net, x, labels, OBJECTIVE).samples == 3
    for other in nets[1:]:
        for p, q in zip(nets[0].parameters(), other.parameters()):
            torch.testing.assert_close(q.grad, p.grad)
        for name, value in nets[0].weights().items():
            torch.testing.assert_close(other.weights()[name], value)


def test_what_is_not_computed_is_refused_in_a_line():
    net = network("dense", "tdbn")
    net.norms["h1"] = type("Own", (Norm,), {})("rms", (30,), 0, 1.0)
    with one_line(r"\(rms, of population h1\); use engine=reference$"):
        CpuEngine().check(net)
    net = dense((9,), CLASSES, STEPS, DT, hidden=5, recurrent=True)
    net.norms["h1"] = Norm("layer", (5,), STEPS - 2, 1.0)
    with one_line(r"recurrence .* \(h1->h1\); use engine=reference$"):
        CpuEngine().check(net)


def test_a_batch_that_does_not_fit_into_memory_is_refused():
    net = network("dense", "tdbn")
    x, labels = batch(net)
    CpuEngine(1, checkpoint="auto").step(net, x, labels, OBJECTIVE)
    with one_line(r"lower trainer\.batch_size"):
        CpuEngine(1, checkpoint="auto", memory=1e-5).step(net, x, labels, OBJECTIVE)


def test_gains_of_another_number_of_steps_and_single_values_are_refused():
    net = network("dense", "bntt", steps=30)
    x, labels = batch(net)
    with one_line("has a gain for each of 28 steps with an effect, and a trial has 16"):
        CpuEngine().step(net, x, labels, OBJECTIVE)
    single = dense((9,), CLASSES, 3, DT, hidden=5, norm="tdbn")
    with one_line("has no variance"):
        CpuEngine().step(single, Frames(np.ones((1, 3, 9), np.uint8)), labels[:1], OBJECTIVE)
