"""All layers of a network over a whole trial: forward, and backward by hand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeGuard

import torch
from torch import Tensor

from fdi.data.inputs import Events
from fdi.engine.cuda import fused
from fdi.engine.cuda import layer as plain
from fdi.engine.cuda.choice import hears_events, layers_and_readout, recurrent, refusal
from fdi.engine.cuda.kept import Given, Kept, Listed, as_tensor, listed
from fdi.engine.cuda.layer import arrived_gradient, drive, integrate, integrate_gradient
from fdi.engine.cuda.product import deliver, pool, source_gradient, unpool, weight_gradient
from fdi.snn.network import INPUT, Activity, Network
from fdi.snn.neuron import Population


@dataclass
class Tape:
    """What the backward pass needs, by population name.

    `seen`: what feed-forward targets see of a source, [T - 2, B, *pooled shape], or [1, B, *shape]
    of a constant input, or events of the input. `spikes` [T, B, *shape]: truth values.
    `potentials`: of fused.py or of layer.py, whichever computed the layer; `fused`: those of the
    first, and the readout if it may be delivered to by kernels. `normed`: what arrives before and
    behind normalization, [T - 2, B, *shape], for autograd.
    """

    seen: dict[str, Tensor | Listed]
    spikes: dict[str, Tensor]
    potentials: dict[str, Tensor]
    activity: Activity
    fused: set[str]
    normed: dict[str, tuple[Tensor, Tensor]]


@torch.no_grad()
def forward(network: Network, inputs: Given, kernels: str = "auto", keep: bool = False) -> Tape:
    """All layers from the input up; `keep` the traces for the backward pass."""
    steps, batch, like = inputs.steps, len(inputs), network.projections[0].weight
    seen: dict[str, Tensor | Listed] = {INPUT: _seen_input(network, inputs, kernels, like)}
    spikes: dict[str, Tensor] = {}
    potentials: dict[str, Tensor] = {}
    counts: dict[str, Tensor] = {}
    normed: dict[str, tuple[Tensor, Tensor]] = {}
    by_kernel = {
        p.name
        for each in layers_and_readout(network)
        if not refusal(network, each, kernels)
        for p in each
    }

    def arriving(population: Population) -> list[Tensor | None]:
        arrived: list[Tensor | None] = [None] * len(population.neuron.tau_syn)
        for projection in network.afferents(population.name) if steps > 2 else ():
            if not projection.recurrent:
                by = projection.target in by_kernel
                delivered = deliver(projection, seen[projection.source], by)
                before = arrived[projection.channel]
                arrived[projection.channel] = delivered if before is None else before + delivered
        heard = arrived[0]
        if heard is None or population.name not in network.norms:
            return arrived
        with torch.set_grad_enabled(keep):
            x = heard.expand(steps - 2, *heard.shape[1:]).requires_grad_(keep)
            y = network.norms[population.name](x, learn=keep)
        if keep:
            normed[population.name] = (x, y)
        return [y.detach()]

    for layer in network.layers:
        links, arrived = recurrent(network, layer), {p.name: arriving(p) for p in layer}
        given = (layer, links, network.dt, steps, batch, arrived, like)
        if layer[0].name in by_kernel:
            u, s, n = fused.forward(*given, keep)
        else:
            u, s, n = plain.forward(*given)
        del given, arrived
        counts |= n
        if steps > 2:
            seen |= {p.name: pool(p, s[p.name][:-2]) for p in layer}
        if keep:
            potentials |= u
            spikes |= s
        else:
            seen = {name: x for name, x in seen.items() if _is_heard(network, layer, name)}
        del u, s
    top, dt = network.readout, network.dt
    readout = integrate(top, dt, drive(top, dt, steps, arriving(top), batch, like))
    return Tape(seen, spikes, potentials, Activity(readout, counts), by_kernel, normed)


@torch.no_grad()
def backward(network: Network, tape: Tape, d_readout: Tensor, d_counts: dict[str, Tensor]) -> None:
    """Adds to the gradient of every weight; the traces of a layer go when its adjoint is done."""
    d_seen: dict[str, Tensor] = {}

    def collect(population: Population, d_arrived: list[Tensor]) -> None:
        for projection in network.afferents(population.name):
            d, name = d_arrived[projection.channel], projection.source
            source = tape.spikes[name][:-2] if projection.recurrent else tape.seen[name]
            g = weight_gradient(projection, source, d, projection.target in tape.fused)
            projection.weight.grad = (
                g if projection.weight.grad is None else projection.weight.grad.add_(g)
            )
            if isinstance(source, Tensor) and not projection.recurrent and name != INPUT:
                shape = source.shape[2:]
                x = source_gradient(projection, shape, d.flatten(0, 1)).view(source.shape)
                d_seen[name] = d_seen[name].add_(x) if name in d_seen else x

    same = isinstance(tape.seen[INPUT], Tensor) and len(tape.seen[INPUT]) == 1  # in every step
    d_drive = integrate_gradient(network.readout, network.dt, d_readout)
    collect(network.readout, [arrived_gradient(network.readout, network.dt, 0, d_drive)])
    del d_drive
    for layer in reversed(network.layers):
        links, names = recurrent(network, layer), [p.name for p in layer]
        heard = {
            p.name: unpool(p, tape.spikes[p.name][:-2], d_seen.pop(p.name))
            for p in layer
            if p.name in d_seen
        }
        u = {name: tape.potentials.pop(name) for name in names if name in tape.potentials}
        s, counts = {n: tape.spikes[n] for n in names}, {n: d_counts[n] for n in names}
        constant = tape.normed.keys().isdisjoint(names) and all(
            link.recurrent or (link.source == INPUT and same)
            for p in layer
            for link in network.afferents(p.name)
        )
        given = (layer, links, network.dt, u)
        if tape.fused.isdisjoint(names):
            d_arrived = plain.backward(*given, s, counts, heard, constant)
        else:
            d_arrived = fused.backward(*given, counts, heard, constant)
        del given, u, s, heard
        for p in layer:
            d = d_arrived.pop(p.name)
            if p.name in tape.normed:
                x, y = tape.normed.pop(p.name)
                y.backward(d[0])
                assert x.grad is not None  # y depends on x
                d = [x.grad]
            collect(p, d)
        for name in names:
            del tape.spikes[name]
            tape.seen.pop(name, None)


def _seen_input(network: Network, inputs: Given, kernels: str, like: Tensor) -> Tensor | Listed:
    if _has_events(inputs) and hears_events(network, kernels):
        return listed(inputs, like.device)
    reaches = max(0, inputs.steps - 2)  # what arrives later reaches no readout
    return as_tensor(inputs, like, network.input_shape)[:reaches]


def _has_events(inputs: Given) -> TypeGuard[Events | Kept]:
    return inputs.lists is not None if isinstance(inputs, Kept) else isinstance(inputs, Events)


def _is_heard(network: Network, layer: tuple[Population, ...], name: str) -> bool:
    """Whether a layer above `layer` hears the source."""
    above = network.layers[network.layers.index(layer) + 1 :]
    targets = {network.readout.name, *(p.name for each in above for p in each)}
    return any(link.source == name and link.target in targets for link in network.projections)
