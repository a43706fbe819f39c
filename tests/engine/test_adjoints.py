"""Gradients against finite differences of the published equations, in float64: nothing of the
engines or of their slopes is used.

The surrogate gradient is the derivative of the network whose spikes are S + G'(V) (V' - V) around
its own S and V, where the reset sees S; G is the published antiderivative of the surrogate.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from compared import weighted
from published import PUBLISHED
from scipy.special import erf, logsumexp

from fdi.data.inputs import Frames
from fdi.engine.reference import ReferenceEngine
from fdi.snn import neuron
from fdi.snn.models import dale, dense
from fdi.snn.network import INPUT, Network, draw_time_constants
from fdi.snn.neuron import Neuron, Population
from fdi.snn.objective import Objective
from fdi.snn.surrogate import SURROGATES
from fdi.testing.neurons import resets

DT, STEPS, CLASSES = 2e-3, 30, 3
STRONG: dict[str, Any] = {  # such that little is not overlooked
    "alif": dict(a=0.7),
    "adlif": dict(a=0.5),
    "adaptive_threshold": dict(tau_ada=30e-3, b=0.3, t_ref=4e-3),
}
KINDS = {name: make(**STRONG.get(name, {})) for name, make in neuron.KINDS.items()}
ANTIDERIVATIVES: dict[str, Callable[..., np.ndarray]] = {
    "superspike": lambda v, beta: v / (1 + beta * np.abs(v)),
    "triangle": lambda v, beta: np.where(
        beta * np.abs(v) < 1, v - beta * v * np.abs(v) / 2, np.sign(v) / (2 * beta)
    ),
    "sigmoid": lambda v, beta: 1 / (1 + np.exp(-beta * v)),
    "gaussian": lambda v, beta: erf(beta * v / np.sqrt(2)) / 2,
    "boxcar": lambda v, beta: np.clip(beta * v, -0.5, 0.5),
    "arctan": lambda v, beta: np.arctan(np.pi / 2 * beta * v) / np.pi,
}


def slope(name: str, v: np.ndarray, beta: float, h: float = 1e-6) -> np.ndarray:
    g = ANTIDERIVATIVES[name]
    return (g(v + h, beta) - g(v - h, beta)) / (2 * h)


@pytest.mark.parametrize("name", SURROGATES)
@pytest.mark.parametrize("beta", [0.7, 3.0, 20.0])
def test_slopes_are_the_derivatives_of_the_published_functions(name, beta):
    v = np.random.default_rng(0).uniform(-1.5, 1.5, 1000)
    wanted = SURROGATES[name](torch.from_numpy(v), beta).numpy()
    np.testing.assert_allclose(slope(name, v, beta), wanted, rtol=0, atol=2e-4 * beta)


class Neurons:
    """A population step by step, by its published equations; around the potentials and
    spikes `base` [T] of an earlier run its spikes are linear.
    """

    def __init__(self, p: Population, samples: int, base: list | None) -> None:
        self.n, self.base = p.neuron, base
        self.seen: list[tuple[Any, ...]] = []
        n, shape = p.neuron, (samples, p.units)
        alike: tuple[Any, ...] = (n.tau_mem, *n.tau_syn)
        self.tau_mem, *self.tau_syn = map(np.array, p.taus or alike)
        self.u = np.full(shape, n.u_init)
        self.state = [np.zeros(shape)] * n.STATES
        self.i = [np.zeros(shape) for _ in n.tau_syn]
        self.x = [np.zeros(shape) for _ in n.tau_syn]

    def update(self) -> np.ndarray:
        n, u, given = self.n, self.u, (self.n, -np.expm1(-DT / self.tau_mem), self.u)
        of, state, rests = PUBLISHED[type(n)], self.state, hasattr(n, "t_ref")
        current = sum(sign * i for sign, i in zip(n.signs, self.i))
        v = u - of(*given, current, 0 * u, *state)[0]
        able = state[-1] == 0 if rests else True
        fired = s = (v > 0) * able * 1.0 if n.spiking else np.zeros_like(u)
        if self.base and n.spiking:
            v_0, fired, able = self.base[len(self.seen)]
            s = fired + slope(n.surrogate, v_0, n.beta) * (v - v_0) * able
        self.seen.append((v, s, able))
        _, leak, drive, *self.state = of(*given, current, s, *state)
        if rests:
            self.state[-1] = of(*given, current, fired, *state)[-1]
        if n.reset == "zero":
            self.u = (leak * u + drive) * (1 - fired)
        elif n.reset == "at_once":
            self.u = leak * u * (1 - fired) + drive
        elif n.reset == "constant":
            self.u = np.where(fired > 0, vars(n)["u_reset"], leak * u + drive)
        else:
            self.u = leak * (u - n.theta * fired) + drive
        self.i = [np.exp(-DT / tau) * i + x for tau, i, x in zip(self.tau_syn, self.i, self.x)]
        self.x = [np.zeros_like(u) for _ in self.i]
        return s


def loss(network: Network, weights: list, x: np.ndarray, y: np.ndarray, base: dict | None):
    """(cross-entropy of the mean readout, potentials and spikes of every population); of many
    networks at once where weights have an axis in front of theirs.
    """
    base = base or {}
    populations = {
        p.name: Neurons(p, len(x), base.get(p.name)) for p in (*network.hidden, network.readout)
    }
    readout = []
    for t in range(STEPS):
        spikes = {name: neurons.update() for name, neurons in populations.items()}
        spikes[INPUT] = x[:, t].astype(np.float64)
        for p, weight in zip(network.projections, weights):
            to = populations[p.target].x
            to[p.channel] = to[p.channel] + spikes[p.source] @ weight.swapaxes(-1, -2)
        readout.append(populations[network.readout.name].u)
    logits = np.mean(np.broadcast_arrays(*readout), 0)
    rows = logsumexp(logits, axis=-1) - logits[..., np.arange(len(y)), y]
    return rows.mean(-1), {name: neurons.seen for name, neurons in populations.items()}


def differences(network: Network, x: np.ndarray, y: np.ndarray, h: float = 1e-5) -> list:
    weights = [p.weight.detach().numpy() for p in network.projections]
    _, base = loss(network, weights, x, y, None)
    found = []
    for k, w in enumerate(weights):
        steps = h * np.eye(w.size).reshape(-1, *w.shape)
        above, below = (
            loss(network, [*weights[:k], w + step, *weights[k + 1 :]], x, y, base)[0]
            for step in (steps, -steps)
        )
        found.append(((above - below) / (2 * h)).reshape(w.shape))
    return found


def check(engine, build, neuron: Neuron) -> None:
    network = weighted(build(neuron).double(), 6, 1, 1 / 4)
    draw_time_constants(network, np.random.default_rng(0))
    rng = np.random.default_rng(0)
    x, y = (rng.random((2, STEPS, 3)) < 0.4).astype(np.uint8), np.array([0, 2])
    outcome = engine.step(network, Frames(x), y, Objective("mean"))
    assert sum(counts.sum() for counts in outcome.counts.values()) > 5
    for p, wanted in zip(network.projections, differences(network, x, y)):
        size = np.abs(wanted).max()
        assert size > 1e-6
        np.testing.assert_allclose(p.weight.grad.numpy(), wanted, rtol=0, atol=1e-5 * size)


def layers(neuron: Neuron) -> Network:
    return dense((3,), CLASSES, STEPS, DT, neuron, hidden=[4, 3], recurrent=True)


def two_channels(neuron: Neuron) -> Network:
    return dale((3,), CLASSES, STEPS, DT, neuron, excitatory=3, inhibitory=2)


FORMS = [(name, reset) for name, n in KINDS.items() for reset in resets(n)]


@pytest.mark.parametrize("build", [layers, two_channels])
@pytest.mark.parametrize(("kind", "reset"), FORMS)
def test_the_reference_has_the_gradients_of_finite_differences(kind, reset, build):
    """Slopes of other surrogates are above, and in a step of each kind those of fdi.testing."""
    check(ReferenceEngine(), build, replace(KINDS[kind], **dict[str, Any](reset=reset)))


@pytest.mark.parametrize("build", [layers, two_channels])
@pytest.mark.parametrize("kind", KINDS)
def test_the_reference_has_them_where_each_neuron_has_its_own_time_constants(kind, build):
    check(ReferenceEngine(), build, replace(KINDS[kind], tau_shape=2.0))
