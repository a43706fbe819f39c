"""One step of each kind of neuron, in plain torch; the equations are those of fdi.snn.neuron."""

from __future__ import annotations

import math
from collections.abc import Callable

from torch import Tensor

from fdi.snn.neuron import ALIF, AdLIF, Neuron

State = tuple[Tensor, ...]
Number = float | Tensor
"""One for all neurons of a population, or one for each."""
Step = Callable[[Neuron, float, Number, Tensor, Tensor, Tensor, State], tuple[Tensor, State]]


def lif(n: Neuron, dt: float, gain: Number, u: Tensor, s: Tensor, i: Tensor, state: State):
    """(D, no state)."""
    return gain * i, state


def alif(n: ALIF, dt: float, gain: Number, u: Tensor, s: Tensor, i: Tensor, state: State):
    """`state`: A[t], S[t-1]."""
    a, s_before = state
    drive = gain * (i - n.a * a)
    return drive, (math.exp(-dt / n.tau_ada) * a + s_before, s)


def adlif(n: AdLIF, dt: float, gain: Number, u: Tensor, s: Tensor, i: Tensor, state: State):
    """`state`: A[t]."""
    (a,) = state
    beta_w = math.exp(-dt / n.tau_w)
    drive = gain * (i - a)
    return drive, (beta_w * a + (1 - beta_w) * n.a * u + n.b * s,)


STEPS: dict[type[Neuron], tuple[Step, int]] = {Neuron: (lif, 0), ALIF: (alif, 2), AdLIF: (adlif, 1)}
"""For each kind (D[t], the state behind step t) from the gain 1 - beta_m, U[t], S[t], sum_c sign_c
I_c[t] and the state, and the number of tensors of the state.
"""


def reset(n: Neuron, beta_m: Number, u: Tensor, s: Tensor, drive: Tensor) -> Tensor:
    """U[t+1]; no gradient flows through S[t]."""
    s = s.detach()
    if n.reset == "zero":
        return (beta_m * u + drive) * (1 - s)
    return beta_m * (u - n.theta * s) + drive
