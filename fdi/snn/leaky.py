"""The leaky integrate-and-fire neuron, from which the others inherit."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple, get_args

from fdi.config.ranges import OwnName
from fdi.snn.surrogate import SURROGATES

if TYPE_CHECKING:
    from torch import Tensor

    Surrogate = str
else:
    Surrogate = Literal[tuple(SURROGATES)] | OwnName

Reset = Literal["zero", "subtract"]


class Constants(NamedTuple):
    """The constants of a step: `dt` in s, `beta_m`, and `gain`, which is 1 - beta_m. The last two
    are one number for all neurons of a population, or a tensor with one for each.
    """

    dt: float
    beta_m: float | Tensor
    gain: float | Tensor


@dataclass(frozen=True)
class Neuron:
    """A leaky integrate-and-fire neuron with current-based synapses (Rossbroich et al. 2022,
    discrete time).

        I_c[t+1] = beta_s,c I_c[t] + X_c[t],   beta_s,c = exp(-dt / tau_syn[c])
        U[t+1] = (beta_m U[t] + D[t]) (1 - S[t])          with reset "zero"
        U[t+1] = beta_m (U[t] - theta S[t]) + D[t]        with reset "subtract"
        D[t] = (1 - beta_m) sum_c sign_c I_c[t],   beta_m = exp(-dt / tau_mem)
        S[t] = H(U[t] - theta)

    X_c[t] is what the afferent projections of synaptic channel c delivered in step t - 1. One
    channel is the usual LIF neuron; two channels with signs (+1, -1) are the current-based neuron
    of Dale networks. A neuron that does not spike is a readout. No gradient flows through the
    reset.

    Times in seconds, potentials in units where U_rest = 0. `surrogate` and its steepness `beta`:
    dS/dU, one of fdi.snn.surrogate.SURROGATES. `u_init`: potential at the start of a trial.
    `tau_shape`: shape of the Gamma distribution from which each neuron of a population draws its
    time constants, with tau_mem and tau_syn as means (fdi.snn.heterogeneity); None: all have these.
    `learn_tau`: training changes tau_mem, one for a population (PLIF, Fang et al. 2021), see
    fdi.snn.network.Network.leaks. To define another kind of neuron, inherit from this class and
    override `step` with operations of torch, and also `fires` if the threshold varies. STATES says
    how many tensors of state it has; they are 0 at the start of a trial. The reference engine
    computes such neurons. Raises ValueError for a constant that is not positive, and for an unknown
    reset or surrogate.
    """

    STATES: ClassVar[int] = 0

    tau_mem: float = 20e-3
    tau_syn: tuple[float, ...] = (10e-3,)
    signs: tuple[int, ...] = (1,)
    theta: float = 1.0
    reset: Reset = "zero"
    surrogate: Surrogate = "superspike"
    beta: float = 20.0
    u_init: float = 0.0
    spiking: bool = True
    tau_shape: float | None = None
    learn_tau: bool = False

    def __post_init__(self) -> None:
        positive(tau_mem=self.tau_mem, theta=self.theta, beta=self.beta)
        if self.learn_tau and self.tau_shape is not None:
            raise ValueError(
                "neuron: learn_tau learns one tau_mem for all neurons of a layer, and tau_shape "
                "draws one for each; choose one of them"
            )
        if self.tau_shape is not None:
            positive(tau_shape=self.tau_shape)
        for tau in self.tau_syn:
            positive(tau_syn=tau)
        if len(self.signs) != len(self.tau_syn):
            raise ValueError(
                f"neuron: {len(self.signs)} signs for {len(self.tau_syn)} synaptic channels; give "
                f"one each"
            )
        for key, value, known in (
            ("reset", self.reset, get_args(Reset)),
            ("surrogate", self.surrogate, SURROGATES),
        ):
            if value not in known:
                raise ValueError(
                    f"neuron: {key} = {value} is unknown; choose one of {', '.join(known)}"
                )

    def fires(self, u: Tensor, state: tuple[Tensor, ...]) -> Tensor:
        """S[t] for U[t] and the state before step t, tensors [B, *shape]."""
        return self.spike(u - self.theta)

    def step(
        self, u: Tensor, s: Tensor, current: Tensor, state: tuple[Tensor, ...], c: Constants
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """(U[t+1], the state behind step t) for U[t], S[t], sum_c sign_c I_c[t] and the state
        before it; autograd differentiates it.
        """
        return self.after(u, s, c.gain * current, c), state

    def spike(self, v: Tensor) -> Tensor:
        """H(V) for V = U - theta, with the surrogate derivative."""
        from fdi.snn.spike import Spike

        return Spike.apply(v, self.surrogate, self.beta)

    def after(self, u: Tensor, s: Tensor, drive: Tensor, c: Constants) -> Tensor:
        """U[t+1] with the reset, through which no gradient flows, for D[t]."""
        s = s.detach()
        if self.reset == "zero":
            return (c.beta_m * u + drive) * (1 - s)
        return c.beta_m * (u - self.theta * s) + drive

    def decays(self, dt: float) -> tuple[float, tuple[float, ...]]:
        """(beta_m, (beta_s of each channel)) for a time step `dt` in seconds."""
        return math.exp(-dt / self.tau_mem), tuple(math.exp(-dt / tau) for tau in self.tau_syn)

    def highest_rate(self, dt: float) -> float:
        """The highest possible rate in Hz; a reset to zero takes a step."""
        return (0.5 if self.reset == "zero" else 1.0) / dt

    def under_dale(self, tau_inh: float) -> Neuron:
        """The same neuron with a second, inhibitory channel of time constant `tau_inh` in s."""
        return replace(self, tau_syn=(self.tau_syn[0], tau_inh), signs=(1, -1))


def positive(**constants: float) -> None:
    """Raises ValueError for a constant that is not positive and finite."""
    for symbol, value in constants.items():
        if not 0 < value < math.inf:
            raise ValueError(f"neuron: {symbol} = {value} must be positive and finite")


def not_negative(**constants: float) -> None:
    """Raises ValueError for a constant that is negative or not finite."""
    for symbol, value in constants.items():
        if not 0 <= value < math.inf:
            raise ValueError(f"neuron: {symbol} = {value} must be at least 0 and finite")
