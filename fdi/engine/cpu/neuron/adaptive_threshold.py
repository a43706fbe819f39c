"""The neuron whose threshold adapts; see fdi.snn.neuron.AdaptiveThreshold."""

from __future__ import annotations

import math
from typing import NamedTuple

from fdi.engine.cpu.kernels.simd import like, load, select, store
from fdi.engine.cpu.neuron.equations import advances, remembers, retreats, thresholds
from fdi.snn.neuron import AdaptiveThreshold

STATES = 2
"""A[t], and how many steps a neuron still rests."""

REMEMBERED = 2
NEVER = 1_000_000
"""Above any potential."""


class Adaptive(NamedTuple):
    """`lift`: b; `rest`: steps."""

    beta_m: float
    beta_a: float
    lift: float
    rest: float


def constants(n: AdaptiveThreshold, dt: float) -> Adaptive:
    return Adaptive(n.decays(dt)[0], math.exp(-dt / n.tau_ada), n.b, float(n.rest(dt)))


@thresholds(Adaptive)
def threshold(n, theta, state, at, pace):
    a, rest = load(state, (at,)), load(state, (at + pace,))
    return select(rest > like(theta, 0), like(theta, NEVER), theta + n.lift * a)


@remembers(Adaptive)
def remember(n, state, at, pace, past, deep):
    store(state, (past,), load(state, (at,)))
    store(state, (past + deep,), load(state, (at + pace,)))


@advances(Adaptive)
def advance(n, u, fired, current, state, at, pace):
    zero, rest = like(u, 0), load(state, (at + pace,))
    a = n.beta_a * load(state, (at,)) + select(fired, like(u, 1), zero)
    store(state, (at,), a)
    fewer = select(rest > zero, rest - like(u, 1), zero)
    store(state, (at + pace,), select(fired, n.rest, fewer))
    return n.beta_m * u + current


@retreats(Adaptive)
def retreat(n, gd, gs, slope, state, at, pace, u, past, deep):
    zero, ga = like(gd, 0), load(state, (at,))
    pull = (gs + ga) * slope
    pull = select(load(state, (past + deep,)) > zero, zero, pull)
    store(state, (at,), n.beta_a * ga - n.lift * pull)
    return n.beta_m * gd + pull
