"""NIR: the same network comes back, another reader computes the same, the rest is refused."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from compared import weighted

from fdi.data.inputs import Frames
from fdi.engine.reference import ReferenceEngine
from fdi.interop.nir import from_nir, to_nir
from fdi.snn.models import conv, dale, dense
from fdi.snn.network import draw_time_constants
from fdi.snn.neuron import ALIF, Neuron

DT, STEPS = 2e-3, 60


def network(model=dense, shape=(30,), neuron=None, **options):
    built = model(
        shape,
        4,
        STEPS,
        DT,
        neuron or Neuron(15e-3, (7e-3,), theta=0.9, reset="at_once"),
        readout_u_init=0,
        **options,
    )
    return weighted(built, 6).double()


NETWORKS = {
    "dense": lambda: network(hidden=20, depth=2),
    "recurrent": lambda: network(hidden=20, depth=2, recurrent=True, delay=0),
    "conv1d": lambda: network(conv, filters=[3, 4], kernel=5, stride=2, padding=1),
    "conv2d": lambda: network(conv, (2, 9, 8), filters=[3, 4], kernel=3),
}


def different():
    """Neurons with time constants of their own."""
    built = network(
        neuron=Neuron(15e-3, (7e-3,), theta=0.9, reset="at_once", tau_shape=3.0), hidden=20, depth=2
    )
    draw_time_constants(built, np.random.default_rng(0))
    return built


NETWORKS["neurons that differ"] = different


def spikes(shape):
    return (np.random.default_rng(0).random((5, STEPS, *shape)) < 0.2).astype(np.uint8)


@pytest.mark.parametrize("kind", NETWORKS)
def test_a_network_comes_back_from_a_file(kind, tmp_path):
    nir = pytest.importorskip("nir")
    original = NETWORKS[kind]()
    nir.write(tmp_path / "network.nir", to_nir(original))
    back = from_nir(nir.read(tmp_path / "network.nir")).double()
    assert list(back.weights()) == list(original.weights())
    inputs = Frames(spikes(original.input_shape))
    one, other = (
        ReferenceEngine().simulate(net, inputs, record=("spikes",)) for net in (original, back)
    )
    assert one.spikes["h1"].sum() > 100
    assert one.spikes["h2"].sum() > 20
    assert all(torch.equal(one.spikes[name], other.spikes[name]) for name in one.spikes)
    assert torch.allclose(one.readout, other.readout, atol=1e-9, rtol=0)


def test_delays_and_the_reset_come_back_and_nir_cannot_say_that_a_potential_rests(tmp_path):
    nir = pytest.importorskip("nir")
    held = network(neuron=Neuron(15e-3, (7e-3,), theta=0.9), hidden=20, depth=2)
    with pytest.raises(ValueError, match=r"h1: NIR cannot say that U stays at 0 in the step after"):
        to_nir(held)
    nir.write(tmp_path / "held.nir", to_nir(held, reset_at_once=True))
    graph = nir.read(tmp_path / "held.nir")
    x = torch.from_numpy(spikes((30,)).swapaxes(0, 1).copy())
    rising, back = from_nir(graph, reset="at_once"), from_nir(graph)
    torch.testing.assert_close(back.activity(x).readout, held.activity(x).readout)
    assert rising.activity(x).counts["h1"].sum() > 1.05 * held.activity(x).counts["h1"].sum()
    # with delay=2 a potential hears a spike two steps later, and spikes in the next one
    early, late = (from_nir(graph, delay=d, reset="zero").activity(x, TRACES) for d in (0, 2))
    for steps, name in ((3, "h1"), (6, "h2")):
        assert torch.equal(early.spikes[name][:-steps], late.spikes[name][steps:])
    with pytest.raises(ValueError, match=r"reset = 'off' must be one of zero, subtract, at_once"):
        from_nir(nir.NIRGraph(graph.nodes, graph.edges, metadata={"dt": DT, "reset": "off"}))


TRACES = ("spikes",)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: network(hidden=5, recurrent=True), "h1->h1: NIR cannot say that spikes come"),
        (lambda: network(hidden=[5, 5, 5], skip=True), "h1->h3: fdi writes no skip connections"),
        (lambda: network(dale, excitatory=5, inhibitory=3), "cannot say two synaptic channels"),
        (lambda: network(conv, (2, 9, 8), filters=3, pool=2), "h1: NIR cannot say max pooling"),
        (lambda: network(neuron=ALIF()), r"NIR cannot say adaptation \(ALIF\)"),
        (lambda: network(hidden=5, norm="tdbn"), "h1: NIR cannot say normalization"),
        (lambda: network(hidden=5, bias=True), "h1: NIR cannot say a bias"),
        (lambda: network(neuron=replace(Neuron(), reset="subtract")), "cannot say reset subtract"),
    ],
)
def test_what_nir_cannot_say_is_refused(make, message):
    pytest.importorskip("nir")
    with pytest.raises(ValueError, match=message):
        to_nir(make())


def test_averages_come_back():
    pytest.importorskip("nir")
    averaged = network(conv, (2, 16, 8), filters=[3, 4], pool=[2, 4], pooling="average")
    again, x = from_nir(to_nir(averaged)).double(), Frames(spikes((2, 16, 8)))
    found, wanted = (ReferenceEngine().simulate(each, x) for each in (again, averaged))
    torch.testing.assert_close(found.readout, wanted.readout)
    assert wanted.counts["h2"].sum() > 5
    line = network(conv, filters=[3], pool=2, pooling="average")
    with pytest.raises(ValueError, match="h1: NIR cannot say averages over one dimension"):
        to_nir(line)


def test_a_readout_that_does_not_start_at_rest_is_refused_or_told_to():
    pytest.importorskip("nir")
    default = dense((30,), 4, STEPS, DT, Neuron(reset="at_once"), hidden=5)
    with pytest.raises(ValueError, match=r"readout: NIR cannot say that U starts at -0\.01"):
        to_nir(default)


@pytest.mark.parametrize("readout", [True, False])
def test_a_readout_that_starts_elsewhere_comes_back(readout, tmp_path):
    """With a long time constant the start is seen to the end; other readers start at 0."""
    nir = pytest.importorskip("nir")
    neuron = Neuron(reset="at_once")
    own = dense((30,), 4, STEPS, DT, neuron, hidden=20, readout_tau_mem=1.0, readout_u_init=-0.3)
    original = weighted(own, 6).double()
    nir.write(tmp_path / "network.nir", to_nir(original, start_at_rest=True, readout=readout))
    graph = nir.read(tmp_path / "network.nir")
    x = torch.from_numpy(spikes((30,)).swapaxes(0, 1).copy())
    wanted, found = original(x), from_nir(graph).double()(x)
    assert torch.allclose(found, wanted, atol=1e-9, rtol=0)
    graph.metadata.pop("readout_u_init")
    apart = (from_nir(graph).double()(x) - wanted).abs().amax()
    assert 0.29 < apart < 0.3
    graph.metadata["readout_u_init"] = "low"
    with pytest.raises(ValueError, match=r"^readout_u_init = 'low' must be a finite number$"):
        from_nir(graph)


def test_without_the_package_the_way_out_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "nir", None)
    with pytest.raises(ValueError, match=r"pip install 'fdi-snn\[nir\]'"):
        to_nir(network())
