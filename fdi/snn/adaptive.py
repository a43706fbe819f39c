"""Neurons that adapt: kinds of `fdi.snn.leaky.Neuron` with an additional state."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fdi.snn.leaky import Constants, Neuron, not_negative, positive

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class ALIF(Neuron):
    """A LIF neuron with an adaptation current that its spikes feed (the authors' library).

        A[t+1] = beta_a A[t] + S[t-1],   beta_a = exp(-dt / tau_ada)
        D[t] = (1 - beta_m) (sum_c sign_c I_c[t] - a A[t])

    `tau_ada` in seconds; `a`: strength, at least 0.
    """

    STATES = 2

    tau_ada: float = 100e-3
    a: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        positive(tau_ada=self.tau_ada)
        not_negative(a=self.a)

    def step(
        self, u: Tensor, s: Tensor, current: Tensor, state: tuple[Tensor, ...], c: Constants
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """`state`: A[t], S[t-1]."""
        a, before = state
        drive = c.gain * (current - self.a * a)
        behind = math.exp(-c.dt / self.tau_ada) * a + before
        return self.after(u, s, drive, c), (behind, s)


@dataclass(frozen=True)
class AdLIF(Neuron):
    """A LIF neuron whose adaptation current is fed by its potential and its spikes (Bittar &
    Garner 2022).

        A[t+1] = beta_w A[t] + (1 - beta_w) a U[t] + b S[t],   beta_w = exp(-dt / tau_w)
        D[t] = (1 - beta_m) (sum_c sign_c I_c[t] - A[t])

    `tau_w` in seconds; `a`: A over U at rest, above -1 (below, the potential grows without limit);
    `b`: jump by a spike. In the paper, reset is "subtract", the input has no synaptic filter, and
    their a is (1 - beta_w) a here. They learn it between -1 and 1, and b between 0 and 2; in their
    code U[t+1] depends on A[t+1]. The defaults are weak: in their units a is 0.0017 (dt = 2 ms); a
    = 30, their 0.5, and b = 1 are the middles of the upper half of their range and of their range
    (conf/neuron/adlif_sparch.yaml). Below -0.017 in their units, the potential grows without limit
    even without spikes.
    """

    STATES = 1

    tau_w: float = 120e-3
    a: float = 0.1
    b: float = 0.2

    def __post_init__(self) -> None:
        super().__post_init__()
        positive(tau_w=self.tau_w)
        if not -1 < self.a < math.inf:
            raise ValueError(f"neuron: a = {self.a} must be above -1 and finite")
        not_negative(b=self.b)

    def step(
        self, u: Tensor, s: Tensor, current: Tensor, state: tuple[Tensor, ...], c: Constants
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """`state`: A[t]."""
        (a,) = state
        beta_w = math.exp(-c.dt / self.tau_w)
        drive = c.gain * (current - a)
        behind = beta_w * a + (1 - beta_w) * self.a * u + self.b * s
        return self.after(u, s, drive, c), (behind,)


@dataclass(frozen=True)
class AdaptiveThreshold(Neuron):
    """A LIF neuron whose threshold its own spikes raise, with a refractory period (Bellec et al.
    2018, LSNN).

        S[t] = H(U[t] - theta - b A[t]), 0 for t_ref after a spike
        A[t+1] = beta_a A[t] + S[t],   beta_a = exp(-dt / tau_ada)

    During the refractory period the potential continues to change; reset is by theta or to zero, as
    for `Neuron`. `tau_ada` and `t_ref` in seconds, the latter in whole time steps; `b`: by how much
    a spike raises the threshold. In the paper, reset subtracts the raised threshold, and dS/dU is
    0.3 of the triangle.
    """

    STATES = 2

    tau_ada: float = 200e-3
    b: float = 0.8
    t_ref: float = 5e-3

    def __post_init__(self) -> None:
        super().__post_init__()
        positive(tau_ada=self.tau_ada)
        not_negative(b=self.b, t_ref=self.t_ref)

    def rest(self, dt: float) -> int:
        """How many steps without a spike follow each spike."""
        return round(self.t_ref / dt)

    def fires(self, u: Tensor, state: tuple[Tensor, ...]) -> Tensor:
        a, rest = state
        return self.spike(u - (self.theta + self.b * a)) * (rest <= 0)

    def step(
        self, u: Tensor, s: Tensor, current: Tensor, state: tuple[Tensor, ...], c: Constants
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """`state`: A[t], and how many steps a neuron still rests."""
        a, rest = state
        beta_a = math.exp(-c.dt / self.tau_ada)
        rest = (rest - 1).clamp(min=0) + self.rest(c.dt) * s.detach()
        return self.after(u, s, c.gain * current, c), (beta_a * a + s, rest)
