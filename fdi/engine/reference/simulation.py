"""A network over a whole trial, differentiable."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import max_pool1d, max_pool2d

from fdi.snn.network import INPUT, Activity, Moments, Network
from fdi.snn.neuron import Constants, Population

_MAX_POOL = {1: max_pool1d, 2: max_pool2d}


class Neurons:
    """The neurons of one population in each sample of a batch."""

    def __init__(
        self,
        population: Population,
        dt: float,
        batch: int,
        like: Tensor,
        free: bool,
        leak: Tensor | None,
    ) -> None:
        self.population = population
        self.constants, self.betas = _decays(population, dt, like)
        if leak is not None:
            self.constants = Constants(dt, (-leak).sigmoid(), leak.sigmoid())
        self.potential = like.new_full((batch, *population.shape), population.neuron.u_init)
        self.free, self.with_free = self.potential, free
        self.spikes = self.counts = torch.zeros_like(self.potential)
        self.state = (self.spikes,) * population.neuron.STATES
        self.currents = [torch.zeros_like(self.potential) for _ in population.neuron.tau_syn]
        self.none = like.new_zeros(())
        self.arrived: list[Tensor | None] = [None] * len(self.currents)

    def update(self) -> None:
        n, c, u = self.population.neuron, self.constants, self.potential
        if n.spiking:
            self.spikes = n.fires(u, self.state)
            self.counts = self.counts + self.spikes
        current = sum((sign * x for sign, x in zip(n.signs, self.currents)), self.none)
        self.potential, self.state = n.step(u, self.spikes, current, self.state, c)
        if self.with_free:
            self.free = c.beta_m * self.free + c.gain * current
        self.currents = [
            beta * current if x is None else beta * current + x
            for beta, current, x in zip(self.betas, self.currents, self.arrived)
        ]
        self.arrived = [None] * len(self.currents)

    def emitted(self, recurrent: bool) -> Tensor:
        p = self.population
        return self.spikes if recurrent or p.pool == 1 else max_pool(self.spikes, p.pool)

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
    winner = pool(x.detach(), edge, return_indices=True)[1]
    return x.flatten(2).gather(2, winner.flatten(2)).view_as(winner)


TRACES = ("spikes", "potentials", "free")


def simulate(
    network: Network, x_TBN: Tensor, record: tuple[str, ...] = (), learn: bool = False
) -> Activity:
    """What the network does with the input `x_TBN`.

    Within one step every population first spikes from the potential it has, then updates potential
    and currents with the input that arrived in the step before; then all projections deliver this
    step's spikes (they arrive in the next). With normalization, which may need all steps of what
    arrives, a layer goes through the trial before the next one starts.
    `record`: any of "spikes", "potentials", "free" and "moments". `learn`: normalize by the batch.
    """
    steps, batch = x_TBN.shape[:2]
    free = "free" in record or "moments" in record
    neurons = {
        p.name: Neurons(p, network.dt, batch, x_TBN, free, network.leaks.get(p.name))
        for p in (*network.hidden, network.readout)
    }
    readout: list[Tensor] = []
    traces: dict[str, dict[str, list[Tensor]]] = {
        kind: {p.name: [] for p in network.hidden} for kind in TRACES if kind in record
    }
    sums = {name: _Sums() for name in neurons} if "moments" in record else {}
    # Taken apart once: the gradient of `x[t]` is as large as x, at every step.
    given, by_step = {INPUT: x_TBN}, {INPUT: list(x_TBN.unbind())}
    stages = [(*network.hidden, network.readout)]
    if network.norms:
        stages = [*network.layers, (network.readout,)]
    for layer in stages:
        names = [p.name for p in layer]
        normed = {
            name: _normed(network, name, given, learn).unbind()
            for name in names
            if name in network.norms
        }
        links = [p for p in network.projections if p.target in names and p.target not in normed]
        emitted: dict[str, list[Tensor]] = {name: [] for name in names if network.norms}
        for t in range(steps):
            for name in names:
                neurons[name].update()
            for link in links:
                source = (
                    by_step[link.source][t]
                    if link.source in by_step
                    else neurons[link.source].emitted(link.recurrent)
                )
                neurons[link.target].receive(link.channel, link(source))
            for name, x in normed.items():
                if t < len(x):
                    neurons[name].receive(0, x[t])
            for name, before in emitted.items():
                before.append(neurons[name].emitted(recurrent=False))
            if network.readout in layer:
                readout.append(neurons[network.readout.name].potential)
            for kind, by_name in traces.items():
                for name in names:
                    if name in by_name:
                        by_name[name].append(neurons[name].trace(kind))
            for name in names if sums else ():
                sums[name].add(neurons[name])
        given |= {name: torch.stack(each) for name, each in emitted.items()}
        by_step |= emitted
    return Activity(
        torch.stack(readout),
        {p.name: neurons[p.name].counts for p in network.hidden},
        **{
            kind: {name: torch.stack(steps) for name, steps in by_name.items()}
            for kind, by_name in traces.items()
        },
        moments={name: total.moments() for name, total in sums.items()},
        passed={p.name: sums[p.name].passed for p in network.hidden if p.name in sums},
    )


def _normed(network: Network, name: str, given: dict[str, Tensor], learn: bool) -> Tensor:
    """What arrives at a population and has an effect, normalized, [T - 2 or 0, B, *shape]."""
    steps, batch = given[INPUT].shape[:2]
    first, *others = (
        link(given[link.source][: max(0, steps - 2)].flatten(0, 1)).unflatten(0, (-1, batch))
        for link in network.afferents(name)
    )
    total = sum(others, first)
    return network.norms[name](total, learn) if len(total) else total


class _Sums:
    """Running sums over time of the potential and its square, with reset and free, and of what is
    passed on.
    """

    def __init__(self) -> None:
        self.steps, self.sums, self.passed = 0, [torch.zeros(())] * 4, torch.zeros(())

    def add(self, neurons: Neurons) -> None:
        self.steps += 1
        terms = [
            term
            for u in (neurons.potential.double(), neurons.free.double())
            for term in (u, u.square())
        ]
        self.sums = [total + term for total, term in zip(self.sums, terms)]
        self.passed = self.passed + neurons.emitted(recurrent=False)

    def moments(self) -> Moments:
        mean, square, free_mean, free_square = (total / self.steps for total in self.sums)
        return Moments(*_variances(mean, square), *_variances(free_mean, free_square))


def _variances(mean: Tensor, square: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mean over samples, variance over time and variance across samples from means over time."""
    temporal = (square - mean**2).mean(0).clamp(min=0)
    return mean.mean(0), temporal, mean.var(0, correction=0)
