"""A network is called as a module of torch."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import torch

from fdi.data.inputs import Events, Frames
from fdi.engine import call as calling
from fdi.engine.reference.simulation import simulate
from fdi.snn import models
from fdi.snn.network import Network
from fdi.snn.neuron import adlif, lif

T, B, UNITS, DT = 20, 3, 6, 2e-3


def network(neuron=None, strength: float = 4.0, **options) -> Network:
    """Recurrent, unless it is normalized."""
    options = {"recurrent": "norm" not in options, "hidden": [8], **options}
    net = models.dense((UNITS,), 3, T, DT, neuron or lif(), **options)
    generator = torch.Generator().manual_seed(0)
    for link in net.projections:
        link.weight.data.normal_(0, strength / link.fan_in**0.5, generator=generator)
    return net.double()


def spikes() -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return (torch.rand(T, B, UNITS, generator=generator) < 0.3).double()


def test_a_call_is_the_readout_and_activity_the_rest():
    net, x = network(), spikes()
    expected = simulate(net, x, ("spikes", "potentials"))
    torch.testing.assert_close(net(x), expected.readout)
    found = net.activity(x, record=("spikes", "potentials"))
    assert found.readout.shape == (T, B, 3)
    for name, value in expected.spikes.items():
        assert value.sum() > 0
        torch.testing.assert_close(found.spikes[name], value, rtol=0, atol=0)
        torch.testing.assert_close(found.potentials[name], expected.potentials[name])


@pytest.mark.parametrize("neuron", [lif(), adlif()])
def test_without_gradients_the_fast_engine_gives_the_same(neuron, monkeypatch):
    net, x = network(neuron=neuron), spikes()
    slow = net.activity(x, ("spikes",))
    with torch.no_grad():
        assert torch.equal(net.activity(x, ("spikes",)).spikes["h1"], slow.spikes["h1"])
        monkeypatch.setattr(calling, "simulate", None)  # not even looked at
        fast = net.activity(x)
    assert not fast.readout.requires_grad
    torch.testing.assert_close(fast.readout, slow.readout.detach())
    for weight in net.parameters():
        weight.requires_grad_(False)
    torch.testing.assert_close(net(x), fast.readout)


def test_the_gradient_of_the_input_is_that_of_a_finite_difference():
    """Of the potential of a layer that hears no spikes, where the surrogate plays no role."""
    net, x = network(strength=0.01, recurrent=False), spikes().requires_grad_()
    weights = torch.rand(T, B, 8, generator=torch.Generator().manual_seed(2)).double()

    def value(given: torch.Tensor) -> torch.Tensor:
        activity = net.activity(given, ("potentials", "spikes"))
        assert activity.spikes["h1"].sum() == 0
        return (weights * activity.potentials["h1"]).sum()

    value(x).backward()
    assert x.grad is not None
    for place in [(0, 0, 0), (7, 1, 3), (T - 3, 2, 5)]:
        step = torch.zeros_like(x)
        step[place] = 1e-3
        with torch.no_grad():
            difference = float(value(x + step) - value(x - step)) / 2e-3
        assert float(x.grad[place]) == pytest.approx(difference, rel=1e-6)
        assert difference != 0


def test_the_gradient_of_a_readout_weight_is_that_of_a_finite_difference():
    net, x = network(), spikes()
    (link,) = net.afferents("readout")
    net(x).square().sum().backward()
    assert link.weight.grad is not None
    with torch.no_grad():
        found = float(link.weight.grad[1, 2])
        values = []
        for step in (1e-5, -2e-5):
            link.weight[1, 2] += step
            values.append(float(net(x).square().sum()))
    assert found == pytest.approx((values[0] - values[1]) / 2e-5, rel=1e-5)


def test_arrays_events_and_lists_are_the_same_input():
    net, x = network(), spikes()
    with torch.no_grad():
        expected = net(x)
        samples = x.swapaxes(0, 1).numpy()
        torch.testing.assert_close(net(x.numpy()), expected)
        torch.testing.assert_close(net(Frames(samples)), expected)
        pairs = [np.nonzero(sample) for sample in samples]
        lists = [((steps + 0.5) * DT, units) for steps, units in pairs]
        listed = net(lists)
        torch.testing.assert_close(listed, expected[: len(listed)])
        counts = np.concatenate([[0], np.cumsum((samples > 0).sum(2))])
        units = np.concatenate([u for _, u in pairs]).astype(np.int32)
        torch.testing.assert_close(net(Events(counts, units, (UNITS,), T)), expected)


def test_it_is_a_module_that_is_saved_copied_moved_and_pickled():
    net, x = network(), spikes()
    expected = net(x)
    other = network(strength=1.0)
    other.load_state_dict(net.state_dict())
    torch.testing.assert_close(other(x), expected)
    for again in (pickle.loads(pickle.dumps(net)), copy.deepcopy(net), net.eval()):
        torch.testing.assert_close(again(x), expected)
    assert net.to(torch.float32)(x).dtype == torch.float32


def test_what_a_normalization_averages_depends_on_eval():
    net = network(norm="tdbn")
    x = spikes()
    before = net.state_dict()
    net.eval()(x)
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())
    before = {key: value.clone() for key, value in net.state_dict().items()}
    net.train()(x)
    after = net.state_dict()
    changed = [key for key, value in before.items() if not torch.equal(value, after[key])]
    assert changed
    assert all(key.startswith("norms.h1.") for key in changed)


@pytest.mark.parametrize(
    ("x", "words"),
    [
        (torch.zeros(T, B, UNITS + 1), r"an input of \(20, 3, 7\); it must be \[T, B, 6\]"),
        (torch.zeros(T, UNITS), r"must be \[T, B, 6\], time first"),
        (np.zeros((T, B, UNITS), complex), "must be real"),
        (Frames(np.zeros((B, T, 5))), r"an input of \(5,\); this network sees \(6,\)"),
        ([(np.zeros(2), np.zeros(3))], "sample 0: times must be seconds from 0 on"),
        ([(np.zeros(1), np.array([6]))], r"sample 0: units must lie in 0\.\.5"),
        ([1, 2], "a list must hold"),
    ],
)
def test_another_input_is_refused_in_a_line(x, words):
    with pytest.raises(ValueError, match=words) as error:
        network()(x)
    assert "\n" not in str(error.value)
    with pytest.raises(ValueError, match="record has spike; choose from spikes"):
        network().activity(spikes(), ("spike",))
