"""The authors' adaptive neuron; see fdi.snn.neuron.ALIF."""

from __future__ import annotations

import math
from typing import NamedTuple

from fdi.engine.cpu.kernels.simd import like, load, select, store
from fdi.engine.cpu.neuron.equations import advances, retreats
from fdi.snn.neuron import ALIF

STATES = 2
"""A[t] and S[t-1]."""


class Alif(NamedTuple):
    """`pull`: (1 - beta_m) a."""

    beta_m: float
    beta_a: float
    pull: float


def constants(n: ALIF, dt: float) -> Alif:
    beta_m, _ = n.decays(dt)
    return Alif(beta_m, math.exp(-dt / n.tau_ada), (1 - beta_m) * n.a)


@advances(Alif)
def advance(n, u, fired, current, state, at, pace):
    a = load(state, (at,))
    store(state, (at,), n.beta_a * a + load(state, (at + pace,)))
    store(state, (at + pace,), select(fired, like(u, 1), like(u, 0)))
    return n.beta_m * u + (current - n.pull * a)


@retreats(Alif)
def retreat(n, gd, gs, slope, state, at, pace, u, past, deep):
    ga = load(state, (at,))
    gs = gs + load(state, (at + pace,))
    store(state, (at,), n.beta_a * ga - n.pull * gd)
    store(state, (at + pace,), ga)
    return n.beta_m * gd + gs * slope
