"""Neurons with time constants of their own: the draw, and the engines."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from compared import frames

from fdi.engine.cpu import CpuEngine
from fdi.engine.cuda import CudaEngine
from fdi.engine.reference import ReferenceEngine
from fdi.snn.models import conv, dale, dense
from fdi.snn.network import BOUNDS, Network, draw_time_constants
from fdi.snn.neuron import LIF, Population, lif
from fdi.snn.objective import Objective

DT = 2e-3
SPEC: dict[str, Any] = dict(input_shape=(6,), classes=3, steps=25, dt=DT)
DIFFERENT = lif(tau_shape=3.0)
DALE: dict[str, Any] = dict(excitatory=[33, 17], inhibitory=9, **SPEC)


def drawn(network: Network, seed: int = 0) -> Network:
    draw_time_constants(network, np.random.default_rng(seed))
    return network


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
        drawn(dense(neuron=DIFFERENT, hidden=8, depth=depth, **SPEC), seed)
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
        (lambda: conv((1, 9), 3, 5, DT, DIFFERENT), r"neurons of a map \(h1\) share weights"),
        (lambda: dense(neuron=lif(tau_mem=0.2, tau_shape=3.0), **SPEC), "and 200 ms cannot be"),
        (lambda: dale(neuron=DIFFERENT, tau_inh=1e-3, **SPEC), "and 1 ms cannot be their mean"),
    ],
)
def test_what_cannot_be_drawn_is_refused(network, words):
    with pytest.raises(ValueError, match=words + r".*neuron\.tau_shape=null"):
        drawn(network())


@pytest.mark.parametrize("engine", [ReferenceEngine(), CpuEngine(1), CudaEngine()])
def test_what_is_not_drawn_is_not_computed(engine):
    network = dense(neuron=DIFFERENT, **SPEC)
    with pytest.raises(ValueError, match="h1: its time constants are not drawn"):
        engine.step(network, frames(network, 25, 5), np.arange(5) % 3, Objective())


@pytest.mark.parametrize("taus", [((1e-2,) * 3,), ((1e-2,) * 3, (1e-2,) * 2)])
def test_time_constants_of_other_neurons_are_refused(taus):
    with pytest.raises(ValueError, match=r"do not fit; a population .* takes \[3, 3\]"):
        Population("h1", (3,), LIF, taus=taus)


def test_they_are_taken_over_by_an_equal_network_only():
    one, other = (drawn(dale(neuron=DIFFERENT, **DALE), seed) for seed in (0, 1))
    assert one.hidden != other.hidden
    other.load_time_constants(one.time_constants())
    assert one.hidden == other.hidden
    with pytest.raises(ValueError, match=r"time constants of \['e1', .* do not fit \[\]"):
        dale(**DALE).load_time_constants(one.time_constants())
