"""One time step of a vector of neurons, forward and adjoint, whatever their kind: dense layers and
maps call these. What depends on its synapses, reset and surrogate stands below; what depends on the
kind of neuron is derived from its description (fdi.engine.derived).

gI_c[t] = beta_s,c gI_c[t + 1] + gain_c gD[t]        gD[t] = (1 - S[t]) gU[t + 1], or gU[t + 1]
gU[t] = beta_m gD[t] + gS[t] dS/dU, and what the adaptation adds
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from fdi.engine.cpu.kernels.jit import by_type, inlined
from fdi.engine.cpu.kernels.simd import (
    Mask,
    Vector,
    absolute,
    exp,
    fused,
    like,
    load_as,
    load_each,
    select,
    store,
    store_each,
    times,
)
from fdi.snn.equations import evaluate
from fdi.snn.neuron import Neuron


class Kind(NamedTuple):
    """The neurons of a layer: named tuples of constants, numbers in Python and vectors in kernels;
    their types choose the functions below.
    """

    dynamics: Any
    synapses: Any
    reset: Any
    surrogate: Any


class Learning(Kind):
    """The same for neurons that learn tau_mem."""

    __slots__ = ()


def rest(dynamics: tuple, zero: Vector) -> tuple:
    """A `zero` for each variable of the state."""


def silent(synapses: tuple, zero: Vector) -> tuple:
    """A `zero` for the current of each channel."""


def advance(
    dynamics: tuple, u: Vector, fired: Mask, current: Vector, state: tuple
) -> tuple[Vector, tuple]:
    """beta_m U[t] + D[t] for the `current` (1 - beta_m) sum_c sign_c I_c[t], and the state a step
    further.
    """


def threshold(dynamics: tuple, theta: Vector, state: tuple) -> Vector:
    """What U[t] must exceed for a spike, by what is remembered of the state before step t."""


def remember(dynamics: tuple, state: tuple) -> tuple:
    """What `threshold` and `retreat` want to see of the state before step t."""


def retreat(
    dynamics: tuple, u: Vector, fired: Mask, gd: Vector, gs: Vector, slope: InMaps | Vector,
    state: tuple, past: tuple,
) -> tuple[Vector, tuple]:  # fmt: skip
    """gU[t] for U[t], S[t], gD[t], gS[t] and dS/dU, and the gradient of the state a step back;
    `past` is remembered of the state.
    """


def receive(synapses: tuple, currents: tuple) -> tuple[Vector, tuple]:
    """(1 - beta_m) sum_c sign_c I_c[t], and the currents, decayed."""


def send_back(synapses: tuple, gd: Vector, later: tuple) -> tuple:
    """gI_c[t] for gD[t] and gI_c[t + 1]."""


def reset(kind: tuple, u: Vector, fired: Mask) -> Vector:
    """U[t+1] for what it is without reset."""


def through_reset(kind: tuple, gu: Vector, fired: Mask) -> Vector:
    """gD[t] for gU[t+1]."""


def slope(surrogate: tuple, v: Vector) -> Vector:
    """dS/dU for V = U - theta."""


class InMaps(NamedTuple):
    """dS/dU where maps are not pooled."""

    slope: Vector


def through_slope(slope: InMaps | Vector, gs: Vector) -> Vector:
    """gS dS/dU, to be added to another product. LLVM chooses by what else is in a loop which of two
    products it fuses with their sum; in maps it is told to fuse the other one.
    """


def with_slope(slope: InMaps | Vector, gs: Vector, factor: float, g: Vector) -> Vector:
    """factor g + gS dS/dU; in maps the second product is fused with the sum."""


def left(kind: tuple, u: Vector, fired: Mask) -> Vector:
    """What the reset leaves of U[t], for U[t+1] = beta_m left + D[t] where gD[t] is not 0."""


def learn(
    neuron: Kind, gd: Vector, x: Vector, fired: Mask, u: np.ndarray, after: int, sums: np.ndarray,
    at: int,
) -> None:  # fmt: skip
    """Adds gD[t] (U[t+1] - left) to sums[at], for U[t] = x and U[t+1] at u[after]; nothing is to be
    learned but by `Learning`.

    With 1 - beta_m = 1 / (1 + e^-a), dU[t+1]/da is beta_m (1 - beta_m) (current - left) =
    beta_m (U[t+1] - left), so no current need be kept.
    """


def _through(slope: Vector, gs: Vector) -> Vector:
    return gs * slope


def _with(slope: Vector, gs: Vector, factor: float, g: Vector) -> Vector:
    return factor * g + gs * slope


def _nothing_learned(
    neuron: Kind, gd: Vector, x: Vector, fired: Mask, u: np.ndarray, after: int, sums: np.ndarray,
    at: int,
) -> None:  # fmt: skip
    pass


REGISTERS = {stub.__name__: by_type(stub) for stub in (rest, threshold, remember, advance, retreat)}
silences = by_type(silent)
receives, sends_back = by_type(receive), by_type(send_back)
resets, passes_reset = by_type(reset), by_type(through_reset)
slopes, leaves = by_type(slope), by_type(left)
passes_slope, adds_slope = by_type(through_slope, _through), by_type(with_slope, _with)
learns = by_type(learn, _nothing_learned)


@inlined
def ahead(n: Kind, x: Vector, currents: tuple, state: tuple) -> tuple[Mask, Vector, tuple, tuple]:
    """S[t] for U[t] = x, and U, currents and state a step further."""
    fired = x > threshold(n.dynamics, n.reset.theta, remember(n.dynamics, state))
    current, currents = receive(n.synapses, currents)
    x, state = advance(n.dynamics, x, fired, current, state)
    return fired, reset(n.reset, x, fired), currents, state


@inlined
def back(
    n: Kind, x: Vector, fired: Mask, gs: Vector, steep: Vector, gu: Vector, state: tuple,
    later: tuple, past: tuple,
) -> tuple[Vector, Vector, tuple, tuple]:  # fmt: skip
    """gD[t], gU[t], the gradient of the state and gI[t] for U[t] = x, S[t], gS[t] and dS/dU, from
    gU[t+1], the gradient of the state behind it and gI[t+1].
    """
    gd = through_reset(n.reset, gu, fired)
    gu, state = retreat(n.dynamics, x, fired, gd, gs, steep, state, past)
    return gd, gu, state, send_back(n.synapses, gd, later)


@inlined
def forward(
    n: Kind, u: np.ndarray, before: int, after: int, currents: np.ndarray, here: int, pace: int,
    state: np.ndarray, at: int, far: int, past: int, deep: int,
) -> Mask:  # fmt: skip
    """`ahead` in memory: U[t] at u[before] becomes U[t+1] at u[after]; returns S[t]. Currents of
    the channels are `pace` apart, variables of the state `far`; what is remembered of it, from
    `past` on, `deep`.
    """
    x = load_as(n.reset.theta, u, (before,))
    arrived = load_each(silent(n.synapses, x), currents, here, pace)
    rested = load_each(rest(n.dynamics, x), state, at, far)
    store_each(state, past, deep, remember(n.dynamics, rested))
    fired, x, arrived, rested = ahead(n, x, arrived, rested)
    store_each(state, at, far, rested)
    store_each(currents, here, pace, arrived)
    store(u, (after,), x)
    return fired


@inlined
def backward(
    n: Kind, x: Vector, fired: Mask, gs: Vector, steep: Vector, gu: np.ndarray, at: int, far: int,
    g: np.ndarray, now: int, later: int, pace: int, past: tuple, after: int, sums: np.ndarray,
    learned: int,
) -> None:  # fmt: skip
    """`back` in memory: gU[t+1] at gu[at], with the gradient of the state behind it, `far` apart,
    becomes gU[t]; gI[t] at g[now] follows from gI[t+1] at g[later]. U[t+1] is at gu[after]; what
    the neurons learn of tau_mem is added to sums[learned].
    """
    state = load_each(rest(n.dynamics, x), gu, at + far, far)
    behind = load_each(silent(n.synapses, x), g, later, pace)
    was = load_as(x, gu, (at,))
    gd, was, state, behind = back(n, x, fired, gs, steep, was, state, behind, past)
    store(gu, (at,), was)
    store_each(gu, at + far, far, state)
    store_each(g, now, pace, behind)
    learn(n, gd, x, fired, gu, after, sums, learned)


@passes_slope(InMaps)
def through_slope_in_maps(n: InMaps, gs: Vector) -> Vector:
    return times(gs, n.slope)


@adds_slope(InMaps)
def with_slope_in_maps(n: InMaps, gs: Vector, factor: float, g: Vector) -> Vector:
    return fused(gs, n.slope, times(factor, g))


@learns(Learning)
def learn_tau(
    n: Kind, gd: Vector, x: Vector, fired: Mask, u: np.ndarray, after: int, sums: np.ndarray,
    at: int,
) -> None:  # fmt: skip
    moved = load_as(x, u, (after,)) - left(n.reset, x, fired)
    store(sums, (at,), load_as(x, sums, (at,)) + gd * moved)


class One(NamedTuple):
    """`gain`: sign (1 - beta_m)."""

    gain: float
    beta_s: float


class Two(NamedTuple):
    gain_0: float
    gain_1: float
    beta_0: float
    beta_1: float


def synapse_constants(n: Neuron, dt: float) -> One | Two:
    beta_m, betas = n.decays(dt)
    gains = [sign * (1 - beta_m) for sign in n.signs]
    return (One if len(betas) == 1 else Two)(*gains, *betas)


@silences(One)
def silent_one(n: One, zero: Vector) -> tuple:
    return (zero,)


@receives(One)
def receive_one(n: One, currents: tuple) -> tuple[Vector, tuple]:
    (i,) = currents
    return n.gain * i, (n.beta_s * i,)


@sends_back(One)
def send_back_one(n: One, gd: Vector, later: tuple) -> tuple:
    return (n.beta_s * later[0] + n.gain * gd,)


@silences(Two)
def silent_two(n: Two, zero: Vector) -> tuple:
    return zero, zero


@receives(Two)
def receive_two(n: Two, currents: tuple) -> tuple[Vector, tuple]:
    i_0, i_1 = currents
    return n.gain_0 * i_0 + n.gain_1 * i_1, (n.beta_0 * i_0, n.beta_1 * i_1)


@sends_back(Two)
def send_back_two(n: Two, gd: Vector, later: tuple) -> tuple:
    g_0, g_1 = later
    return n.beta_0 * g_0 + n.gain_0 * gd, n.beta_1 * g_1 + n.gain_1 * gd


class Zero(NamedTuple):
    theta: float


class Subtract(NamedTuple):
    """`drop`: theta times what the membrane keeps of its potential."""

    theta: float
    drop: float


class ToConstant(NamedTuple):
    theta: float
    value: float


def reset_constants(n: Neuron, dt: float) -> Zero | ToConstant | Subtract:
    if n.reset == "constant":
        return ToConstant(n.theta, vars(n)["u_reset"])
    leak = evaluate(n.LEAK, vars(n) | dict(dt=dt, beta_m=n.decays(dt)[0]))
    return Zero(n.theta) if n.reset == "zero" else Subtract(n.theta, leak * n.theta)


@resets(Zero)
def to_zero(n: Zero, u: Vector, fired: Mask) -> Vector:
    return select(fired, like(u, 0), u)


@resets(ToConstant)
def to_constant(n: ToConstant, u: Vector, fired: Mask) -> Vector:
    return select(fired, n.value, u)


@leaves(ToConstant)
@leaves(Zero)
def all_left(n: Zero, u: Vector, fired: Mask) -> Vector:
    return u


@leaves(Subtract)
def left_of_theta(n: Subtract, u: Vector, fired: Mask) -> Vector:
    return u - select(fired, n.theta, like(u, 0))


@passes_reset(ToConstant)
@passes_reset(Zero)
def through_value(n: Zero | ToConstant, gu: Vector, fired: Mask) -> Vector:
    return select(fired, like(gu, 0), gu)


@resets(Subtract)
def subtract(n: Subtract, u: Vector, fired: Mask) -> Vector:
    return u - select(fired, n.drop, like(u, 0))


@passes_reset(Subtract)
def through_subtraction(n: Subtract, gu: Vector, fired: Mask) -> Vector:
    return gu


class SuperSpike(NamedTuple):
    beta: float


class Triangle(NamedTuple):
    beta: float


class Sigmoid(NamedTuple):
    beta: float


class Gaussian(NamedTuple):
    """`peak`: beta / sqrt(2 pi)."""

    beta: float
    peak: float


class Boxcar(NamedTuple):
    beta: float


class Arctan(NamedTuple):
    """`peak`: beta / 2; `width`: pi beta / 2."""

    peak: float
    width: float


SURROGATES = {
    "superspike": SuperSpike,
    "triangle": Triangle,
    "sigmoid": Sigmoid,
    "gaussian": lambda beta: Gaussian(beta, beta / math.sqrt(2 * math.pi)),
    "boxcar": Boxcar,
    "arctan": lambda beta: Arctan(beta / 2, math.pi / 2 * beta),
}


def surrogate_constants(n: Neuron, dt: float) -> tuple:
    return SURROGATES[n.surrogate](n.beta)


@slopes(SuperSpike)
def superspike(n: SuperSpike, v: Vector) -> Vector:
    x = n.beta * absolute(v) + like(v, 1)
    return like(v, 1) / (x * x)


@slopes(Triangle)
def triangle(n: Triangle, v: Vector) -> Vector:
    x = like(v, 1) - n.beta * absolute(v)
    return select(x > like(v, 0), x, like(v, 0))


@slopes(Sigmoid)
def sigmoid(n: Sigmoid, v: Vector) -> Vector:
    x = exp(like(v, 0) - n.beta * absolute(v))
    y = like(v, 1) + x
    return n.beta * x / (y * y)


@slopes(Gaussian)
def gaussian(n: Gaussian, v: Vector) -> Vector:
    x = n.beta * v
    return n.peak * exp(like(v, 0) - x * x / like(v, 2))


@slopes(Boxcar)
def boxcar(n: Boxcar, v: Vector) -> Vector:
    x = n.beta * absolute(v)
    return select(x + x > like(v, 1), like(v, 0), n.beta)


@slopes(Arctan)
def arctan(n: Arctan, v: Vector) -> Vector:
    x = n.width * v
    return n.peak / (like(v, 1) + x * x)
