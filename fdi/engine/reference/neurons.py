"""The state of a population during a trial, a step at a time."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import max_pool1d, max_pool2d

from fdi.snn.neuron import Constants
from fdi.snn.population import Population

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
