"""A network: populations, the projections between them and normalization in front of them, with the
spike that autograd sees.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import Any, ClassVar, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.functional import softplus

from fdi.config import Mistake
from fdi.snn.neuron import INPUT as INPUT
from fdi.snn.neuron import Population
from fdi.snn.surrogate import derivative_named


class Spike(torch.autograd.Function):
    """S = H(V), V = U - theta, with the derivative `surrogate` of steepness beta."""

    generate_vmap_rule = True

    @staticmethod
    def forward(v: Tensor, surrogate: str, beta: float) -> Tensor:
        return (v > 0).to(v.dtype)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, str, float], output: Tensor) -> None:
        v, ctx.surrogate, ctx.beta = inputs
        ctx.save_for_backward(v)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        (v,) = ctx.saved_tensors
        return grad * derivative_named(ctx.surrogate)(v, ctx.beta), None, None


EPS, MOMENTUM = 1e-5, 0.1  # of torch, snnTorch and SpikingJelly


class Norm(nn.Module):
    """X' = gain (X - mean) / sqrt(var + 1e-5) + bias, X being what all projections deliver.

    kind     mean and variance over               gain and bias
    tdbn     time, samples and places of a map    of each channel; gain starts at theta
    bntt     samples and places of a map          of each channel and step; no bias
    layer    channels and places of a map         of each channel

    A unit of a dense layer is a channel; the other gains start at 1. Training takes mean and
    variance of the batch. Evaluation takes running ones where there are some: the average of the
    first ten batches, then 0.9 of the old and 0.1 of the new. `steps` of a trial, without the last
    ones, whose input has no effect (`delay` of the network).

    To define another normalization, inherit from this class, override `forward` with operations of
    torch, and put it into `network.norms` under the name of a population. It is made with a `kind`,
    the `shape` of the population, the `steps` of a trial less `network.delay`, and the threshold
    `theta`, with which the gain of tdbn starts. `kind` is its name in
    messages, parameters and buffers are trained and saved, `gain` scales what it returns; override
    `by_sample` and `check` where they are not those of `kind`.
    """

    mean: Tensor
    var: Tensor
    batches: Tensor

    def __init__(self, kind: str, shape: tuple[int, ...], steps: int, theta: float) -> None:
        super().__init__()
        self.kind, self.steps, self.places = kind, steps, math.prod(shape[1:])
        size = shape[0] * (steps if kind == "bntt" else 1)
        self.gain = nn.Parameter(torch.full((size,), theta if kind == "tdbn" else 1.0))
        self.bias = None if kind == "bntt" else nn.Parameter(torch.zeros(size))
        if kind != "layer":
            self.register_buffer("mean", torch.zeros(size))
            self.register_buffer("var", torch.ones(size))
            self.register_buffer("batches", torch.tensor(0))

    @property
    def by_sample(self) -> bool:
        """Whether each sample is normalized by itself, so that a batch may be cut into parts."""
        return self.kind == "layer"

    def check(self, batch: int) -> None:
        """Raises ValueError for a batch whose variance would be that of a single value."""
        if self.kind == "bntt" and batch * self.places == 1:
            raise Mistake(
                "model.norm=bntt: a batch of one sample has no variance; choose a "
                "trainer.batch_size that leaves no single sample, or model.norm=tdbn"
            )

    def forward(self, x_TBN: Tensor, learn: bool) -> Tensor:
        """[T, B, *shape] -> the same shape; with `learn` by the statistics of the batch, which the
        running ones follow.
        """
        steps, batch = x_TBN.shape[:2]
        if self.kind == "layer":
            x = F.group_norm(x_TBN.flatten(0, 1), 1, self.gain, self.bias, EPS)
            return x.unflatten(0, (steps, batch))
        if self.kind == "tdbn":
            return self._batch_norm(x_TBN.flatten(0, 1), learn).unflatten(0, (steps, batch))
        self.check_steps(steps)
        channels = x_TBN.transpose(0, 1).flatten(1, 2)
        return self._batch_norm(channels, learn).unflatten(1, (steps, -1)).transpose(0, 1)

    def check_steps(self, steps: int) -> None:
        """Raises ValueError if it has no gain for each of the steps."""
        if self.kind == "bntt" and steps != self.steps:
            raise Mistake(
                f"model.norm=bntt has a gain for each of {self.steps} steps with an effect, and a "
                f"trial has {steps}; use model.norm=tdbn"
            )

    def follow(self, mean: Tensor, var: Tensor) -> None:
        """Running statistics after another batch, of that mean and (unbiased) variance."""
        momentum = self._count()
        self.mean.lerp_(mean, momentum)
        self.var.lerp_(var, momentum)

    def _count(self) -> float:
        """Another batch; how much it weighs."""
        self.batches += 1
        return max(MOMENTUM, 1 / int(self.batches))

    def _batch_norm(self, x: Tensor, learn: bool) -> Tensor:
        if learn:
            momentum = self._count()
            running = (self.mean, self.var)
            return F.batch_norm(x, *running, self.gain, self.bias, True, momentum, EPS)
        if self.batches:
            return F.batch_norm(x, self.mean, self.var, self.gain, self.bias, eps=EPS)
        return F.batch_norm(x, None, None, self.gain, self.bias, training=True, eps=EPS)


_CONVOLUTION = {1: F.conv1d, 2: F.conv2d}
_AVERAGE = {1: F.avg_pool1d, 2: F.avg_pool2d}


def unroll(weight: Tensor, average: tuple[int, ...]) -> Tensor:
    """The weights of single spikes that stand for those of their averages: the last axes, each
    number as often as a window is long, over the size of a window.
    """
    for axis, edge in enumerate(reversed(average), 1):
        weight = weight.repeat_interleave(edge, dim=-axis)
    return weight / math.prod(average) if average else weight


def fold(gradient: Tensor, average: tuple[int, ...]) -> Tensor:
    """The gradient of weights from that of the `unroll`ed ones."""
    for axis, edge in enumerate(reversed(average), 1):
        gradient = gradient.unflatten(-axis, (-1, edge)).sum(-axis)
    return gradient / math.prod(average) if average else gradient


class Projection(nn.Module):
    """X = W S: what a source's spikes deliver to one synaptic channel of the target, dense or as a
    convolution.

    `weight`: [target units, source units], or [target channels, source channels, *kernel] with
    `stride` and `padding` for a convolution.
    `recurrent`: the source is in the target's own layer (it is then seen without pooling).
    `average`: edges of the windows over which the spikes of the source are averaged first, side by
    side; () for none.
    `channel`: index into the target's synaptic channels. `nonnegative`: Dale's law, the channel
    carries the sign. `altered`: it hears something else than what the source sends, which has to be
    measured.
    """

    altered: ClassVar[bool] = False

    def __init__(
        self,
        source: str,
        target: str,
        weight_shape: tuple[int, ...],
        *,
        recurrent: bool = False,
        channel: int = 0,
        nonnegative: bool = False,
        stride: int | None = None,
        padding: int = 0,
        average: tuple[int, ...] = (),
    ) -> None:
        super().__init__()
        self.average = average
        self.source, self.target = source, target
        self.recurrent, self.channel, self.nonnegative = recurrent, channel, nonnegative
        self.stride, self.padding = stride, padding
        self.weight = nn.Parameter(torch.zeros(weight_shape))

    @property
    def name(self) -> str:
        return f"{self.source}->{self.target}"

    @property
    def convolutional(self) -> bool:
        return self.stride is not None

    @property
    def fan_in(self) -> int:
        """Number of synapses of one target neuron, border effects aside."""
        return self.weight[0].numel()

    def forward(self, spikes: Tensor) -> Tensor:
        """[B, *source shape] -> [B, *target shape]."""
        if self.average:
            spikes = _AVERAGE[len(self.average)](spikes, self.average)
        if self.stride is not None:
            return _CONVOLUTION[self.weight.ndim - 2](
                spikes, self.weight, stride=self.stride, padding=self.padding
            )
        return F.linear(spikes.flatten(1), self.weight)


@dataclass(frozen=True)
class Moments:
    """Mean and variances of each neuron's potential, [*shape]: as simulated, and free of reset and
    adaptation.

    `temporal`: variance over the time of a trial, mean over samples; `across`: variance over
    samples of the mean over time. Together they are the variance over time and samples.
    """

    mean: Tensor
    temporal: Tensor
    across: Tensor
    free_mean: Tensor
    free_temporal: Tensor
    free_across: Tensor


@dataclass
class Activity:
    """Traces of a trial. Time is the first axis and step t holds the state after the update of that
    step, U[t+1].

    `readout`: [T, B, classes]. `counts`: spikes of each hidden population summed over time, [B,
    *shape]. On demand, by population name, [T, B, *shape]: `spikes`, `potentials`, and `free`, the
    potential that the same input current would cause without reset and adaptation (what the theory
    describes); and with `moments` of the potentials, which need no traces, `passed`: the counts
    behind pooling, which feed-forward targets see, [B, *pooled shape].
    """

    readout: Tensor
    counts: dict[str, Tensor]
    spikes: dict[str, Tensor] = field(default_factory=dict)
    potentials: dict[str, Tensor] = field(default_factory=dict)
    free: dict[str, Tensor] = field(default_factory=dict)
    moments: dict[str, Moments] = field(default_factory=dict)
    passed: dict[str, Tensor] = field(default_factory=dict)


CALL = "fdi.engine.call"  # of a room above: looked up when a network is called


class Network(nn.Module):
    """Layers of hidden populations, the projections between them, and a readout; all that engines,
    strategies and figures need to know.

    `layers`: the hidden populations, one tuple per layer (two populations in a Dale layer), from
    the input up. `readout`: the population that does not spike; its units are the classes.
    `projections`: every weight of the network; sources are population names or "input".
    `input_shape`: shape of one sample in one time step; `dt`: the time step in seconds. `norms`:
    normalization of the input, by population; see `Norm`. `leaks`: of the
    populations whose neurons learn tau_mem, the a in 1 - beta_m = 1 / (1 + e^-a), that is tau_mem =
    dt / log(1 + e^a), as in the PLIF neuron of Fang et al. (2021). `biases`: what arrives at
    channel 0 of a population in each step besides spikes, a number for each unit, or channel of a
    map. `dropout`: share p of the hidden spikes that the layers above do not hear in training: each
    neuron (behind pooling) is silenced for a whole trial with probability p, as Lee et al. (2020)
    do, and what is heard is divided by 1 - p; masks come from torch's generator on the CPU.
    `delay`: how many steps after a spike a potential hears it. 2: as the authors' code has it, and
    spikes come a step after their potential; 0: potentials above hear a spike in the same step, and
    spike in it, those of its own layer in the next one, as other libraries have it. Raises
    ValueError for a dt that is not positive, another delay, and two projections of one name.

    A network is called as any module of torch, `network(x)` is the readout [T, B, classes], and
    `network(x, readout="max")` its largest value in time [B, classes]; see `activity` for its input
    and for the rest of what it does. `fixed`: by population, what reaches it besides its
    projections. `sends_back`: do projections carry what layers above emit?
    """

    fixed: ClassVar[Mapping[str, Sequence[str]]] = {}
    sends_back: ClassVar[bool] = False

    def __init__(
        self,
        input_shape: tuple[int, ...],
        layers: Sequence[tuple[Population, ...]],
        readout: Population,
        projections: list[Projection],
        dt: float,
        delay: int = 2,
    ) -> None:
        super().__init__()
        if not dt > 0:
            raise Mistake(f"the time step dt = {dt} s must be positive")
        if delay not in (0, 2):
            raise Mistake(f"delay = {delay} steps between layers must be 0 or 2")
        names = [projection.name for projection in projections]
        if twice := {name for name in names if names.count(name) > 1}:
            raise Mistake(f"two projections {min(twice)}; give one weight from source to target")
        self.input_shape, self.layers, self.readout = tuple(input_shape), layers, readout
        self.dt, self.delay = dt, delay
        self.projections = cast(Sequence[Projection], nn.ModuleList(projections))
        self.norms = cast("dict[str, Norm]", nn.ModuleDict())
        self.leaks = nn.ParameterDict(
            {
                p.name: torch.tensor(math.log(math.expm1(dt / p.neuron.tau_mem)))
                for p in self.hidden
                if p.neuron.learn_tau
            }
        )
        self.biases, self.dropout = nn.ParameterDict(), 0.0

    def forward(self, inputs: Any, readout: str | None = None) -> Tensor:
        """The readout [T, B, classes], or [B, classes], for `inputs`, see `activity`."""
        activity: Activity = import_module(CALL).call(self, inputs, (), readout, counts=False)
        return activity.readout

    def activity(
        self, inputs: Any, record: Sequence[str] = (), readout: str | None = None
    ) -> Activity:
        """A trial of B samples with `inputs`: spikes or currents [T, B, *input_shape], a tensor or
        an array; a list with (times in s, units) of each sample; or an input of fdi.data.inputs.

        `record`: any of "spikes", "potentials", "free" and "moments". `readout`: "max", "mean" or
        "last", that over time, [B, classes], for which a training step takes less time; equal
        maxima share their gradient. Differentiable with respect to a tensor and to the weights, by
        the engine that is fast in training, forward and backward, where it computes such a network;
        "free" and "moments", the gradient of the input of a convolution, and gradients on a GPU
        come from the reference engine. `train()` drops out and normalizes by the batch, `eval()` by
        running statistics. Raises ValueError for an input of another shape and an unknown readout.
        """
        activity: Activity = import_module(CALL).call(self, inputs, record, readout)
        return activity

    @property
    def hidden(self) -> list[Population]:
        """The spiking populations, from the input up."""
        return [population for layer in self.layers for population in layer]

    def afferents(self, target: str) -> list[Projection]:
        return [projection for projection in self.projections if projection.target == target]

    def up_to(self, depth: int) -> Network:
        """The first `depth` layers, with the same weights; its readout receives nothing."""
        layers = self.layers[:depth]
        names = {population.name for layer in layers for population in layer}
        projections = [projection for projection in self.projections if projection.target in names]
        below = Network(self.input_shape, layers, self.readout, projections, self.dt, self.delay)
        below.norms.update({name: norm for name, norm in self.norms.items() if name in names})
        below.leaks.update({name: leak for name, leak in self.leaks.items() if name in names})
        below.biases.update({name: bias for name, bias in self.biases.items() if name in names})
        return below

    @torch.no_grad()
    def scale(self, population: str, factor: float) -> None:
        """Multiply the input of a population: through the gain of its normalization, which would
        undo a scaling of the weights, or without a normalization through its weights.
        """
        scaled = [projection.weight for projection in self.afferents(population)]
        if population in self.norms:
            scaled = [self.norms[population].gain]
        for values in scaled:
            values.mul_(factor)

    def weights(self) -> dict[str, Tensor]:
        """What training changes, in the memory of the network: weights by projection, such as
        "input->h1", what normalization learns and averages, such as "h1.norm.gain", leaks, such as
        "h1.leak", and biases, such as "h1.bias".
        """
        tensors = {projection.name: projection.weight.detach() for projection in self.projections}
        for name, norm in self.norms.items():
            tensors |= {f"{name}.norm.{key}": value for key, value in norm.state_dict().items()}
        tensors |= {f"{name}.bias": bias.detach() for name, bias in self.biases.items()}
        return tensors | {f"{name}.leak": leak.detach() for name, leak in self.leaks.items()}

    def learned(self) -> dict[str, float]:
        """tau_mem in s of each population whose training changes it."""
        return {name: self.dt / float(softplus(leak.detach())) for name, leak in self.leaks.items()}

    @torch.no_grad()
    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Copy the result of `weights()` of an equal network; raises ValueError, and changes
        nothing, if names or shapes differ.
        """
        self.check_weights(weights)
        for name, weight in self.weights().items():
            weight.copy_(weights[name])

    def check_weights(self, weights: Mapping[str, Tensor]) -> None:
        """ValueError unless these have the names and shapes of `weights()`."""
        shapes = {name: tuple(weight.shape) for name, weight in weights.items()}
        own = {name: tuple(weight.shape) for name, weight in self.weights().items()}
        if shapes != own:
            raise Mistake(f"weights {shapes} do not fit a network of {own}")

    def quantize(self, bits: int) -> None:
        """Round the weights onto each neuron, or map, to multiples of a step of their own:

            W <- s round(W / s),   s = max |W| / (2^(bits - 1) - 1)

        so 2 bits leave -s, 0 and s; biases, normalization and time constants stay.
        """
        for projection in self.projections:
            weight = projection.weight.detach()
            rows = weight.flatten(1)
            most = rows.abs().amax(1, keepdim=True).clamp(min=torch.finfo(rows.dtype).tiny)
            levels = 2 ** (bits - 1) - 1
            weight.copy_(((rows / most * levels).round() / levels * most).view_as(weight))

    def time_constants(self) -> dict[str, Tensor]:
        """`taus` of each hidden population whose neurons have their own, float64 [1 + channels,
        units] in s.
        """
        return {p.name: torch.tensor(p.taus, dtype=torch.float64) for p in self.hidden if p.taus}

    def load_time_constants(self, taus: Mapping[str, Tensor]) -> None:
        """Copy the result of `time_constants()` of an equal network; raises ValueError, and changes
        nothing, if names or shapes differ.
        """
        if taus.keys() != self.time_constants().keys():
            raise Mistake(
                f"time constants of {list(taus)} do not fit {list(self.time_constants())}"
            )
        rows = {name: tuple(map(tuple, value.tolist())) for name, value in taus.items()}
        self.layers = [
            tuple(replace(p, taus=rows.get(p.name)) for p in layer) for layer in self.layers
        ]

    @torch.no_grad()
    def constrain(self) -> None:
        """Dale's law: clamp the weights that must not change sign at zero (after every optimizer
        step).
        """
        for projection in self.projections:
            if projection.nonnegative:
                projection.weight.clamp_(min=0)


BOUNDS = tuple(-0.5e-3 / math.log(decay) for decay in (2 / math.e, 0.995))
"""Shortest and longest time constant, 1.63 and 99.7 ms: the authors clip what is left after a step
of 0.5 ms to 2/e .. 0.995 (their code, clipper.py).
"""


def draw_time_constants(network: Network, rng: np.random.Generator) -> None:
    """Give each hidden neuron with a `tau_shape` k its own time constants, from the input up.

        tau ~ Gamma(k, mean / k), clipped to BOUNDS; standard deviation mean / sqrt(k)

    Those of the membrane and of each synaptic channel are independent; their means are tau_mem and
    tau_syn of the neuron, those of adaptation stay alike. Raises ValueError for a mean outside of
    the bounds, and for maps.
    Source: the authors' code (layers.py; main.py: k = 3, means of 20 and 10 ms), where the readout
    draws its own, too.
    """
    network.layers = [tuple(_drawn(p, rng) for p in layer) for layer in network.layers]


def _drawn(population: Population, rng: np.random.Generator) -> Population:
    neuron = population.neuron
    if neuron.tau_shape is None:
        return population
    if len(population.shape) > 1:
        raise Mistake(
            f"neuron.tau_shape = {neuron.tau_shape:g}: the neurons of a map ({population.name}) "
            f"share weights that fit one pair of time constants; use fully connected layers "
            f"(model=dense, recurrent or dale) or neuron.tau_shape=null"
        )
    shortest, longest = BOUNDS
    for mean in (neuron.tau_mem, *neuron.tau_syn):
        if not shortest <= mean <= longest:
            raise Mistake(
                f"neuron.tau_shape = {neuron.tau_shape:g} draws time constants of "
                f"{1e3 * shortest:.3g} to {1e3 * longest:.3g} ms, and {1e3 * mean:g} ms cannot be "
                f"their mean; use neuron.tau_shape=null"
            )
    k = neuron.tau_shape
    rows = [
        rng.gamma(k, mean / k, population.units).clip(shortest, longest)
        for mean in (neuron.tau_mem, *neuron.tau_syn)
    ]
    return replace(population, taus=tuple(tuple(row.tolist()) for row in rows))
