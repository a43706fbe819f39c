"""The kinds of neuron, by the names that a configuration gives them, and populations of them."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, get_args

from fdi.config.parts import AboveMinusOne, NotNegative, OwnName, Positive, TimeConstant
from fdi.snn.surrogate import SURROGATES, steepness

if TYPE_CHECKING:
    from torch import Tensor


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
    time constants, with tau_mem and tau_syn as means (fdi.snn.network); None: all have these.
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
        from fdi.snn.network import Spike

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


__all__ = [
    "ALIF",
    "LIF",
    "AdLIF",
    "AdaptiveThreshold",
    "Constants",
    "Neuron",
    "Reset",
    "Surrogate",
    "adaptive_threshold",
    "adlif",
    "alif",
    "integrator",
    "lif",
]


def lif(
    *,
    tau_mem: TimeConstant = 20e-3,
    tau_syn: TimeConstant = 10e-3,
    tau_shape: Positive | None = None,
    learn_tau: bool = False,
    theta: Positive = 1.0,
    reset: Reset = "zero",
    surrogate: Surrogate = "superspike",
    beta: Positive | None = None,
) -> Neuron:
    """The leaky integrate-and-fire neuron of the paper; times in seconds, `beta`: None takes the
    published steepness of the surrogate, `tau_shape`: None gives all neurons the same constants,
    `learn_tau`: training changes tau_mem.
    """
    return _made(Neuron, **locals())


def alif(
    *,
    tau_mem: TimeConstant = 20e-3,
    tau_syn: TimeConstant = 10e-3,
    tau_shape: Positive | None = None,
    learn_tau: bool = False,
    theta: Positive = 1.0,
    reset: Reset = "zero",
    surrogate: Surrogate = "superspike",
    beta: Positive | None = None,
    tau_ada: TimeConstant = 100e-3,
    a: NotNegative = 0.1,
) -> Neuron:
    """The authors' adaptive neuron, otherwise as `lif`."""
    return _made(ALIF, **locals())


def adlif(
    *,
    tau_mem: TimeConstant = 20e-3,
    tau_syn: TimeConstant = 10e-3,
    tau_shape: Positive | None = None,
    learn_tau: bool = False,
    theta: Positive = 1.0,
    reset: Reset = "subtract",
    surrogate: Surrogate = "superspike",
    beta: Positive | None = None,
    tau_w: TimeConstant = 120e-3,
    a: AboveMinusOne = 0.1,
    b: NotNegative = 0.2,
) -> Neuron:
    """The adaptive neuron of Bittar & Garner (2022), otherwise as `lif`."""
    return _made(AdLIF, **locals())


def adaptive_threshold(
    *,
    tau_mem: TimeConstant = 20e-3,
    tau_syn: TimeConstant = 10e-3,
    tau_shape: Positive | None = None,
    learn_tau: bool = False,
    theta: Positive = 1.0,
    reset: Reset = "subtract",
    surrogate: Surrogate = "triangle",
    beta: Positive | None = None,
    tau_ada: TimeConstant = 200e-3,
    b: NotNegative = 0.8,
    t_ref: NotNegative = 5e-3,
) -> Neuron:
    """The neuron of Bellec et al. (2018), otherwise as `lif`."""
    return _made(AdaptiveThreshold, **locals())


def integrator(tau_mem: float, tau_syn: float, u_init: float) -> Neuron:
    """The leaky integrator of a readout, which never spikes; times in seconds."""
    return Neuron(tau_mem, (tau_syn,), u_init=u_init, spiking=False)


def _made(
    kind: type[Neuron], *, tau_syn: float, surrogate: str, beta: float | None, **constants: Any
) -> Neuron:
    if beta is None:  # Neuron refuses the surrogates that are unknown
        beta = steepness(surrogate) if surrogate in SURROGATES else 1.0
    return kind(tau_syn=(tau_syn,), surrogate=surrogate, beta=beta, **constants)


LIF = lif()


INPUT = "input"
"""What projections call the data, as if they were a population."""


@dataclass(frozen=True)
class Population:
    """Neurons that share their equations and constants; only their time constants may differ.

    `shape`: (units,) or (channels, length) or (channels, height, width). `pool`: edge of the
    max-pooling window that feed-forward targets see the spikes through. `taus`: where the neurons
    differ, tau_mem of each in s, then tau_syn of each for every channel.
    Raises ValueError for a shape without neurons or smaller than its pooling window, and for `taus`
    that do not fit.
    """

    name: str
    shape: tuple[int, ...]
    neuron: Neuron
    pool: int = 1
    taus: tuple[tuple[float, ...], ...] | None = None

    def __post_init__(self) -> None:
        if min(self.shape, default=0) < 1:
            advice = "use smaller kernels, strides or pools, more padding, or fewer layers"
            raise ValueError(
                f"population {self.name}: shape {self.shape} leaves no neuron; {advice}"
            )
        if self.pool > 1 and min(self.shape[1:], default=0) < self.pool:
            raise ValueError(
                f"population {self.name}: a pooling window of {self.pool} does not fit into "
                f"shape {self.shape}"
            )
        if self.taus is not None:
            wanted = [self.units] * (1 + len(self.neuron.tau_syn))
            if len(self.shape) > 1 or [len(row) for row in self.taus] != wanted:
                raise ValueError(
                    f"population {self.name}: time constants of {[len(r) for r in self.taus]} "
                    f"neurons do not fit; a population of one dimension takes {wanted}"
                )

    @property
    def units(self) -> int:
        return math.prod(self.shape)

    @property
    def pooled_shape(self) -> tuple[int, ...]:
        """The shape that feed-forward targets see."""
        if self.pool == 1:
            return self.shape
        return (self.shape[0], *(edge // self.pool for edge in self.shape[1:]))

    @cached_property
    def neurons(self) -> tuple[Neuron, ...]:
        """One for all, or each with its own time constants. Raises ValueError where they are still
        to be drawn.
        """
        if self.taus is None:
            if self.neuron.tau_shape is not None:
                raise ValueError(
                    f"population {self.name}: its time constants are not drawn; call "
                    f"fdi.snn.network.draw_time_constants"
                )
            return (self.neuron,)
        return tuple(
            replace(self.neuron, tau_mem=mem, tau_syn=tuple(syn)) for mem, *syn in zip(*self.taus)
        )
