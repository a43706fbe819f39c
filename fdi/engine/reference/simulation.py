"""A network over a whole trial, differentiable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import max_pool1d, max_pool2d

from fdi.data.inputs import Input
from fdi.engine.device import dense_input
from fdi.snn.network import INPUT, Activity, Moments, Network, Projection
from fdi.snn.neuron import Constants, Population

_MAX_POOL = {1: max_pool1d, 2: max_pool2d}


class PopulationState:
    """The neurons of one population in each sample of a batch."""

    def __init__(
        self,
        population: Population,
        dt: float,
        batch: int,
        like: Tensor,
        free: bool,
        leak: Tensor | None,
        bias: Tensor | None,
        mask: Tensor | None,
        delay: int,
    ) -> None:
        self.population, self.mask, self.delay = population, mask, delay
        # Of a map, a number for each channel.
        self.bias = bias if bias is None else bias.view(-1, *[1] * (len(population.shape) - 1))
        self.constants, self.betas = _decays(population, dt, like)
        if leak is not None:
            self.constants = Constants(dt, (-leak).sigmoid(), leak.sigmoid())
        self.potential = like.new_full((batch, *population.shape), population.neuron.u_init)
        self.free, self.with_free = self.potential, free
        self.spikes = self.counts = torch.zeros_like(self.potential)
        self.state = (self.spikes,) * population.neuron.STATES
        self.currents = [torch.zeros_like(self.potential) for _ in population.neuron.tau_syn]
        self.pooled: Tensor | None = None
        self.arrived: list[Tensor | None] = [None] * len(self.currents)
        if not delay:
            self.arrived[0] = self.bias

    def update(self) -> None:
        n, c = self.population.neuron, self.constants
        self.pooled = None
        # Spikes come from the potential that the step before left behind, and reset it in this one.
        if self.delay:
            self._fire()
        else:
            self._hear()
        first, *others = (x if sign == 1 else sign * x for sign, x in zip(n.signs, self.currents))
        current = sum(others, first)
        self.potential, self.state = n.step(self.potential, self.spikes, current, self.state, c)
        if self.with_free:
            self.free = c.beta_m * self.free + c.gain * current
        # After the potential: U[t + 1] hears I[t], and what arrives in step t is first in I[t + 1].
        if self.delay:
            self._hear()
        else:
            self._fire()

    def _fire(self) -> None:
        if self.population.neuron.spiking:
            self.spikes = self.population.neuron.fires(self.potential, self.state)
            self.counts = self.counts + self.spikes

    def _hear(self) -> None:
        self.currents = [
            beta * current if x is None else beta * current + x
            for beta, current, x in zip(self.betas, self.currents, self.arrived)
        ]
        self.arrived = [self.bias, *[None] * (len(self.currents) - 1)]

    def emitted(self, recurrent: bool) -> Tensor:
        edge = self.population.pool
        # Within its layer a population hears every neuron; only what is above sees the pooled map.
        if recurrent or (edge == 1 and self.mask is None):
            return self.spikes
        if self.pooled is None:
            self.pooled = self.spikes if edge == 1 else max_pool(self.spikes, edge)
            self.pooled = self.pooled if self.mask is None else self.mask * self.pooled
        return self.pooled

    def receive(self, channel: int, x: Tensor) -> None:
        before = self.arrived[channel]
        self.arrived[channel] = x if before is None else before + x

    def trace(self, kind: str) -> Tensor:
        return {"spikes": self.spikes, "potentials": self.potential, "free": self.free}[kind]


def _decays(
    population: Population, dt: float, like: Tensor
) -> tuple[Constants, tuple[float | Tensor, ...]]:
    """(constants of the membrane, beta_s of each channel)."""
    first, *others = decays = [n.decays(dt) for n in population.neurons]
    if not others:
        return Constants(dt, first[0], 1 - first[0]), first[1]
    beta_m, *betas = np.array([(beta_m, *betas) for beta_m, betas in decays]).T
    mem, gain, *syn = (like.new_tensor(row) for row in (beta_m, 1 - beta_m, *betas))
    return Constants(dt, mem, gain), tuple(syn)


def max_pool(x: Tensor, edge: int) -> Tensor:
    """[B, C, *edges] in windows of `edge`; the gradient goes to the first of equal maxima, and is
    not added up in any order, as torch's own is on a GPU.
    """
    pool = _MAX_POOL[x.ndim - 2]
    # Picked by its place, not by the pooling itself, whose backward pass adds in any order.
    winner = pool(x.detach(), edge, return_indices=True)[1]
    return x.flatten(2).gather(2, winner.flatten(2)).view_as(winner)


TRACES = ("spikes", "potentials", "free")


def simulate(
    network: Network,
    x_TBN: Tensor,
    record: tuple[str, ...] = (),
    learn: bool = False,
    known: dict[str, Passed] | None = None,
) -> Activity:
    """What the network does with the input `x_TBN`, differentiable with respect to it and to all
    weights.

    `record`: any of "spikes", "potentials", "free" and "moments". `learn`: normalize by the batch,
    with dropout.
    `known`: what populations pass on, which are then not simulated, and not in the activity; those
    that are simulated are added to it.
    """
    batch, free = x_TBN.shape[1], "free" in record or "moments" in record
    settled, masks = set(known or ()), _masks(network, x_TBN) if learn else {}
    neurons = {
        p.name: PopulationState(
            p, network.dt, batch, x_TBN, free, network.leaks.get(p.name),
            network.biases.get(p.name), masks.get(p.name), network.delay,
        )
        for p in (*network.hidden, network.readout)
        if p.name not in settled
    }  # fmt: skip
    recorder, readout = _Recorder(network, record, settled), network.readout.name
    # Taken apart once: the gradient of `x[t]` is as large as x, at every step.
    whole: dict[str, Tensor] = {INPUT: x_TBN}
    by_step: dict[str, Sequence[Tensor]] = {INPUT: x_TBN.unbind()}
    wanted = {link.source for link in network.projections if link.target in neurons}
    for name in settled & wanted:
        by_step[name] = known[name] if known else ()
        if network.norms:
            whole[name] = torch.stack(list(by_step[name]))
    for names in (stages := _stages(network, settled)):
        layer = {name: neurons[name] for name in names}
        normed = {
            name: list(_normed(network, name, whole, learn).unbind())
            for name in names
            if name in network.norms
        }
        links = [p for p in network.projections if p.target in names and p.target not in normed]
        passed_on: dict[str, list[Tensor]] = {name: [] for name in names if len(stages) > 1}
        heard = by_step.keys() & {link.source for link in links}
        kept = {name: Passed() for name in names if known is not None and name != readout}
        for t in range(len(x_TBN)):
            below = {name: by_step[name][t] for name in heard}
            arriving = {name: x[t] for name, x in normed.items() if t < len(x)}
            step(layer, links, below, arriving, network.delay)
            recorder.after_a_step(layer)
            for name, spikes in passed_on.items():
                spikes.append(layer[name].emitted(recurrent=False))
            for name, packed in kept.items():
                packed.append(layer[name].emitted(recurrent=False))
        if known is not None:
            known |= kept
        by_step |= passed_on
        if network.norms:
            whole |= {name: torch.stack(spikes) for name, spikes in passed_on.items()}
    return recorder.activity(neurons)


def _masks(network: Network, x_TBN: Tensor) -> dict[str, Tensor]:
    """By what the spikes of each hidden population are multiplied for the layers above, by name."""
    share, batch = network.dropout, x_TBN.shape[1]
    return {
        p.name: (torch.rand(batch, *p.pooled_shape, device="cpu") >= share).to(x_TBN) / (1 - share)
        for p in (network.hidden if share else ())
    }


class Passed(Sequence[Tensor]):
    """What a population passes on, step by step, a bit for each spike that is 0 or 1."""

    def __init__(self) -> None:
        self.steps: list[Any] = []
        self.like = torch.zeros(())

    def append(self, spikes: Tensor) -> None:
        self.like = spikes
        if spikes.device.type == "cpu":
            values = spikes.detach().numpy()
            ones = values == 1
            # What is not 0 or 1 would not come back from its bits.
            if np.count_nonzero(ones) == np.count_nonzero(values != 0):
                self.steps.append(np.packbits(ones))
                return
        self.steps.append(spikes)

    def __len__(self) -> int:
        return len(self.steps)

    def __getitem__(self, t: Any) -> Any:
        step, like = self.steps[t], self.like
        if isinstance(step, Tensor):
            return step
        return torch.from_numpy(np.unpackbits(step, count=like.numel())).to(like).view_as(like)


def _stages(network: Network, settled: set[str]) -> list[list[str]]:
    """The populations that go through the trial together: all of them, unless a layer needs the
    spikes of those below in the same step, or a normalization all steps before its layer starts.
    """
    layers = [*network.layers, (network.readout,)]
    names = [[p.name for p in layer if p.name not in settled] for layer in layers]
    apart = network.norms or not network.delay
    return [*filter(None, names)] if apart else [list(chain(*names))]


def step(
    layer: Mapping[str, PopulationState],
    links: Sequence[Projection],
    below: Mapping[str, Tensor],
    normed: Mapping[str, Tensor],
    delay: int,
) -> None:
    """One time step: every population spikes from the potential that it has, and updates potential
    and currents with what arrived in the step before; then all projections deliver this step's
    spikes, which arrive in the next. Without delay they deliver first, those within the layer the
    spikes of the step before.
    """
    if delay:
        _update(layer)
    for link in links:
        source = below.get(link.source)
        if source is None:
            source = layer[link.source].emitted(link.recurrent)
        layer[link.target].receive(link.channel, link(source))
    for name, x in normed.items():
        layer[name].receive(0, x)
    if not delay:
        _update(layer)


def _update(layer: Mapping[str, PopulationState]) -> None:
    for neurons in layer.values():
        neurons.update()


class _Recorder:
    """What is kept of a trial: the readout, and what `record` asks for."""

    def __init__(self, network: Network, record: tuple[str, ...], settled: set[str]) -> None:
        self.hidden = [p.name for p in network.hidden if p.name not in settled]
        self.readout, self.potentials = network.readout.name, list[Tensor]()
        self.traces: dict[str, dict[str, list[Tensor]]] = {
            kind: {name: [] for name in self.hidden} for kind in TRACES if kind in record
        }
        names = [*self.hidden, self.readout] if "moments" in record else []
        self.sums = {name: _Sums() for name in names}

    def after_a_step(self, layer: Mapping[str, PopulationState]) -> None:
        if self.readout in layer:
            self.potentials.append(layer[self.readout].potential)
        for kind, by_name in self.traces.items():
            for name in layer.keys() & by_name.keys():
                by_name[name].append(layer[name].trace(kind))
        for name in layer.keys() & self.sums.keys():
            self.sums[name].add(layer[name])

    def activity(self, neurons: Mapping[str, PopulationState]) -> Activity:
        return Activity(
            torch.stack(self.potentials),
            {name: neurons[name].counts for name in self.hidden},
            **{
                kind: {name: torch.stack(steps) for name, steps in by_name.items()}
                for kind, by_name in self.traces.items()
            },
            moments={name: total.moments() for name, total in self.sums.items()},
            passed={name: self.sums[name].passed for name in self.hidden if name in self.sums},
        )


def _normed(network: Network, name: str, given: dict[str, Tensor], learn: bool) -> Tensor:
    """What arrives at a population and has an effect, normalized, [T - delay or 0, B, *shape]."""
    steps, batch = given[INPUT].shape[:2]
    heard = max(0, steps - network.delay)
    # A spike of step t shows in the potential of step t + delay: later ones have no effect, and
    # would only count in the statistics.
    first, *others = (
        link(given[link.source][:heard].flatten(0, 1)).unflatten(0, (-1, batch))
        for link in network.afferents(name)
    )
    total = sum(others, first)
    return network.norms[name](total, learn) if len(total) else total


class _Sums:
    """Running sums over time of the potential and its square, with reset and free, and of what is
    passed on.
    """

    def __init__(self) -> None:
        self.steps, self.sums, self.passed = 0, list[Tensor](), torch.zeros(())

    def add(self, neurons: PopulationState) -> None:
        self.steps += 1
        passed = neurons.emitted(recurrent=False)
        if not self.sums:
            like = neurons.potential.detach()
            # In float64: the variance is the small difference of two large sums.
            self.wide = torch.empty_like(like, dtype=torch.float64)
            self.sums = [torch.zeros_like(self.wide) for _ in range(4)]
            self.passed = torch.zeros_like(passed)
        # In place: fresh memory costs several times as much as the sums.
        for i, u in enumerate((neurons.potential, neurons.free)):
            self.sums[2 * i] += self.wide.copy_(u.detach())
            self.sums[2 * i + 1] += self.wide.square_()
        self.passed += passed.detach()

    def moments(self) -> Moments:
        mean, square, free_mean, free_square = (total / self.steps for total in self.sums)
        return Moments(*_variances(mean, square), *_variances(free_mean, free_square))


def _variances(mean: Tensor, square: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mean over samples, variance over time and variance across samples from means over time."""
    temporal = (square - mean**2).mean(0).clamp(min=0)
    return mean.mean(0), temporal, mean.var(0, correction=0)


class Growing:
    """Measures the moments of a network that is drawn from the input up: `measure(network)` as
    `simulate` with "moments", of which only the layers are simulated that were not there, or
    otherwise, in an earlier call; the spikes of the others are kept.
    """

    def __init__(self, inputs: Input) -> None:
        self.inputs = inputs
        self.x: Tensor | None = None
        self.layers: list[_Layer] = []

    @torch.no_grad()
    def __call__(self, network: Network) -> Activity:
        first = network.projections[0].weight
        if self.x is None or (self.x.dtype, self.x.device) != (first.dtype, first.device):
            self.x, self.layers = dense_input(network, self.inputs), []
        same = 0
        for kept, layer in zip(self.layers, network.layers):
            if not kept.is_that_of(network, layer):
                break
            same += 1
        del self.layers[same:]
        known = {name: spikes for layer in self.layers for name, spikes in layer.passed.items()}
        if not known and network.afferents(network.readout.name):  # nothing will grow on it
            return simulate(network, self.x, ("moments",))
        activity = simulate(network, self.x, ("moments",), known=known)
        for layer in network.layers[same:]:
            self.layers.append(_Layer(network, layer, known, activity))
        for measured in self.layers:
            activity.counts |= measured.counts
            activity.moments |= measured.moments
            activity.passed |= measured.total
        return activity


class _Layer:
    """A layer that was simulated: what makes its numbers, and these."""

    def __init__(
        self,
        network: Network,
        layer: Sequence[Population],
        known: Mapping[str, Passed],
        activity: Activity,
    ) -> None:
        names = [population.name for population in layer]
        self.populations = tuple(layer)
        self.state = {key: value.clone() for key, value in _state(network, layer).items()}
        self.passed = {name: known[name] for name in names}
        self.counts = {name: activity.counts[name] for name in names}
        self.moments = {name: activity.moments[name] for name in names}
        self.total = {name: activity.passed[name] for name in names}

    def is_that_of(self, network: Network, layer: Sequence[Population]) -> bool:
        state = _state(network, layer)
        return (
            tuple(layer) == self.populations
            and state.keys() == self.state.keys()
            and all(torch.equal(value, self.state[key]) for key, value in state.items())
        )


def _state(network: Network, layer: Sequence[Population]) -> dict[str, Tensor]:
    """Weights, normalization and leaks of a layer."""
    values: dict[str, Tensor] = {}
    for population in layer:
        name = population.name
        values |= {p.name: p.weight.detach() for p in network.afferents(name)}
        if name in network.norms:
            values |= {f"{name}.{k}": v for k, v in network.norms[name].state_dict().items()}
        if name in network.biases:
            values[f"{name}.bias"] = network.biases[name].detach()
        if name in network.leaks:
            values[f"{name}.leak"] = network.leaks[name].detach()
    return values
