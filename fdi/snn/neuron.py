"""The kinds of neuron, by the names that a configuration gives them, and populations of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from functools import cache, cached_property
from inspect import Parameter, Signature, isfunction
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, get_type_hints

from fdi.config import Mistake
from fdi.config.parts import (
    AboveMinusOne,
    GammaShape,
    NotNegative,
    OwnName,
    Positive,
    TimeConstant,
    choose,
    parameters,
    spelt,
)
from fdi.snn.equations import evaluate, names
from fdi.snn.surrogate import SURROGATES, steepness

if TYPE_CHECKING:
    from torch import Tensor

    Surrogate = str
    State = tuple[Tensor, ...]  # of neurons besides U and S
    Step = tuple[Tensor, State]
else:
    Surrogate = Literal[tuple(SURROGATES)] | OwnName

Shape = tuple[int, ...]
Reset = Literal["zero", "subtract", "at_once"]


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
        U[t+1] = beta_m U[t] (1 - S[t]) + D[t]            with reset "at_once"
        D[t] = (1 - beta_m) sum_c sign_c I_c[t],   beta_m = exp(-dt / tau_mem)
        S[t] = H(U[t] - theta)

    X_c[t] is what the afferent projections of synaptic channel c delivered in step t - 1 (with a
    network's delay=0, U[t+1] hears I[t+1] and that step's spikes, see fdi.snn.network). One
    channel is the usual LIF neuron; two channels with signs (+1, -1) are the current-based neuron
    of Dale networks. A neuron that does not spike is a readout. No gradient flows through the
    reset.

    Times in seconds, potentials in units where U_rest = 0. `surrogate` and its steepness `beta`:
    dS/dU, one of fdi.snn.surrogate.SURROGATES. `u_init`: potential at the start of a trial.
    `tau_shape`: shape of the Gamma distribution from which each neuron of a population draws its
    time constants, with tau_mem and tau_syn as means (fdi.snn.network); None: all have these.
    `learn_tau`: training changes tau_mem, one for a population (PLIF, Fang et al. 2021), see
    fdi.snn.network.Network.leaks.

    To define another kind of neuron, inherit from this class, give it the fields that it needs, and
    describe in the language of fdi.snn.equations what is different: of D[t] and what LEAK says in
    place of beta_m, of the THRESHOLD in place of theta, and of each variable of STATE, its value in
    the next step; they are 0 at the start of a trial. Each speaks of `u` = U[t], `s` = S[t],
    `current` = sum_c sign_c I_c[t] and the variables of the state before step t, of `dt`, `beta_m`,
    `gain` = 1 - beta_m, and of theta and the fields of its own. With a field `t_ref` in s it fires
    no more for as many whole steps after a spike. With a field `u_reset` and reset "constant", a
    spike sets U to that. Engines derive from this what they compute. What it cannot say can be said
    by torch, in `step` and `fires`, for the reference engine. Raises ValueError for a constant out
    of its range, an unknown reset or surrogate, and a description that cannot be read.
    """

    LEAK: ClassVar[str] = "beta_m"
    DRIVE: ClassVar[str] = "gain * current"
    THRESHOLD: ClassVar[str] = "theta"
    STATE: ClassVar[Mapping[str, str]] = {}

    tau_mem: TimeConstant = 20e-3
    tau_syn: tuple[TimeConstant, ...] = (10e-3,)
    signs: tuple[int, ...] = (1,)
    theta: Positive = 1.0
    reset: Reset = "zero"
    surrogate: Surrogate = "superspike"
    beta: Positive = steepness("superspike")  # noqa: RUF009  # its one home
    u_init: float = 0.0
    spiking: bool = True
    tau_shape: GammaShape | None = None
    learn_tau: bool = False

    def __post_init__(self) -> None:
        for name in ("tau_syn", "signs"):  # lists, where a configuration calls the class
            object.__setattr__(self, name, tuple(getattr(self, name)))
        # hints of the user's own may name what only a type checker imports; ours are known
        own: Any = type(self)
        here = next(base for base in own.__mro__ if base.__module__ == __name__)
        said, ours = ({field.name: field.type for field in fields(part)} for part in (own, here))
        kept = {name: kind for name, kind in parameters(here).items() if said[name] == ours[name]}
        for name, kind in (parameters(own) | kept).items():
            value = getattr(self, name)
            if isinstance(value, float) and not math.isfinite(value):
                raise Mistake(f"neuron: {name} = {value} must be a finite number")
            if not kind.admits(value):
                raise Mistake(f"neuron: {name} = {spelt(value)} must be {kind.words}")
        check_description(own)
        if self.learn_tau and self.tau_shape is not None:
            raise Mistake(
                "neuron: learn_tau learns one tau_mem for all neurons of a layer, and tau_shape "
                "draws one for each; choose one of them"
            )
        if len(self.signs) != len(self.tau_syn):
            raise Mistake(
                f"neuron: {len(self.signs)} signs for {len(self.tau_syn)} synaptic channels; give "
                f"one each"
            )

    @property
    def STATES(self) -> int:  # noqa: N802
        """How many tensors of state it has: the variables, and how many steps it still rests."""
        return len(self.STATE) + refractory(type(self))

    def rest(self, dt: float) -> int:
        """How many steps without a spike follow each spike."""
        return round(getattr(self, "t_ref", 0.0) / dt)

    def fires(self, u: Tensor, state: State) -> Tensor:
        """S[t] for U[t] and the state before step t, tensors [B, *shape]."""
        threshold = evaluate(self.THRESHOLD, vars(self) | dict(zip(self.STATE, state)))
        fired = self.spike(u - threshold)
        return fired * (state[-1] <= 0) if refractory(type(self)) else fired

    def step(self, u: Tensor, s: Tensor, current: Tensor, state: State, c: Constants) -> Step:
        """(U[t+1], the state behind step t) for U[t], S[t], sum_c sign_c I_c[t] and the state
        before it; autograd differentiates it.
        """
        known = vars(self) | c._asdict() | dict(zip(self.STATE, state), u=u, s=s, current=current)
        behind = [evaluate(each, known) for each in self.STATE.values()]
        if refractory(type(self)):
            behind.append((state[-1] - 1).clamp(min=0) + self.rest(c.dt) * self.seen(s))
        leaking = c if self.LEAK == "beta_m" else c._replace(beta_m=evaluate(self.LEAK, known))
        return self.after(u, s, evaluate(self.DRIVE, known), leaking), tuple(behind)

    def spike(self, v: Tensor) -> Tensor:
        """H(V) for V = U - theta, with the surrogate derivative."""
        import torch

        if not torch.is_grad_enabled():
            return v.sign().clamp(min=0)  # (v > 0).to(v.dtype) takes four times as long
        from fdi.snn.network import Spike

        return Spike.apply(v, self.surrogate, self.beta)

    def seen(self, s: Tensor) -> Tensor:
        """S[t] as the reset and the refractory period see it: no gradient flows through them."""
        return s.detach()

    def after(self, u: Tensor, s: Tensor, drive: Tensor, c: Constants) -> Tensor:
        """U[t+1] with the reset for D[t]."""
        s = self.seen(s)
        if self.reset == "zero":
            return (c.beta_m * u + drive) * (1 - s)
        if self.reset == "at_once":
            return c.beta_m * u * (1 - s) + drive
        if self.reset == "constant":
            return (c.beta_m * u + drive) * (1 - s) + vars(self)["u_reset"] * s
        return c.beta_m * (u - self.theta * s) + drive

    def decays(self, dt: float) -> tuple[float, tuple[float, ...]]:
        """(beta_m, (beta_s of each channel)) for a time step `dt` in seconds."""
        return math.exp(-dt / self.tau_mem), tuple(math.exp(-dt / tau) for tau in self.tau_syn)

    def highest_rate(self, dt: float) -> float:
        """The highest possible rate in Hz; the reset to a value takes a step."""
        return (0.5 if self.reset in ("zero", "constant") else 1.0) / dt

    def under_dale(self, tau_inh: float) -> Neuron:
        """The same neuron with a second, inhibitory channel of time constant `tau_inh` in s."""
        return replace(self, tau_syn=(self.tau_syn[0], tau_inh), signs=(1, -1))


@dataclass(frozen=True)
class ALIF(Neuron):
    """A LIF neuron with an adaptation current that its spikes feed (the authors' library).

        A[t+1] = beta_a A[t] + S[t-1],   beta_a = exp(-dt / tau_ada)
        D[t] = (1 - beta_m) (sum_c sign_c I_c[t] - a A[t])

    `tau_ada` in seconds; `a`: strength, at least 0.
    """

    DRIVE = "gain * (current - a * A)"
    STATE: ClassVar[Mapping[str, str]] = {"A": "exp(-dt / tau_ada) * A + before", "before": "s"}

    tau_ada: TimeConstant = 100e-3
    a: NotNegative = 0.1


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

    DRIVE = "gain * (current - A)"
    STATE: ClassVar[Mapping[str, str]] = {
        "A": "exp(-dt / tau_w) * A + (1 - exp(-dt / tau_w)) * a * u + b * s"
    }

    reset: Reset = "subtract"
    tau_w: TimeConstant = 120e-3
    a: AboveMinusOne = 0.1
    b: NotNegative = 0.2


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

    THRESHOLD = "theta + b * A"
    STATE: ClassVar[Mapping[str, str]] = {"A": "exp(-dt / tau_ada) * A + s"}

    reset: Reset = "subtract"
    surrogate: Surrogate = "triangle"
    beta: Positive = steepness("triangle")  # noqa: RUF009
    tau_ada: TimeConstant = 200e-3
    b: NotNegative = 0.8
    t_ref: NotNegative = 5e-3


@dataclass(frozen=True)
class QIF(Neuron):
    """A quadratic integrate-and-fire neuron (Latham et al. 2000).

        D[t] = (1 - beta_m) (sum_c sign_c I_c[t] + U[t]^2 / u_c)
        U[t+1] = (beta_m U[t] + D[t]) (1 - S[t]) + u_reset S[t]

    A step of tau_mem dU/dt = U (U / u_c - 1) + I: above `u_c` the potential rises by itself up to
    the peak `theta`; I = u_c / 4 is the least constant current with spikes.
    """

    DRIVE = "gain * (current + u**2 / u_c)"

    reset: Literal["constant"] = "constant"  # type: ignore[assignment]
    u_c: Positive = 0.5
    u_reset: float = 0.0


@dataclass(frozen=True)
class EIF(Neuron):
    """An exponential integrate-and-fire neuron (Fourcaud-Trocme et al. 2003).

        D[t] = (1 - beta_m) (sum_c sign_c I_c[t] + delta exp((min(U[t], theta) - u_t) / delta))
        U[t+1] = (beta_m U[t] + D[t]) (1 - S[t]) + u_reset S[t]

    `u_t`: where the potential takes off without input; `delta`: how gradually. Above the peak
    `theta` all is reset, so nothing is added there.
    """

    DRIVE = "gain * (current + delta * exp((min(u, theta) - u_t) / delta))"

    reset: Literal["constant"] = "constant"  # type: ignore[assignment]
    u_t: float = 0.5
    delta: Positive = 0.1
    u_reset: float = 0.0


@dataclass(frozen=True)
class Izhikevich(QIF):
    """A quadratic neuron with an adaptation current (Izhikevich 2003, 2007).

        D[t] = (1 - beta_m) (sum_c sign_c I_c[t] + U[t]^2 / u_c - W[t])
        W[t+1] = beta_w W[t] + (1 - beta_w) b U[t] + d S[t],   beta_w = exp(-dt / tau_w)

    Reset as for `QIF`. His regular spiking neuron (2007, section 8.2), with 0 at rest and 1
    at the peak of the spike, 95 mV above: u_c = 20 mV, u_reset = 10 mV, tau_mem = C / (k u_c) =
    100 / (0.7 20) ms, tau_w = 1 / a = 1 / 0.03 ms, b = -2 / (k u_c) and d = 100 / (k u_c 95 mV).
    """

    DRIVE = "gain * (current + u**2 / u_c - W)"
    STATE: ClassVar[Mapping[str, str]] = {
        "W": "exp(-dt / tau_w) * W + (1 - exp(-dt / tau_w)) * b * u + d * s"
    }

    tau_mem: TimeConstant = 7.143e-3
    u_c: Positive = 0.2105
    u_reset: float = 0.1053
    tau_w: TimeConstant = 33.33e-3
    b: AboveMinusOne = -0.1429
    d: NotNegative = 0.0752


@dataclass(frozen=True)
class ResonateAndFire(Neuron):
    """A resonate-and-fire neuron, whose potential swings (Izhikevich 2001).

        U[t+1] = beta_m (cos(omega dt) U[t] - sin(omega dt) V[t]) + (1 - beta_m) sum_c sign_c I_c[t]
        V[t+1] = beta_m (sin(omega dt) U[t] + cos(omega dt) V[t])

    The exact rotation of U + i V by `omega` in rad/s, which decays with tau_mem. What a spike does
    to U is as for `Neuron`; V goes on.
    """

    LEAK = "beta_m * cos(omega * dt)"
    DRIVE = "gain * current - beta_m * sin(omega * dt) * V"
    STATE: ClassVar[Mapping[str, str]] = {
        "V": "beta_m * (sin(omega * dt) * u + cos(omega * dt) * V)"
    }

    omega: NotNegative = 62.83


def refractory(kind: type[Neuron]) -> bool:
    """Whether neurons of this kind rest after a spike."""
    return "t_ref" in kind.__dataclass_fields__


@cache
def check_description(kind: Any) -> None:
    """Raises Mistake unless each expression speaks of what there is."""
    state, given = {*kind.STATE}, {"u", "s", "current", "dt", "beta_m", "gain"}
    constants = {field.name for field in fields(kind)}
    if taken := state & (constants | given):
        raise Mistake(f"neuron {kind.__name__}: STATE has {min(taken)}, the name of something else")
    constants -= {field.name for field in fields(Neuron)} - {"theta"}
    said = [("LEAK", kind.LEAK, constants | {"dt", "beta_m"})]
    said += [("DRIVE", kind.DRIVE, constants | state | given)]
    said += [("THRESHOLD", kind.THRESHOLD, constants | state)]
    said += [(f"STATE[{x!r}]", text, constants | state | given) for x, text in kind.STATE.items()]
    for where, text, known in said:
        try:
            if unknown := names(text) - known:
                word = min(unknown)
                raise Mistake(f"{text!r} speaks of {word}, which is unknown; {choose(word, known)}")
        except Mistake as mistake:
            raise Mistake(f"neuron {kind.__name__}: {where}: {mistake}") from None


CHANNELS = ("signs", "u_init", "spiking")  # fields that an architecture decides


def by_name(kind: type[Neuron]) -> Callable[..., Neuron]:
    """What a configuration calls for a neuron of `kind`, in the module of the kind. Its keyword
    arguments are the fields of `kind`, with their defaults and ranges, except for two: `tau_syn` is
    one number, as there is one channel, and `beta`: None takes the published steepness of the
    surrogate.
    """
    hints = get_type_hints(kind, include_extras=True)
    defaults = {field.name: field.default for field in fields(kind) if field.name not in CHANNELS}
    hints |= {"tau_syn": TimeConstant, "beta": Positive | None}
    defaults |= {"tau_syn": kind.tau_syn[0], "beta": None}
    options = [
        Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=hints[name])
        for name, default in defaults.items()
    ]
    signature = Signature(options, return_annotation="Neuron")

    def make(**given: Any) -> Neuron:
        signature.bind(**given)  # TypeError for what is no option
        values = defaults | given
        if values["beta"] is None:
            values["beta"] = steepness(str(values["surrogate"]))
        return kind(**values | {"tau_syn": (values["tau_syn"],)})

    make.__signature__ = signature  # type: ignore[attr-defined]  # read by fdi.config.parts
    make.__module__, make.kind = kind.__module__, kind  # type: ignore[attr-defined]
    return make


lif = by_name(Neuron)
alif = by_name(ALIF)
adlif = by_name(AdLIF)
adaptive_threshold = by_name(AdaptiveThreshold)
qif = by_name(QIF)
eif = by_name(EIF)
izhikevich = by_name(Izhikevich)
resonate_and_fire = by_name(ResonateAndFire)

KINDS: dict[str, Callable[..., Neuron]] = {
    name: made for name, made in globals().items() if isfunction(made) and hasattr(made, "kind")
}


def integrator(tau_mem: float, tau_syn: float, u_init: float) -> Neuron:
    """The leaky integrator of a readout, which never spikes; times in seconds."""
    return Neuron(tau_mem, (tau_syn,), u_init=u_init, spiking=False)


LIF = lif()


def averaged(shape: Shape, windows: Shape) -> Shape:
    """The shape of maps whose edges are divided into `windows`; () for none."""
    channels, *edges = shape
    return (channels, *(size // n for size, n in zip(edges, windows))) if windows else shape


def convolved(edge: int, kernel: int, stride: int, padding: int) -> int:
    """The edge of the map of a convolution over one of this `edge`."""
    return (edge + 2 * padding - kernel) // stride + 1


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
    shape: Shape
    neuron: Neuron
    pool: int = 1
    taus: tuple[tuple[float, ...], ...] | None = None

    def __post_init__(self) -> None:
        if min(self.shape, default=0) < 1:
            advice = "use smaller kernels, strides or pools, more padding, or fewer layers"
            raise Mistake(f"population {self.name}: shape {self.shape} leaves no neuron; {advice}")
        if self.pool > 1 and min(self.shape[1:], default=0) < self.pool:
            raise Mistake(
                f"population {self.name}: a pooling window of {self.pool} does not fit into "
                f"shape {self.shape}"
            )
        if self.taus is not None:
            wanted = [self.units] * (1 + len(self.neuron.tau_syn))
            if len(self.shape) > 1 or [len(row) for row in self.taus] != wanted:
                raise Mistake(
                    f"population {self.name}: time constants of {[len(r) for r in self.taus]} "
                    f"neurons do not fit; a population of one dimension takes {wanted}"
                )

    @property
    def units(self) -> int:
        return math.prod(self.shape)

    @property
    def pooled_shape(self) -> Shape:
        """The shape that feed-forward targets see."""
        return (self.shape[0], *(edge // self.pool for edge in self.shape[1:]))

    @cached_property
    def neurons(self) -> tuple[Neuron, ...]:
        """One for all, or each with its own time constants. Raises ValueError where they are still
        to be drawn.
        """
        if self.taus is None:
            if self.neuron.tau_shape is not None:
                raise Mistake(
                    f"population {self.name}: its time constants are not drawn; call "
                    f"fdi.snn.network.draw_time_constants"
                )
            return (self.neuron,)
        return tuple(
            replace(self.neuron, tau_mem=mem, tau_syn=tuple(syn)) for mem, *syn in zip(*self.taus)
        )
