"""The engine for a GPU: layer by layer, the products of all steps of a trial at once; it was never
run on CUDA hardware, only on a CPU.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from fdi.inputs import Input
from fdi.snn.activity import Activity
from fdi.snn.engine.checks import Computes, check_input, check_labels, check_neurons
from fdi.snn.engine.cuda.layer import (
    adjoint,
    arrived_gradient,
    drive,
    integrate,
    integrate_gradient,
    scan,
)
from fdi.snn.engine.cuda.product import pool, source_gradient, unpool, weight_gradient
from fdi.snn.engine.cuda.signal import signal
from fdi.snn.engine.exact import exact
from fdi.snn.engine.reference import ReferenceEngine, score
from fdi.snn.network import INPUT, Network
from fdi.snn.neuron import Neuron
from fdi.snn.objective import Objective
from fdi.snn.outcome import Outcome
from fdi.snn.population import Population
from fdi.snn.projection import Projection

_COMPUTES = Computes("cuda", kinds=(Neuron,), resets=("zero",), surrogates=("superspike",))


class CudaEngine:
    """Plain torch with a backward pass by hand, on the device and in the precision of the
    weights.
    """

    def __init__(self) -> None:
        exact()

    def check(self, network: Network) -> None:
        """ValueError, one line, if the engine does not compute this network."""
        check_neurons(network, _COMPUTES)

    def simulate(self, network: Network, inputs: Input, record: tuple[str, ...] = ()) -> Activity:
        """Readout and spike counts; anything to `record` is left to the reference engine, which
        keeps all traces.
        """
        if record:
            return ReferenceEngine().simulate(network, inputs, record)
        check_input(network, inputs)
        return forward(network, inputs).activity

    @torch.no_grad()
    def evaluate(
        self, network: Network, inputs: Input, labels: np.ndarray, objective: Objective
    ) -> Outcome:
        check_input(network, inputs)
        check_labels(network, inputs, labels)
        return score(forward(network, inputs).activity, labels, objective)[1]

    def step(
        self, network: Network, inputs: Input, labels: np.ndarray, objective: Objective
    ) -> Outcome:
        check_input(network, inputs)
        check_labels(network, inputs, labels)
        network.zero_grad(set_to_none=True)
        trial = forward(network, inputs, keep=True)
        leaves = [
            x.requires_grad_() for x in (trial.activity.readout, *trial.activity.counts.values())
        ]
        loss, outcome = score(trial.activity, labels, objective)
        d_readout, *d_counts = torch.autograd.grad(loss, leaves, materialize_grads=True)
        if inputs.steps > 2:  # else nothing that a weight delivers reaches the readout
            backward(network, trial, d_readout, dict(zip(trial.activity.counts, d_counts)))
        for weight in network.parameters():
            if weight.grad is None:
                weight.grad = torch.zeros_like(weight)
        return outcome


@dataclass
class Trial:
    """What the backward pass needs, by population name.

    `seen`: what feed-forward targets see of a source, [T - 2, B, *pooled shape], or [1, B, *shape]
    of a constant input.
    `spikes` [T, B, *shape]: truth values. `potentials` [T + 1, B, *shape], if they are kept.
    """

    seen: dict[str, Tensor]
    spikes: dict[str, Tensor]
    potentials: dict[str, Tensor]
    activity: Activity


@torch.no_grad()
def forward(network: Network, inputs: Input, keep: bool = False) -> Trial:
    """All layers from the input up; `keep` the potentials for the backward pass."""
    check_neurons(network, _COMPUTES)
    x, steps, batch = signal(network, inputs), inputs.steps, len(inputs)
    like = network.projections[0].weight
    seen, spikes, potentials = (
        {INPUT: x[: max(0, steps - 2)]},
        {},
        {},
    )  # what is emitted in the last two steps reaches no readout

    def driven(population: Population) -> Tensor:
        arrived: list[Tensor | None] = [None] * len(population.neuron.tau_syn)
        for projection in network.afferents(population.name) if steps > 2 else ():
            if not projection.recurrent:
                source = seen[projection.source]
                delivered = projection(source.flatten(0, 1).to(like.dtype)).unflatten(
                    0, source.shape[:2]
                )
                before = arrived[projection.channel]
                arrived[projection.channel] = delivered if before is None else before + delivered
        return drive(population, network.dt, steps, arrived, batch, like)

    for layer in network.layers:
        u = {p.name: driven(p) for p in layer}
        spikes |= scan(layer, _recurrent(network, layer), network.dt, u)
        if steps > 2:
            seen |= {p.name: pool(p, spikes[p.name][:-2], like.dtype) for p in layer}
        potentials |= u if keep else {}
    readout = integrate(network.readout, network.dt, driven(network.readout))
    counts = {name: s.sum(0, dtype=like.dtype) for name, s in spikes.items()}
    return Trial(seen, spikes, potentials, Activity(readout, counts))


@torch.no_grad()
def backward(
    network: Network, trial: Trial, d_readout: Tensor, d_counts: dict[str, Tensor]
) -> None:
    """Sets the gradient of every weight; the potentials of the trial are used up."""
    d_seen: dict[str, Tensor] = {}

    def collect(population: Population, d_drive: Tensor) -> None:
        d_arrived: dict[int, Tensor] = {}
        for projection in network.afferents(population.name):
            c, name = projection.channel, projection.source
            if c not in d_arrived:
                d_arrived[c] = arrived_gradient(population, network.dt, c, d_drive)
            d, source = (
                d_arrived[c],
                trial.spikes[name][:-2] if projection.recurrent else trial.seen[name],
            )
            flat = (d if len(source) == len(d) else d.sum(0, keepdim=True)).flatten(0, 1)
            projection.weight.grad = weight_gradient(
                projection, source.flatten(0, 1).to(d.dtype), flat
            )
            if not projection.recurrent and name != INPUT:
                x = source_gradient(projection, source.shape[2:], flat).view(source.shape)
                d_seen[name] = d_seen[name].add_(x) if name in d_seen else x

    collect(network.readout, integrate_gradient(network.readout, network.dt, d_readout))
    for layer in reversed(network.layers):
        g = {p.name: torch.zeros_like(trial.potentials[p.name]) for p in layer}
        for p in layer:
            g[p.name][:-1] += d_counts[p.name]
            if p.name in d_seen:
                g[p.name][:-3] += unpool(p, trial.spikes[p.name][:-2], d_seen.pop(p.name))
        d_drive = adjoint(
            layer, _recurrent(network, layer), network.dt, trial.potentials, trial.spikes, g
        )
        for p in layer:
            collect(p, d_drive[p.name])


def _recurrent(network: Network, layer: tuple[Population, ...]) -> list[Projection]:
    return [
        projection
        for p in layer
        for projection in network.afferents(p.name)
        if projection.recurrent
    ]
