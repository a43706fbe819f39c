"""The engine for a GPU: layer by layer, the products of all steps of a trial at once, and the scan
over time in a kernel where there is one. It has never run on CUDA hardware.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import TypeGuard

import numpy as np
import torch
from torch import Tensor

from fdi.data.inputs import Events, Input
from fdi.engine.checks import Computes, check_input, check_labels, check_neurons, check_wiring
from fdi.engine.cuda import fused, trust
from fdi.engine.cuda import layer as plain
from fdi.engine.cuda.kept import Kept, Listed, keep, listed, signal, size
from fdi.engine.cuda.layer import arrived_gradient, drive, integrate, integrate_gradient
from fdi.engine.cuda.memory import need, part
from fdi.engine.cuda.product import deliver, pool, source_gradient, unpool, weight_gradient
from fdi.engine.exact import exact
from fdi.engine.reference.engine import ReferenceEngine, score
from fdi.snn.activity import Activity
from fdi.snn.network import INPUT, Network
from fdi.snn.neuron import Neuron
from fdi.snn.objective import Objective
from fdi.snn.outcome import Outcome
from fdi.snn.population import Population
from fdi.snn.projection import Projection

COMPUTES = Computes(
    "cuda",
    kinds=(Neuron,),
    resets=("zero", "subtract"),
    surrogates=("superspike", "triangle", "sigmoid", "gaussian", "boxcar"),
    norms=True,
)


class CudaEngine:
    """A backward pass by hand, on the device and in the precision of the weights.

    `memory`: GiB of a training step, None for no limit; a batch that needs more is computed in
    parts, whose gradients are added in order. `kernels`: of Triton, where they compute a layer, if
    they prove right on the card ("auto"), unasked ("on"), or never ("off").
    """

    def __init__(self, memory: float | None = None, kernels: str = "auto") -> None:
        exact()
        self.memory, self.kernels = memory, kernels

    def check(self, network: Network) -> None:
        """ValueError, one line, if the engine does not compute this network."""
        check_neurons(network, COMPUTES)
        check_wiring(network, COMPUTES.engine)

    def plan(self, network: Network, steps: int, batch: int) -> list[str]:
        """How a training step is computed, in lines: its memory, and layers without a kernel.
        ValueError if a sample does not fit.
        """
        size = self._part(network, steps, batch)
        self._refuse_parts(network, size, batch)
        gib = need(network, steps) * size / 2**30
        lines = [f"{gib:.3g} GiB by count, in {math.ceil(batch / size)} parts of {size} samples"]
        for layer in network.layers:
            if why := _refusal(network, layer, self.kernels):
                lines.append(f"{' and '.join(p.name for p in layer)} in plain torch: {why}")
        return lines

    def keep(self, network: Network, splits: dict[str, Input]) -> tuple[dict[str, Kept], str]:
        """The splits on the device of the network, unless they take more than `memory`, and a line
        that says so.
        """
        lists = _listens(network, self.kernels)
        names = " and ".join(splits)
        gib = sum(size(inputs, lists) for inputs in splits.values()) / 2**30
        if self.memory is not None and gib > self.memory:
            why = f"{gib:.3g} GiB are more than engine.memory = {self.memory:g} GiB"
            return {}, f"{names} sent batch by batch: {why}"
        for inputs in splits.values():
            check_input(network, inputs)
        device = network.projections[0].weight.device
        kept = {name: keep(inputs, device, lists) for name, inputs in splits.items()}
        return kept, f"{names} kept on the device: {gib:.3g} GiB"

    def simulate(self, network: Network, inputs: Input, record: tuple[str, ...] = ()) -> Activity:
        """Readout and spike counts; anything to `record` is left to the reference engine, which
        keeps all traces.
        """
        if record:
            return ReferenceEngine().simulate(network, inputs, record)
        self.check(network)
        check_input(network, inputs)
        return forward(network, inputs, self.kernels).activity

    @torch.no_grad()
    def evaluate(
        self, network: Network, inputs: Input, labels: np.ndarray, objective: Objective
    ) -> Outcome:
        self.check(network)
        check_input(network, inputs)
        check_labels(network, inputs, labels)
        return reduce(
            add,
            (
                score(
                    forward(network, inputs[part], self.kernels).activity, labels[part], objective
                )[1]
                for part in self._parts(network, inputs)
            ),
        )

    def step(
        self, network: Network, inputs: Input, labels: np.ndarray, objective: Objective
    ) -> Outcome:
        self.check(network)
        check_input(network, inputs)
        check_labels(network, inputs, labels)
        network.zero_grad(set_to_none=True)
        batch = len(labels)
        self._refuse_parts(network, self._part(network, inputs.steps, batch), batch)
        outcome = reduce(
            add,
            (
                _step(network, inputs[part], labels[part], objective, batch, self.kernels)
                for part in self._parts(network, inputs)
            ),
        )
        for weight in network.parameters():
            if weight.grad is None:
                weight.grad = torch.zeros_like(weight)
        return outcome

    def _part(self, network: Network, steps: int, batch: int) -> int:
        return batch if self.memory is None else part(network, steps, batch, self.memory)

    def _refuse_parts(self, network: Network, size: int, batch: int) -> None:
        """ValueError where the statistics of a part would stand for those of the batch."""
        if size < batch and any(norm.kind != "layer" for norm in network.norms.values()):
            raise ValueError(
                f"model.norm takes its statistics over a batch, and {size} of {batch} samples fit "
                f"into engine.memory = {self.memory:g} GiB; raise it, lower trainer.batch_size, or "
                f"use model.norm=layer"
            )

    def _parts(self, network: Network, inputs: Input) -> list[slice]:
        size = self._part(network, inputs.steps, len(inputs))
        return [slice(i, i + size) for i in range(0, len(inputs), size)]


def _step(
    network: Network,
    inputs: Input,
    labels: np.ndarray,
    objective: Objective,
    batch: int,
    kernels: str,
) -> Outcome:
    """Adds the gradients of a part of a batch of `batch` samples."""
    trial = forward(network, inputs, kernels, keep=True)
    leaves = [x.requires_grad_() for x in (trial.activity.readout, *trial.activity.counts.values())]
    loss, outcome = score(trial.activity, labels, objective)
    if len(labels) < batch:
        loss = loss * (len(labels) / batch)
    d_readout, *d_counts = torch.autograd.grad(loss, leaves, materialize_grads=True)
    if inputs.steps > 2:  # else nothing that a weight delivers reaches the readout
        backward(network, trial, d_readout, dict(zip(trial.activity.counts, d_counts)))
    return outcome


@dataclass
class Trial:
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
def forward(network: Network, inputs: Input, kernels: str = "auto", keep: bool = False) -> Trial:
    """All layers from the input up; `keep` the traces for the backward pass."""
    steps, batch, like = inputs.steps, len(inputs), network.projections[0].weight
    seen: dict[str, Tensor | Listed] = {}
    if _has_events(inputs) and _listens(network, kernels):
        seen[INPUT] = listed(inputs, like.device)
    else:
        reaches = max(0, steps - 2)  # what arrives later reaches no readout
        seen[INPUT] = signal(inputs, like, network.input_shape)[:reaches]
    spikes: dict[str, Tensor] = {}
    potentials: dict[str, Tensor] = {}
    counts: dict[str, Tensor] = {}
    normed: dict[str, tuple[Tensor, Tensor]] = {}
    by_kernel = {
        p.name for each in _targets(network) if not _refusal(network, each, kernels) for p in each
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
        links, arrived = _recurrent(network, layer), {p.name: arriving(p) for p in layer}
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
    return Trial(seen, spikes, potentials, Activity(readout, counts), by_kernel, normed)


@torch.no_grad()
def backward(
    network: Network, trial: Trial, d_readout: Tensor, d_counts: dict[str, Tensor]
) -> None:
    """Adds to the gradient of every weight; the traces of a layer go when its adjoint is done."""
    d_seen: dict[str, Tensor] = {}

    def collect(population: Population, d_arrived: list[Tensor]) -> None:
        for projection in network.afferents(population.name):
            d, name = d_arrived[projection.channel], projection.source
            source = trial.spikes[name][:-2] if projection.recurrent else trial.seen[name]
            g = weight_gradient(projection, source, d, projection.target in trial.fused)
            projection.weight.grad = (
                g if projection.weight.grad is None else projection.weight.grad.add_(g)
            )
            if isinstance(source, Tensor) and not projection.recurrent and name != INPUT:
                shape = source.shape[2:]
                x = source_gradient(projection, shape, d.flatten(0, 1)).view(source.shape)
                d_seen[name] = d_seen[name].add_(x) if name in d_seen else x

    d_drive = integrate_gradient(network.readout, network.dt, d_readout)
    collect(network.readout, [arrived_gradient(network.readout, network.dt, 0, d_drive)])
    del d_drive
    for layer in reversed(network.layers):
        links, names = _recurrent(network, layer), [p.name for p in layer]
        heard = {
            p.name: unpool(p, trial.spikes[p.name][:-2], d_seen.pop(p.name))
            for p in layer
            if p.name in d_seen
        }
        u = {name: trial.potentials.pop(name) for name in names if name in trial.potentials}
        s, counts = {n: trial.spikes[n] for n in names}, {n: d_counts[n] for n in names}
        constant = trial.normed.keys().isdisjoint(names) and all(
            link.recurrent or (link.source == INPUT and _is_constant(trial.seen[INPUT]))
            for p in layer
            for link in network.afferents(p.name)
        )
        given = (layer, links, network.dt, u)
        if trial.fused.isdisjoint(names):
            d_arrived = plain.backward(*given, s, counts, heard, constant)
        else:
            d_arrived = fused.backward(*given, counts, heard, constant)
        del given, u, s, heard
        for p in layer:
            d = d_arrived.pop(p.name)
            if p.name in trial.normed:
                x, y = trial.normed.pop(p.name)
                y.backward(d[0])
                assert x.grad is not None  # y depends on x
                d = [x.grad]
            collect(p, d)
        for name in names:
            del trial.spikes[name]
            trial.seen.pop(name, None)


def _targets(network: Network) -> list[tuple[Population, ...]]:
    """All layers, and the readout, which is none."""
    return [*network.layers, (network.readout,)]


def _has_events(inputs: Input | Kept) -> TypeGuard[Events | Kept]:
    return inputs.lists is not None if isinstance(inputs, Kept) else isinstance(inputs, Events)


def _listens(network: Network, kernels: str) -> bool:
    """Whether all that hear the input hear events of it: no maps, and nothing in plain torch."""
    return not any(
        link.convolutional or _refusal(network, layer, kernels)
        for layer in _targets(network)
        for p in layer
        for link in network.afferents(p.name)
        if link.source == INPUT
    )


def _is_constant(seen: Tensor | Listed) -> bool:
    return isinstance(seen, Tensor) and len(seen) == 1


def _is_heard(network: Network, layer: tuple[Population, ...], name: str) -> bool:
    """Whether a layer above `layer` hears the source."""
    above = network.layers[network.layers.index(layer) + 1 :]
    targets = {network.readout.name, *(p.name for each in above for p in each)}
    return any(link.source == name and link.target in targets for link in network.projections)


def _refusal(network: Network, layer: tuple[Population, ...], kernels: str) -> str | None:
    """Why plain torch computes the layer; None if kernels do."""
    if kernels == "off":
        return "engine.kernels = off"
    links, weight = _recurrent(network, layer), network.projections[0].weight
    if why := fused.refusal(layer, links, weight):
        return why
    if kernels == "on" or not _tried(weight):
        return None
    cases = {trust.case(part, bool(links)) for part in ([layer] if links else zip(layer))}
    return next(filter(None, (trust.doubt(case, weight.device) for case in cases)), None)


def _tried(weight: Tensor) -> bool:
    """Whether kernels are tried before they are used: on a card, not in Triton's interpreter."""
    return weight.is_cuda


def _recurrent(network: Network, layer: tuple[Population, ...]) -> list[Projection]:
    return [
        projection
        for p in layer
        for projection in network.afferents(p.name)
        if projection.recurrent
    ]
