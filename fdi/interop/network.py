"""Networks of fdi and of other libraries under the same nouns: what strategies, the calibration and
the probe see of them, and how a batch is measured: what arrives at their neurons, and the potential
that it causes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, ClassVar, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import linear
from torch.utils.hooks import RemovableHandle

from fdi.config import Mistake
from fdi.data.inputs import Constant, Events, Frames, Kind, kind_of
from fdi.init.strategy import NO_CHANGE, measured_spread
from fdi.init.theory import Response, response, spread, time_in_seconds, trial
from fdi.interop.neurons import (
    LIBRARIES,
    NotSpiking,
    Unmeasurable,
    bring_to_rest,
    library,
    measure,
    over_time,
)
from fdi.interop.wiring import (
    DATA,
    NeuronModule,
    NormModule,
    Other,
    Weights,
    Wiring,
    follow,
    origins,
)
from fdi.snn.network import INPUT, Activity, Moments, Network

Simulate = Callable[[Any], Any]
Part = Weights | NormModule | Other
CLOSE = 1e-3  # between the mean squares of two signals that are the same


class Recording:
    """What arrives at populations, what they emit, and what `weights` hear, [T, B, ...], while it
    is entered.
    """

    def __init__(
        self, populations: Sequence[NeuronModule], weights: Sequence[Weights] = ()
    ) -> None:
        self._given: dict[Any, list[Tensor]] = {key: [] for key in (*populations, *weights)}
        self._feedback: dict[NeuronModule, dict[int, Tensor]] = {p: {} for p in populations}
        self._emitted: dict[NeuronModule, list[Tensor]] = {p: [] for p in populations}
        self._hooks: list[RemovableHandle] = []

    def __enter__(self) -> Recording:
        for key, given in self._given.items():
            if isinstance(key, NeuronModule):
                self._hear(key.module, given)
                self._watch(key)
            elif key.attribute == "weight":
                for layer in key.layers:
                    self._hear(layer, given)
        return self

    def __exit__(self, *_: object) -> None:
        for hook in self._hooks:
            hook.remove()

    def current(self, population: NeuronModule) -> Tensor:
        """Raises fdi.Mistake if the neuron was not called."""
        calls, neuron = self._given[population], cast(Any, population.module)
        if not calls:
            raise Mistake(
                f"{population.label} is not called when the batch is simulated; check `simulate`"
            )
        current = _over_time(calls, neuron)
        if feedback := self._feedback[population]:
            current = current + _over_time(list(feedback.values()), neuron)
        if hasattr(neuron, "recurrent_weights"):  # of Norse, which keeps all weights inside
            before = self.spikes(population).roll(1, 0)
            before[0] = 0
            inside = (neuron.input_weights, neuron.recurrent_weights)
            into, within = (weight.detach().float().cpu() for weight in inside)
            current = linear(current, into) + linear(before, within)
        return current

    def spikes(self, population: NeuronModule) -> Tensor:
        return _over_time(self._emitted[population], population.module)

    def heard(self, weights: Weights, target: NeuronModule, like: Tensor) -> Tensor | None:
        """The input of weights onto a neuron that hears `like`, [T, B, ...]; None if it does not
        show which of its numbers belong to which step.
        """
        if weights in target.own:
            return None if weights.inside else _over_time(self._given[target], target.module)
        calls, steps, batch = self._given[weights], *like.shape[:2]
        axis = over_time(target.module)
        if axis is None:
            return torch.stack(calls) if len(calls) == steps else None
        order = (steps, batch) if axis == 0 else (batch, steps)
        x = torch.cat(calls, axis)
        if x.shape[:2] != order:
            if len(x) != steps * batch:
                return None
            x = x.unflatten(0, order)
        return x.swapaxes(0, axis)

    def _hear(self, module: nn.Module, given: list[Tensor]) -> None:
        def enter(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            x = args[0] if args else next(iter(kwargs.values()))
            given.append(x.detach().float().cpu())

        self._hooks.append(module.register_forward_pre_hook(enter, with_kwargs=True))

    def _watch(self, population: NeuronModule) -> None:
        given, module = self._given[population], population.module

        def leave(_: nn.Module, args: Any, out: Any) -> None:
            emitted = out[0] if isinstance(out, tuple) else out
            self._emitted[population].append(emitted.detach().float().cpu())

        def fed_back(_: nn.Module, args: Any, out: Tensor) -> None:
            # in each step once: snnTorch asks for it more than once
            self._feedback[population][len(given)] = out.detach().float().cpu()

        self._hooks.append(module.register_forward_hook(leave))
        if isinstance(recurrent := getattr(module, "recurrent", None), nn.Module):
            self._hooks.append(recurrent.register_forward_hook(fed_back))


AT_ONCE = 2**21  # numbers that are transformed at once


def u_moments(current: Tensor, neuron: Response, neurons: Sequence[Response] = ()) -> Moments:
    """Of U = k * I without reset, for I [T, B, *shape]; `neurons`: each unit's own, where they
    differ.
    """
    kernels = [torch.from_numpy(each.kernel[: len(current)]) for each in neurons or [neuron]]
    k = torch.nn.utils.rnn.pad_sequence(kernels).unsqueeze(1)  # [T, 1, units]
    size = 2 ** (len(current) + len(k) - 2).bit_length()
    spectrum = torch.fft.rfft(k, size, dim=0)
    means, variances = [], []
    flat = current.double().flatten(2) if current.ndim > 2 else current.double()[..., None]
    for part in flat.split(max(1, AT_ONCE // flat[:, 0].numel()), 1):
        u = torch.fft.irfft(torch.fft.rfft(part, size, dim=0) * spectrum, size, dim=0)
        u = u[: len(current)]
        means.append(u.mean(0))
        variances.append(u.var(0, correction=0))
    shape = current.shape[2:]
    mean, temporal = torch.cat(means), torch.cat(variances)
    found = (mean.mean(0), temporal.mean(0), mean.var(0, correction=0))
    free = [each.reshape(shape) for each in found]
    return Moments(*[torch.full_like(free[0], torch.nan)] * 3, *free)


def _over_time(calls: list[Tensor], neuron: Any) -> Tensor:
    """[T, ...] from calls with a step each, or with many."""
    axis = over_time(neuron) if library(neuron) else (0 if len(calls) == 1 else None)
    if axis is None:
        return torch.stack(calls)
    if hasattr(neuron, "num_timesteps"):  # of Sinabs: batch and time in one axis
        calls = [c.unflatten(0, (neuron.batch_size, neuron.num_timesteps)) for c in calls]
    return torch.cat([c.swapaxes(0, axis) for c in calls])


@dataclass(eq=False)
class Foreign:
    """A network of another library as strategies see a fdi.snn.network.Network.

    `layers`: the populations whose weights are drawn, in the order in which they are called.
    `norms`: what normalizes their input. `fixed`: names of what else reaches them. `left`: what is
    not drawn, for which population, and why.
    """

    delay: ClassVar[int] = 0  # what its neurons have is in their responses

    dt: float
    wiring: Wiring
    layers: list[tuple[NeuronModule]] = field(default_factory=list)
    projections: list[Weights] = field(default_factory=list)
    norms: dict[str, list[NormModule]] = field(default_factory=dict)
    fixed: dict[str, list[str]] = field(default_factory=dict)
    left: dict[Part | NeuronModule, tuple[NeuronModule | None, str]] = field(default_factory=dict)
    readout: NeuronModule = field(default_factory=lambda: NeuronModule("readout", nn.Identity()))

    @property
    def hidden(self) -> list[NeuronModule]:
        return [population for (population,) in self.layers]

    def afferents(self, target: str) -> list[Weights]:
        return [weights for weights in self.projections if weights.target == target]

    def up_to(self, depth: int) -> Foreign:
        return replace(self, layers=self.layers[:depth])

    @torch.no_grad()
    def scale(self, population: str, factor: float) -> None:
        """The gains of its normalizations, and weights without one."""
        norms = self.norms.get(population, [])
        for norm in norms:
            norm.layer.weight.mul_(factor)
        for weights in self.afferents(population):
            if not any(weights in norm.weights for norm in norms):
                weights.weight.mul_(factor)

    def leave(self, part: Part, population: NeuronModule | None, reason: str) -> None:
        if reason:
            self.left[part] = population, reason
            for weights in part.weights if isinstance(part, NormModule) else ():
                self.leave(weights, population, reason)

    def take(self, part: Part, population: NeuronModule) -> bool:
        if why := population.reason or part.refusal():
            self.leave(part, population, why)
            return False
        part.target = population.name
        return True

    @property
    def sends_back(self) -> bool:
        return any(w.recurrent and w.source != w.target for w in self.projections)

    @torch.no_grad()
    def rest(self) -> None:
        for layer in (norm.layer for norms in self.norms.values() for norm in norms):
            layer.weight.fill_(1.0)
            if isinstance(bias := getattr(layer, "bias", None), Tensor):
                bias.zero_()

    def write(self) -> None:
        names = [population.name for population in self.hidden]
        for weights in self.projections:
            if weights.target in names:
                weights.write()


class Seen(NamedTuple):
    """A network with a batch: `measure` simulates it, see fdi.init.strategy.draw_weights; `nu`:
    rate of the input in Hz; `analogue`: it is none of spikes.
    """

    network: Any
    measure: Callable[[Any], Activity]
    nu: float
    analogue: bool

    def sigma_u(self, population: Any, activity: Activity) -> float:
        """The measured sigma_U of a population in units of theta."""
        analogue = self.analogue and self.hears_input(population)
        found = measured_spread(self.network, population, activity, analogue)
        return found / population.neuron.theta

    def hears_input(self, population: Any) -> bool:
        if isinstance(population, NeuronModule):
            return DATA in origins(population.upstream)
        return any(p.source == INPUT for p in self.network.afferents(population.name))


def fdi_network(network: Network, batch: Any, kind: Kind | None) -> Seen:
    """A network of fdi, for a tensor or array [T, B, *shape] or an input of fdi.data.inputs."""
    if isinstance(batch, Events | Frames | Constant):
        analogue, x = batch.analogue, batch.dense(np.float64)
    else:
        batch = torch.as_tensor(batch)
        analogue, x = is_analogue(batch, kind), batch.detach().cpu().double().numpy()
    first, dt = network.hidden[0].neuron, network.dt
    nu = float(x.mean()) / dt
    if analogue and first.tau_shape is not None:
        raise Mistake(
            "the neurons have time constants of their own (tau_shape), and an analogue input has "
            "another rate for each; give it as spikes"
        )
    if analogue:
        kernel = response(first.tau_mem, first.tau_syn[0], dt)
        nu = equal_rate(torch.from_numpy(np.array(x)), kernel, dt, analogue)
        if not nu > 0:
            raise Mistake(NO_CHANGE)
    return Seen(network, lambda below: below.activity(batch, ("moments",)), nu, analogue)


def foreign(
    module: nn.Module, batch: Tensor, simulate: Simulate | None, dt: Any, kind: Kind | None
) -> Seen:
    """A network of snnTorch, Norse, SpikingJelly or Sinabs, as a trial shows it."""
    run, analogue = running(module, batch, simulate), is_analogue(batch, kind)
    network = followed(module, batch, run, dt)
    x, dt = batch.detach().double(), network.dt
    power = float(x.square().mean())
    for population in network.wiring.populations:
        _plan(network, population, None if analogue else power)
    for part in network.wiring.layers:
        if not part.target and part not in network.left:
            why = "no neuron follows" if part.upstream else "it is not called in a trial"
            network.leave(part, None, part.reason if isinstance(part, Other) else why)

    def simulated(below: Foreign) -> Activity:
        below.write()
        last = below.hidden[-1].name
        heard = [
            w for w in below.projections if (w.altered and w.target == last) or w.source == last
        ]
        with torch.no_grad(), Recording(below.hidden, heard) as recording:
            run()
        return activity_of(below, recording, heard, analogue)

    return Seen(network, simulated, (power if analogue else float(x.mean())) / dt, analogue)


def followed(module: nn.Module, batch: Tensor, run: Callable[[], Any], dt: Any) -> Foreign:
    """What reaches what, and the responses of its neurons; no layers yet."""
    dt = time_in_seconds("dt", dt)
    with torch.no_grad():
        network = Foreign(dt, follow(module, batch, run))
    for population in network.wiring.populations:
        if not population.reason:
            _measure(population, dt)
    return network


def activity_of(
    network: Foreign, recording: Recording, heard: list[Weights], analogue: bool
) -> Activity:
    """What a trial leaves behind; `passed`: what the weights `heard`, as spikes of equal rate."""
    counts, moments, current = {}, {}, torch.empty(0, 0)
    for p in network.hidden:
        current, counts[p.name] = recording.current(p), recording.spikes(p).sum(0)
        moments[p.name] = u_moments(current, p.neuron, p.neurons)
    passed = dict(counts)
    targets = {p.name: p for p in network.wiring.populations}
    for w in heard:
        target = targets[w.target]
        x = recording.heard(w, target, current)
        hears_data = DATA in origins(w.upstream)
        if x is not None:
            rate = equal_rate(x, target.neuron.kernel, network.dt, analogue and hears_data)
        elif w.source in counts:
            continue
        else:  # as if it were white noise
            rate = w.power / network.dt
        passed[w.name] = torch.tensor(rate * network.dt * len(current), dtype=torch.float64)
    return Activity(torch.empty(len(current), 0), counts, moments=moments, passed=passed)


def equal_rate(x: Tensor, kernel: np.ndarray, dt: float, analogue: bool) -> float:
    """The rate in Hz of a signal [T, B, ...] of spikes, or else that of spikes that spread a
    potential as much as it does.
    """
    if bool(((x == 0) | (x == 1)).all()):
        return float(x.double().mean()) / dt
    square = float(np.square(kernel).sum())
    m = u_moments(x, Response(0.0, 0.0, 1.0, None, kernel))
    shown = trial(kernel, len(x))
    return spread(m.free_mean, m.free_temporal, m.free_across, shown, analogue) ** 2 / (square * dt)


def is_analogue(data: Tensor, kind: Kind | None) -> bool:
    """Whether a batch of this kind, or of that which is certain, is none of spikes."""
    return kind_of(data.detach().float().cpu().numpy(), kind, "the batch", "kind") != "spikes"


def running(module: nn.Module, batch: Tensor, simulate: Simulate | None) -> Callable[[], Any]:
    """A trial that leaves random numbers alone, uncompiled: compiled code calls no hooks."""
    given = partial(trial_in_turn, module) if simulate is None else simulate

    def run() -> Any:
        with random_numbers_kept(), torch.compiler.set_stance("force_eager"):
            return given(batch)

    return run


def random_numbers_kept() -> AbstractContextManager[None]:
    """Inside it random numbers may be drawn, of the CPU and of GPUs in use, as if they were not.
    Without a list, torch would ask every kind of device that is registered, and some have no state.
    """
    gpus = torch.cuda.device_count() if torch.cuda.is_initialized() else 0
    return torch.random.fork_rng(range(gpus))


def trial_in_turn(module: nn.Module, batch: Tensor) -> Any:
    """A trial of an nn.Sequential from a fresh state."""
    neurons = [part for part in module.modules() if library(part)]
    if not isinstance(module, nn.Sequential) or not neurons:
        raise Mistake(
            f"{type(module).__name__} is not an nn.Sequential with neurons of {LIBRARIES}, so how "
            f"a trial of it runs is not known; give simulate(batch)"
        )
    for neuron in neurons:
        bring_to_rest(neuron)
    axis = over_time(neurons[0])
    try:
        if axis is not None:
            x = batch.swapaxes(0, axis)
            return module(x.flatten(0, 1) if hasattr(neurons[0], "num_timesteps") else x)
        if library(neurons[0]) != "norse":
            return [module(x) for x in batch]
        outputs, state = [], None
        for x in batch:
            out, state = module(x, state)
            outputs.append(out)
        return outputs
    except (RuntimeError, TypeError, ValueError, AttributeError) as error:
        line = str(error).strip().partition("\n")[0]
        what = f"a trial of the nn.Sequential failed ({line})"
        raise Mistake(f"{what}; give simulate(batch)") from error


def _measure(population: NeuronModule, dt: float) -> None:
    try:
        population.neuron = measure(population.module, dt)
    except Unmeasurable as error:
        population.reason = f"{population.label}: {error}"
        population.spiking = not isinstance(error, NotSpiking)
        return
    each = population.neuron.each
    population.neurons = each or (population.neuron,)
    if each and population.units != (len(each),):
        population.reason = f"{population.label}: its constants are not one for each neuron"


def _plan(network: Foreign, population: NeuronModule, power: float | None) -> None:
    """What of a population's afferents is drawn for it. `power`: mean square of a batch of
    spikes.
    """
    parts: list[Part] = network.wiring.afferents(population)
    inside = any(not w.inside for w in population.own)
    if inside and not population.reason:
        for part in parts:
            network.leave(part, None, f"{population.label} has input weights of its own")
        parts = []
    new = [p for p in (*parts, *population.own) if not p.target and p not in network.left]
    scaled = [part for part in new if network.take(part, population)]
    if not scaled:
        if not population.reason and not new:
            why = "no weights are drawn for it, so its spread is what it gets"
            network.left[population] = population, why
        return
    norms = [part for part in scaled if isinstance(part, NormModule)]
    behind = [w for norm in norms for w in norm.weights if not w.target]
    drawn = [w for w in scaled if isinstance(w, Weights)]
    drawn += [w for w in behind if network.take(w, population)]
    for w in drawn:
        _locate(w, network, population, power)
    network.projections += drawn
    network.norms |= {population.name: norms} if norms else {}
    others = () if inside else population.upstream.difference(scaled)
    network.fixed[population.name] = sorted(source.name for source in others)
    network.layers.append((population,))


def _locate(w: Weights, network: Foreign, population: NeuronModule, power: float | None) -> None:
    """Where the input of weights comes from, and whether it is what is sent there."""
    order = network.wiring.populations
    before = order[: order.index(population)]
    heard = origins(w.upstream)
    below = [p for p in before if p in heard]
    w.recurrent = w.inside or not (below or DATA in heard)
    if w.recurrent:
        above = [p for p in order if p in heard and p is not population]
        w.source = population.name if w.inside or population in heard else above[0].name
        return
    w.source = INPUT if DATA in heard else below[-1].name
    plain = {DATA, *network.hidden}
    same = power is not None and abs(w.power - power) <= CLOSE * power
    same = same or w in population.own
    w.altered = not w.upstream <= plain or (DATA in w.upstream and not same)
