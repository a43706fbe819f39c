"""The adaptive neuron of Bittar & Garner (2022); see fdi.snn.neuron.AdLIF."""

from __future__ import annotations

import math
from typing import NamedTuple

from fdi.engine.cpu.kernels.simd import like, load, select, store
from fdi.engine.cpu.neuron.equations import advances, retreats
from fdi.snn.neuron import AdLIF

STATES = 1
"""A[t]."""


class AdLif(NamedTuple):
    """`pull`: 1 - beta_m; `coupling`: (1 - beta_w) a; `jump`: b."""

    beta_m: float
    beta_w: float
    pull: float
    coupling: float
    jump: float


def constants(n: AdLIF, dt: float) -> AdLif:
    beta_m, beta_w = n.decays(dt)[0], math.exp(-dt / n.tau_w)
    return AdLif(beta_m, beta_w, 1 - beta_m, (1 - beta_w) * n.a, n.b)


@advances(AdLif)
def advance(n, u, fired, current, state, at, pace):
    a = load(state, (at,))
    jump = select(fired, n.jump, like(u, 0))
    store(state, (at,), n.beta_w * a + (n.coupling * u + jump))
    return n.beta_m * u + (current - n.pull * a)


@retreats(AdLif)
def retreat(n, gd, gs, slope, state, at, pace, u, past, deep):
    ga = load(state, (at,))
    gs = gs + n.jump * ga
    store(state, (at,), n.beta_w * ga - n.pull * gd)
    return n.beta_m * gd + (n.coupling * ga + gs * slope)
