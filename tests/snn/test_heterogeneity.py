"""Neurons with time constants of their own: the draw, and the engines."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from fdi.data.inputs import Frames
from fdi.engine.cpu import CpuEngine
from fdi.engine.cuda import CudaEngine
from fdi.engine.reference import ReferenceEngine
from fdi.snn.models import conv, dale, dense
from fdi.snn.network import BOUNDS, Network, draw_time_constants
from fdi.snn.neuron import LIF, Neuron, Population, adlif, alif, lif
from fdi.snn.objective import LowerBound, Objective, UpperBound

DT, STEPS, CLASSES = 2e-3, 25, 3
SPEC: dict[str, Any] = dict(input_shape=(6,), classes=CLASSES, steps=STEPS, dt=DT)
OBJECTIVE = Objective("mean", UpperBound(0.1, 0.5), LowerBound(1.0, 4.0))
KINDS = {
    "lif": lif(tau_shape=3.0),
    "alif": alif(a=0.7, tau_shape=3.0),
    "adlif": adlif(a=0.5, tau_shape=3.0),
}
MODELS = {
    "dense": lambda neuron: dense(neuron=neuron, hidden=[1, 33, 17], skip=True, **SPEC),
    "recurrent": lambda neuron: dense(neuron=neuron, hidden=[33, 17], recurrent=True, **SPEC),
    "dale": lambda neuron: dale(neuron=neuron, excitatory=[33, 17], inhibitory=9, **SPEC),
}


def drawn(network: Network, seed: int = 0) -> Network:
    draw_time_constants(network, np.random.default_rng(seed))
    return network


def weighted(network: Network) -> Network:
    generator = torch.Generator().manual_seed(0)
    for projection in network.double().projections:
        with torch.no_grad():
            projection.weight.normal_(0, 8 / projection.fan_in**0.5, generator=generator)
    return network


def outputs(engine, network: Network) -> list[np.ndarray]:
    """Readout and gradients."""
    rng = np.random.default_rng(0)
    x = Frames((rng.random((5, STEPS, *network.input_shape)) < 0.2).astype(np.uint8))
    readout = engine.simulate(network, x).readout.numpy()
    engine.step(network, x, np.arange(5) % CLASSES, OBJECTIVE)
    return [readout, *(p.weight.grad.numpy().copy() for p in network.projections)]


def test_time_constants_are_gamma_around_their_means_and_clipped():
    neuron = replace(lif(tau_mem=20e-3, tau_shape=3.0), tau_syn=(10e-3, 30e-3), signs=(1, -1))
    network = drawn(dense((1,), 1, 1, DT, neuron, hidden=40_000))
    rows = np.array(network.hidden[0].taus)
    assert list(BOUNDS) == pytest.approx([1.63e-3, 99.7e-3], rel=1e-3)
    assert (rows.min(), rows.max()) == pytest.approx(BOUNDS)
    np.testing.assert_allclose(rows.mean(1), [20e-3, 10e-3, 30e-3], rtol=0.01)
    np.testing.assert_allclose(rows.std(1), np.array([20e-3, 10e-3, 30e-3]) / 3**0.5, rtol=0.02)
    skewness = ((rows - rows.mean(1)[:, None]) ** 3).mean(1) / rows.std(1) ** 3
    np.testing.assert_allclose(skewness, 2 / 3**0.5, rtol=0.1)  # of a Gamma distribution
    assert np.abs(np.corrcoef(rows) - np.eye(3)).max() < 0.02


def test_they_depend_on_the_seed_and_not_on_what_is_above():
    shallow, deep, other = (
        drawn(dense(neuron=KINDS["lif"], hidden=8, depth=depth, **SPEC), seed)
        for depth, seed in ((1, 0), (3, 0), (1, 1))
    )
    assert shallow.hidden[0].taus == deep.hidden[0].taus != other.hidden[0].taus
    assert deep.hidden[0].taus != deep.hidden[1].taus
    assert deep.readout.taus is None


def test_neurons_without_a_shape_stay_as_they_are():
    assert drawn(dense(neuron=LIF, **SPEC)).time_constants() == {}


@pytest.mark.parametrize(
    ("network", "words"),
    [
        (lambda: conv((1, 9), 3, 5, DT, KINDS["lif"]), r"neurons of a map \(h1\) share weights"),
        (lambda: dense(neuron=lif(tau_mem=0.2, tau_shape=3.0), **SPEC), "and 200 ms cannot be"),
        (lambda: dale(neuron=KINDS["lif"], tau_inh=1e-3, **SPEC), "and 1 ms cannot be their mean"),
    ],
)
def test_what_cannot_be_drawn_is_refused(network, words):
    with pytest.raises(ValueError, match=words + r".*neuron\.tau_shape=null"):
        drawn(network())


@pytest.mark.parametrize("engine", [ReferenceEngine(), CpuEngine(1), CudaEngine()])
def test_what_is_not_drawn_is_not_computed(engine):
    network = dense(neuron=KINDS["lif"], **SPEC)
    with pytest.raises(ValueError, match="h1: its time constants are not drawn"):
        outputs(engine, network)


@pytest.mark.parametrize("taus", [((1e-2,) * 3,), ((1e-2,) * 3, (1e-2,) * 2)])
def test_time_constants_of_other_neurons_are_refused(taus):
    with pytest.raises(ValueError, match=r"do not fit; a population .* takes \[3, 3\]"):
        Population("h1", (3,), LIF, taus=taus)


def test_they_are_taken_over_by_an_equal_network_only():
    one, other = (drawn(MODELS["dale"](KINDS["lif"]), seed) for seed in (0, 1))
    assert one.hidden != other.hidden
    other.load_time_constants(one.time_constants())
    assert one.hidden == other.hidden
    with pytest.raises(ValueError, match=r"time constants of \['e1', .* do not fit \[\]"):
        MODELS["dale"](LIF).load_time_constants(one.time_constants())


def test_equal_time_constants_of_each_are_those_of_all():
    alike = weighted(MODELS["recurrent"](LIF))
    each = weighted(MODELS["recurrent"](LIF))
    each.layers = [
        tuple(replace(p, taus=((LIF.tau_mem,) * p.units, LIF.tau_syn * p.units)) for p in layer)
        for layer in each.layers
    ]
    for engine in (ReferenceEngine(), CpuEngine(1)):
        for a, b in zip(outputs(engine, each), outputs(engine, alike)):
            np.testing.assert_allclose(a, b, rtol=0, atol=1e-12 * np.abs(b).max())


def agrees(model: str, neuron: Neuron) -> None:
    network = weighted(drawn(MODELS[model](neuron)))
    wanted = outputs(ReferenceEngine(), network)
    assert all(np.abs(each).max() > 0 for each in wanted)
    alike = outputs(ReferenceEngine(), weighted(MODELS[model](replace(neuron, tau_shape=None))))
    assert not np.allclose(wanted[0], alike[0])
    for windows in (1, 3):
        engine = CpuEngine(threads=2, chunk=2, windows=windows)
        for a, b in zip(outputs(engine, network), wanted):
            np.testing.assert_allclose(a, b, rtol=0, atol=1e-9 * np.abs(b).max())


@pytest.mark.parametrize("model", ["dense", "recurrent"])
def test_the_cpu_engine_equals_the_reference(model):
    agrees(model, KINDS["lif"])


@pytest.mark.slow  # it is compiled
def test_rows_above_maps_may_differ():
    given: dict[str, Any] = dict(
        input_shape=(2, 6, 6), filters=[4], kernel=3, padding=1, pool=2, dense=[7, 5]
    )
    network = conv(classes=CLASSES, steps=STEPS, dt=DT, dense_recurrent=True, **given)
    rows = Network((4,), network.layers[1:], network.readout, [], DT)
    rows.layers = [tuple(replace(p, neuron=KINDS["lif"]) for p in row) for row in rows.layers]
    network.layers = [network.layers[0], *drawn(rows).layers]
    wanted = outputs(ReferenceEngine(), weighted(network))
    assert all(np.abs(each).max() > 0 for each in wanted)
    for a, b in zip(outputs(CpuEngine(1), network), wanted):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-9 * np.abs(b).max())


@pytest.mark.slow  # each is compiled
@pytest.mark.parametrize("reset", ["zero", "subtract"])
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_neuron_equals_the_reference(kind, model, reset):
    agrees(model, replace(KINDS[kind], reset=reset))


@pytest.mark.slow
def test_float32_and_two_channels_are_computed_too():
    network = weighted(drawn(MODELS["dale"](KINDS["lif"]))).float()
    for a, b in zip(outputs(CpuEngine(1), network), outputs(ReferenceEngine(), network)):
        assert a.dtype == np.float32
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-4 * np.abs(b).max())


def test_the_engine_for_a_gpu_refuses_them():
    with pytest.raises(ValueError, match=r"engine=cuda .* of their own .*; use engine=reference$"):
        CudaEngine().check(drawn(MODELS["dense"](KINDS["lif"])))
