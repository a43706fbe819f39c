"""A network over a whole trial, differentiable."""

from __future__ import annotations

import torch
from torch import Tensor

from fdi.engine.reference.neurons import Neurons
from fdi.snn.activity import Activity, Moments
from fdi.snn.network import INPUT, Network

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
