"""One time step of a vector of neurons, forward and adjoint, whatever their kind: dense layers and
maps call these. What depends on the kind is in the other files of this folder.

gI_c[t] = beta_s,c gI_c[t + 1] + gain_c gD[t]        gD[t] = (1 - S[t]) gU[t + 1], or gU[t + 1]
gU[t] = beta_m gD[t] + gS[t] dS/dU, and what the adaptation adds
"""

from __future__ import annotations

from typing import NamedTuple

from fdi.engine.cpu.kernels.dispatch import by_type
from fdi.engine.cpu.kernels.jit import inlined
from fdi.engine.cpu.kernels.simd import load, store


class Kind(NamedTuple):
    """The neurons of a layer: named tuples of constants, numbers in Python and vectors in kernels;
    their types choose the functions below.
    """

    dynamics: tuple
    synapses: tuple
    reset: tuple
    surrogate: tuple


def advance(dynamics, u, fired, current, state, at, pace):
    """beta_m U[t] + D[t] for the `current` (1 - beta_m) sum_c sign_c I_c[t]; takes the state behind
    state[at], at + pace ... a step further.
    """


def threshold(dynamics, theta, state, at, pace):
    """What U[t] must exceed for a spike, by the state before step t."""


def remember(dynamics, state, at, pace, past, deep):
    """Keeps at past, past + deep ... what `threshold` and `retreat` want to see of the state before
    step t.
    """


def retreat(dynamics, gd, gs, slope, state, at, pace, u, past, deep):
    """gU[t] for gD[t], gS[t] and dS/dU; takes the gradient of the state, state[at] ..., a step
    back. It sees U[t], and at state[past] ... what is remembered of the state.
    """


def receive(synapses, currents, at, pace):
    """(1 - beta_m) sum_c sign_c I_c[t]; the currents at `at` and at + pace decay."""


def send_back(synapses, gd, g, now, later, pace):
    """gI_c[t] at g[now] and now + pace for gD[t] and gI_c[t + 1] at `later` and later + pace."""


def reset(kind, u, fired):
    """U[t+1] for what it is without reset."""


def through_reset(kind, gu, fired):
    """gD[t] for gU[t+1]."""


def slope(surrogate, v):
    """dS/dU for V = U - theta."""


def _constant(dynamics, theta, state, at, pace):
    return theta


def _nothing(dynamics, state, at, pace, past, deep):
    pass


advances, retreats = by_type(advance), by_type(retreat)
thresholds, remembers = by_type(threshold, _constant), by_type(remember, _nothing)
receives, sends_back = by_type(receive), by_type(send_back)
resets, passes_reset = by_type(reset), by_type(through_reset)
slopes = by_type(slope)


@inlined
def forward(n, u, before, after, currents, here, pace, state, at, far, past, deep):
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
def backward(n, x, fired, gs, steep, gu, at, far, g, now, later, pace, past, deep):
    """gU[t+1] at gu[at], with the gradient of the state behind it, `far` apart, becomes gU[t], for
    U[t], S[t], gS[t] and dS/dU; gI[t] at g[now] follows from gI[t+1] at g[later]. What is
    remembered of the state begins at gu[past].
    """
    gd = through_reset(n.reset, load(gu, (at,)), fired)
    store(gu, (at,), retreat(n.dynamics, gd, gs, steep, gu, at + far, far, x, past, deep))
    send_back(n.synapses, gd, g, now, later, pace)
