"""One time step of a vector of neurons, forward and adjoint, whatever their kind: dense layers and
maps call these. What depends on the kind of neuron
(see fdi.snn.neuron), its synapses, reset and surrogate stands below.

gI_c[t] = beta_s,c gI_c[t + 1] + gain_c gD[t]        gD[t] = (1 - S[t]) gU[t + 1], or gU[t + 1]
gU[t] = beta_m gD[t] + gS[t] dS/dU, and what the adaptation adds
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from fdi.engine.cpu.kernels.jit import by_type, inlined
from fdi.engine.cpu.kernels.simd import Mask, Vector, absolute, exp, like, load, select, store
from fdi.snn.neuron import ALIF, AdaptiveThreshold, AdLIF, Neuron


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


def advance(
    dynamics: tuple, u: Vector, fired: Mask, current: Vector, state: np.ndarray, at: int, pace: int
) -> Vector:
    """beta_m U[t] + D[t] for the `current` (1 - beta_m) sum_c sign_c I_c[t]; takes the state behind
    state[at], at + pace ... a step further.
    """


def threshold(dynamics: tuple, theta: Vector, state: np.ndarray, at: int, pace: int) -> Vector:
    """What U[t] must exceed for a spike, by the state before step t."""


def remember(dynamics: tuple, state: np.ndarray, at: int, pace: int, past: int, deep: int) -> None:
    """Keeps at past, past + deep ... what `threshold` and `retreat` want to see of the state before
    step t.
    """


def retreat(
    dynamics: tuple, gd: Vector, gs: Vector, slope: Vector, state: np.ndarray, at: int, pace: int,
    u: Vector, past: int, deep: int,
) -> Vector:  # fmt: skip
    """gU[t] for gD[t], gS[t] and dS/dU; takes the gradient of the state, state[at] ..., a step
    back. It sees U[t], and at state[past] ... what is remembered of the state.
    """


def receive(synapses: tuple, currents: np.ndarray, at: int, pace: int) -> Vector:
    """(1 - beta_m) sum_c sign_c I_c[t]; the currents at `at` and at + pace decay."""


def send_back(synapses: tuple, gd: Vector, g: np.ndarray, now: int, later: int, pace: int) -> None:
    """gI_c[t] at g[now] and now + pace for gD[t] and gI_c[t + 1] at `later` and later + pace."""


def reset(kind: tuple, u: Vector, fired: Mask) -> Vector:
    """U[t+1] for what it is without reset."""


def through_reset(kind: tuple, gu: Vector, fired: Mask) -> Vector:
    """gD[t] for gU[t+1]."""


def slope(surrogate: tuple, v: Vector) -> Vector:
    """dS/dU for V = U - theta."""


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


def _constant(dynamics: tuple, theta: Vector, state: np.ndarray, at: int, pace: int) -> Vector:
    return theta


def _nothing(dynamics: tuple, state: np.ndarray, at: int, pace: int, past: int, deep: int) -> None:
    pass


def _nothing_learned(
    neuron: Kind, gd: Vector, x: Vector, fired: Mask, u: np.ndarray, after: int, sums: np.ndarray,
    at: int,
) -> None:  # fmt: skip
    pass


advances, retreats = by_type(advance), by_type(retreat)
thresholds, remembers = by_type(threshold, _constant), by_type(remember, _nothing)
receives, sends_back = by_type(receive), by_type(send_back)
resets, passes_reset = by_type(reset), by_type(through_reset)
slopes, leaves = by_type(slope), by_type(left)
learns = by_type(learn, _nothing_learned)


@inlined
def forward(
    n: Kind, u: np.ndarray, before: int, after: int, currents: np.ndarray, here: int, pace: int,
    state: np.ndarray, at: int, far: int, past: int, deep: int,
) -> Mask:  # fmt: skip
    """U[t] at u[before] becomes U[t+1] at u[after]; returns S[t]. Currents of the channels are
    `pace` apart, variables of the state `far`; what is remembered of it, from `past` on, `deep`.
    """
    x = load(u, (before,))
    remember(n.dynamics, state, at, far, past, deep)
    fired = x > threshold(n.dynamics, n.reset.theta, state, at, far)
    current = receive(n.synapses, currents, here, pace)
    store(
        u, (after,), reset(n.reset, advance(n.dynamics, x, fired, current, state, at, far), fired)
    )
    return fired


@inlined
def backward(
    n: Kind, x: Vector, fired: Mask, gs: Vector, steep: Vector, gu: np.ndarray, at: int, far: int,
    g: np.ndarray, now: int, later: int, pace: int, past: int, deep: int, after: int,
    sums: np.ndarray, learned: int,
) -> None:  # fmt: skip
    """gU[t+1] at gu[at], with the gradient of the state behind it, `far` apart, becomes gU[t], for
    U[t], S[t], gS[t] and dS/dU; gI[t] at g[now] follows from gI[t+1] at g[later]. What is
    remembered of the state begins at gu[past], U[t+1] is at gu[after]; what the neurons learn of
    tau_mem is added to sums[learned].
    """
    gd = through_reset(n.reset, load(gu, (at,)), fired)
    store(gu, (at,), retreat(n.dynamics, gd, gs, steep, gu, at + far, far, x, past, deep))
    send_back(n.synapses, gd, g, now, later, pace)
    learn(n, gd, x, fired, gu, after, sums, learned)


@learns(Learning)
def learn_tau(
    n: Kind, gd: Vector, x: Vector, fired: Mask, u: np.ndarray, after: int, sums: np.ndarray,
    at: int,
) -> None:  # fmt: skip
    moved = load(u, (after,)) - left(n.reset, x, fired)
    store(sums, (at,), load(sums, (at,)) + gd * moved)


class Lif(NamedTuple):
    beta_m: float


def lif_constants(n: Neuron, dt: float) -> Lif:
    return Lif(n.decays(dt)[0])


@advances(Lif)
def advance_lif(
    n: Lif, u: Vector, fired: Mask, current: Vector, state: np.ndarray, at: int, pace: int
) -> Vector:
    return n.beta_m * u + current


@retreats(Lif)
def retreat_lif(
    n: Lif, gd: Vector, gs: Vector, slope: Vector, state: np.ndarray, at: int, pace: int, u: Vector,
    past: int, deep: int,
) -> Vector:  # fmt: skip
    return n.beta_m * gd + gs * slope


class Alif(NamedTuple):
    """`pull`: (1 - beta_m) a."""

    beta_m: float
    beta_a: float
    pull: float


def alif_constants(n: ALIF, dt: float) -> Alif:
    beta_m, _ = n.decays(dt)
    return Alif(beta_m, math.exp(-dt / n.tau_ada), (1 - beta_m) * n.a)


@advances(Alif)
def advance_alif(
    n: Alif, u: Vector, fired: Mask, current: Vector, state: np.ndarray, at: int, pace: int
) -> Vector:
    a = load(state, (at,))
    store(state, (at,), n.beta_a * a + load(state, (at + pace,)))
    store(state, (at + pace,), select(fired, like(u, 1), like(u, 0)))
    return n.beta_m * u + (current - n.pull * a)


@retreats(Alif)
def retreat_alif(
    n: Alif, gd: Vector, gs: Vector, slope: Vector, state: np.ndarray, at: int, pace: int,
    u: Vector, past: int, deep: int,
) -> Vector:  # fmt: skip
    ga = load(state, (at,))
    gs = gs + load(state, (at + pace,))
    store(state, (at,), n.beta_a * ga - n.pull * gd)
    store(state, (at + pace,), ga)
    return n.beta_m * gd + gs * slope


class AdLif(NamedTuple):
    """`pull`: 1 - beta_m; `coupling`: (1 - beta_w) a; `jump`: b."""

    beta_m: float
    beta_w: float
    pull: float
    coupling: float
    jump: float


def adlif_constants(n: AdLIF, dt: float) -> AdLif:
    beta_m, beta_w = n.decays(dt)[0], math.exp(-dt / n.tau_w)
    return AdLif(beta_m, beta_w, 1 - beta_m, (1 - beta_w) * n.a, n.b)


@advances(AdLif)
def advance_adlif(
    n: AdLif, u: Vector, fired: Mask, current: Vector, state: np.ndarray, at: int, pace: int
) -> Vector:
    a = load(state, (at,))
    jump = select(fired, n.jump, like(u, 0))
    store(state, (at,), n.beta_w * a + (n.coupling * u + jump))
    return n.beta_m * u + (current - n.pull * a)


@retreats(AdLif)
def retreat_adlif(
    n: AdLif, gd: Vector, gs: Vector, slope: Vector, state: np.ndarray, at: int, pace: int,
    u: Vector, past: int, deep: int,
) -> Vector:  # fmt: skip
    ga = load(state, (at,))
    gs = gs + n.jump * ga
    store(state, (at,), n.beta_w * ga - n.pull * gd)
    return n.beta_m * gd + (n.coupling * ga + gs * slope)


NEVER = 1_000_000
"""Above any potential."""


class Adaptive(NamedTuple):
    """`lift`: b; `rest`: steps."""

    beta_m: float
    beta_a: float
    lift: float
    rest: float


def adaptive_constants(n: AdaptiveThreshold, dt: float) -> Adaptive:
    return Adaptive(n.decays(dt)[0], math.exp(-dt / n.tau_ada), n.b, float(n.rest(dt)))


@thresholds(Adaptive)
def adaptive_threshold(n: Adaptive, theta: Vector, state: np.ndarray, at: int, pace: int) -> Vector:
    a, rest = load(state, (at,)), load(state, (at + pace,))
    return select(rest > like(theta, 0), like(theta, NEVER), theta + n.lift * a)


@remembers(Adaptive)
def remember_adaptive(
    n: Adaptive, state: np.ndarray, at: int, pace: int, past: int, deep: int
) -> None:
    store(state, (past,), load(state, (at,)))
    store(state, (past + deep,), load(state, (at + pace,)))


@advances(Adaptive)
def advance_adaptive(
    n: Adaptive, u: Vector, fired: Mask, current: Vector, state: np.ndarray, at: int, pace: int
) -> Vector:
    zero, rest = like(u, 0), load(state, (at + pace,))
    a = n.beta_a * load(state, (at,)) + select(fired, like(u, 1), zero)
    store(state, (at,), a)
    fewer = select(rest > zero, rest - like(u, 1), zero)
    store(state, (at + pace,), select(fired, n.rest, fewer))
    return n.beta_m * u + current


@retreats(Adaptive)
def retreat_adaptive(
    n: Adaptive, gd: Vector, gs: Vector, slope: Vector, state: np.ndarray, at: int, pace: int,
    u: Vector, past: int, deep: int,
) -> Vector:  # fmt: skip
    zero, ga = like(gd, 0), load(state, (at,))
    pull = (gs + ga) * slope
    pull = select(load(state, (past + deep,)) > zero, zero, pull)
    store(state, (at,), n.beta_a * ga - n.lift * pull)
    return n.beta_m * gd + pull


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


@receives(One)
def receive_one(n: One, currents: np.ndarray, at: int, pace: int) -> Vector:
    i = load(currents, (at,))
    store(currents, (at,), n.beta_s * i)
    return n.gain * i


@sends_back(One)
def send_back_one(n: One, gd: Vector, g: np.ndarray, now: int, later: int, pace: int) -> None:
    store(g, (now,), n.beta_s * load(g, (later,)) + n.gain * gd)


@receives(Two)
def receive_two(n: Two, currents: np.ndarray, at: int, pace: int) -> Vector:
    i_0, i_1 = load(currents, (at,)), load(currents, (at + pace,))
    store(currents, (at,), n.beta_0 * i_0)
    store(currents, (at + pace,), n.beta_1 * i_1)
    return n.gain_0 * i_0 + n.gain_1 * i_1


@sends_back(Two)
def send_back_two(n: Two, gd: Vector, g: np.ndarray, now: int, later: int, pace: int) -> None:
    store(g, (now,), n.beta_0 * load(g, (later,)) + n.gain_0 * gd)
    store(g, (now + pace,), n.beta_1 * load(g, (later + pace,)) + n.gain_1 * gd)


class Zero(NamedTuple):
    theta: float


class Subtract(NamedTuple):
    """`drop`: beta_m theta."""

    theta: float
    drop: float


def reset_constants(n: Neuron, dt: float) -> Zero | Subtract:
    return Zero(n.theta) if n.reset == "zero" else Subtract(n.theta, n.decays(dt)[0] * n.theta)


@resets(Zero)
def to_zero(n: Zero, u: Vector, fired: Mask) -> Vector:
    return select(fired, like(u, 0), u)


@leaves(Zero)
def all_left(n: Zero, u: Vector, fired: Mask) -> Vector:
    return u


@leaves(Subtract)
def left_of_theta(n: Subtract, u: Vector, fired: Mask) -> Vector:
    return u - select(fired, n.theta, like(u, 0))


@passes_reset(Zero)
def through_zero(n: Zero, gu: Vector, fired: Mask) -> Vector:
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


class Numbers(NamedTuple):
    """How one kind of neuron becomes numbers: its `constants` by neuron and dt; how many variables
    its state has besides potential and currents; how many of them the way back wants to see.
    """

    constants: Callable[[Any, float], tuple]
    states: int = 0
    remembered: int = 0


KINDS = {
    Neuron: Numbers(lif_constants),
    ALIF: Numbers(alif_constants, states=2),  # A[t] and S[t-1]
    AdLIF: Numbers(adlif_constants, states=1),  # A[t]
    # A[t], and how many steps a neuron still rests
    AdaptiveThreshold: Numbers(adaptive_constants, states=2, remembered=2),
}
