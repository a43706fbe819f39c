"""The LIF neuron; see fdi.snn.neuron.Neuron."""

from __future__ import annotations

from typing import NamedTuple

from fdi.engine.cpu.neuron.equations import advances, retreats
from fdi.snn.neuron import Neuron

STATES = 0


class Lif(NamedTuple):
    beta_m: float


def constants(n: Neuron, dt: float) -> Lif:
    return Lif(n.decays(dt)[0])


@advances(Lif)
def advance(n, u, fired, current, state, at, pace):
    return n.beta_m * u + current


@retreats(Lif)
def retreat(n, gd, gs, slope, state, at, pace, u, past, deep):
    return n.beta_m * gd + gs * slope
