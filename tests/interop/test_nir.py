"""NIR: the same network comes back, another reader computes the same, the rest is refused."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

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
        neuron or Neuron(15e-3, (7e-3,), theta=0.9),
        readout_u_init=0,
        **options,
    )
    for i, weight in enumerate(built.parameters()):
        generator = torch.Generator().manual_seed(i)
        weight.data = torch.randn(weight.shape, generator=generator) * 6 / weight[0].numel() ** 0.5
    return built.double()


NETWORKS = {
    "dense": lambda: network(hidden=20, depth=2),
    "conv1d": lambda: network(conv, filters=[3, 4], kernel=5, stride=2, padding=1),
    "conv2d": lambda: network(conv, (2, 9, 8), filters=[3, 4], kernel=3),
}


def different():
    """Neurons with time constants of their own."""
    built = network(neuron=Neuron(15e-3, (7e-3,), theta=0.9, tau_shape=3.0), hidden=20, depth=2)
    draw_time_constants(built, np.random.default_rng(0))
    return built


NETWORKS["neurons that differ"] = different


def spikes(shape):
    return (np.random.default_rng(0).random((5, STEPS, *shape)) < 0.2).astype(np.uint8)


def euler(nir, graph, x):
    """What a reader does that knows NIR and nothing of fdi: forward Euler of the equations of the
    nodes, every layer in the same step. Returns the potential of the output, [T, B, classes].
    """
    following, trace, dt = dict(graph.edges), [], graph.metadata["dt"]
    state: dict[str, Any] = {}
    for signal in x.astype(float):
        name = "input"
        while (name := following[name]) != "output":
            node = graph.nodes[name]
            if isinstance(node, nir.Linear):
                signal = signal @ node.weight.T
                continue
            i, v, fired = state.get(name, (np.zeros((len(signal), *node.v_leak.shape)),) * 3)
            v = (v + dt / node.tau_mem * (node.v_leak - v + node.r * i)) * (1 - fired)
            i = i + dt / node.tau_syn * (node.w_in * signal - i)
            fired = v > node.v_threshold if isinstance(node, nir.CubaLIF) else 0.0
            state[name] = i, v, fired
            signal = fired if isinstance(node, nir.CubaLIF) else v
        trace.append(signal)
    return torch.as_tensor(np.stack(trace))


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


@pytest.mark.parametrize("kind", ["dense", "neurons that differ"])
def test_a_reader_of_nir_gets_the_same_readout_two_steps_a_layer_earlier(kind):
    nir = pytest.importorskip("nir")
    original = NETWORKS[kind]()
    x = spikes((30,))
    ours = ReferenceEngine().simulate(original, Frames(x)).readout
    theirs = euler(nir, to_nir(original), x.swapaxes(0, 1))
    shifts = [k for k in range(8) if torch.allclose(ours[k:], theirs[: STEPS - k], atol=1e-9)]
    assert ours.abs().max() > 0.1
    assert len(shifts) == 1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: network(hidden=5, recurrent=True), "h1->h1: NIR has no time step"),
        (lambda: network(hidden=[5, 5, 5], skip=True), "NIR has no time step"),
        (lambda: network(dale, excitatory=5, inhibitory=3), "cannot say two synaptic channels"),
        (lambda: network(conv, (2, 9, 8), filters=3, pool=2), "h1: NIR cannot say max pooling"),
        (lambda: network(neuron=ALIF()), r"NIR cannot say adaptation \(ALIF\)"),
        (lambda: network(neuron=replace(Neuron(), reset="subtract")), "cannot say reset subtract"),
    ],
)
def test_what_nir_cannot_say_is_refused(make, message):
    pytest.importorskip("nir")
    with pytest.raises(ValueError, match=message):
        to_nir(make())


def test_averages_come_back_in_the_weights():
    pytest.importorskip("nir")
    averaged = network(conv, (2, 16, 8), filters=[3, 4], pool=[2, 4], pooling="average")
    again, x = from_nir(to_nir(averaged)).double(), Frames(spikes((2, 16, 8)))
    found, wanted = (ReferenceEngine().simulate(each, x) for each in (again, averaged))
    torch.testing.assert_close(found.readout, wanted.readout)
    assert wanted.counts["h2"].sum() > 5
    line = network(conv, filters=[3], pool=2, pooling="average")
    with pytest.raises(ValueError, match="h1: NIR averages over two dimensions, not over one"):
        to_nir(line)


def test_a_readout_that_does_not_start_at_rest_is_refused_or_told_to():
    pytest.importorskip("nir")
    default = dense((30,), 4, STEPS, DT, hidden=5)
    with pytest.raises(ValueError, match=r"readout: NIR cannot say that U starts at -0\.01"):
        to_nir(default)
    assert from_nir(to_nir(default, start_at_rest=True)).readout.neuron.u_init == 0


def test_without_the_package_the_way_out_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "nir", None)
    with pytest.raises(ValueError, match=r"pip install 'fdi-snn\[nir\]'"):
        to_nir(network())
