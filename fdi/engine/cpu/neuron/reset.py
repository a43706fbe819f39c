"""What a spike does to the potential; no gradient flows through it."""

from __future__ import annotations

from typing import NamedTuple

from fdi.engine.cpu.kernels.simd import like, select
from fdi.engine.cpu.neuron.equations import passes_reset, resets
from fdi.snn.neuron import Neuron


class Zero(NamedTuple):
    theta: float


class Subtract(NamedTuple):
    """`drop`: beta_m theta."""

    theta: float
    drop: float


def constants(n: Neuron, dt: float) -> Zero | Subtract:
    return Zero(n.theta) if n.reset == "zero" else Subtract(n.theta, n.decays(dt)[0] * n.theta)


@resets(Zero)
def to_zero(n, u, fired):
    return select(fired, like(u, 0), u)


@passes_reset(Zero)
def through_zero(n, gu, fired):
    return select(fired, like(gu, 0), gu)


@resets(Subtract)
def subtract(n, u, fired):
    return u - select(fired, n.drop, like(u, 0))


@passes_reset(Subtract)
def through_subtraction(n, gu, fired):
    return gu
