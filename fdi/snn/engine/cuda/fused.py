"""A layer over a whole trial in one launch forward and one back; the interface of layer.py."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec

import torch
from torch import Tensor

from fdi.snn.neuron import Neuron
from fdi.snn.population import Population
from fdi.snn.projection import Projection

WIDEST = 256  # units of a recurrent layer: a program holds all of them


def refusal(layer: tuple[Population, ...], links: list[Projection], weight: Tensor) -> str | None:
    """Why the kernels do not compute this layer; None if they do."""
    kinds = {p.neuron for p in layer}
    if why := _nowhere(weight.device):
        return why
    if weight.dtype != torch.float32:
        return "the kernels are for float32"
    if any(len(neuron.tau_syn) > 2 for neuron in kinds):
        return "the kernels know two synaptic channels"
    if any(link.convolutional for link in links):
        return "its recurrent projections are convolutions"
    if links and len(kinds) > 1:
        return "its populations have different neurons"
    if links and sum(p.units for p in layer) > WIDEST:
        return f"it has more than {WIDEST} recurrent units"
    return None


@cache
def _nowhere(device: torch.device) -> str | None:
    if find_spec("triton") is None:
        return "triton is not installed (pip install 'fdi-snn[gpu]', on Linux)"
    from triton import knobs

    if device.type != "cuda" and not knobs.runtime.interpret:
        return "the kernels need a GPU"
    if device.type == "cuda" and torch.cuda.get_device_capability(device) < (8, 0):
        return "the kernels were compiled for GPUs from sm_80 on only"
    return None


def forward(
    layer: tuple[Population, ...],
    links: list[Projection],
    dt: float,
    steps: int,
    batch: int,
    arrived: dict[str, list[Tensor | None]],
    like: Tensor,
    keep: bool,
) -> tuple[dict[str, Tensor], dict[str, Tensor], dict[str, Tensor]]:
    """(potentials that spike in each step, spikes, counts) of each population, [T, B, *shape] and
    [B, *shape]. The potentials of a recurrent layer are one tensor [T, B, N] under the name of its
    first population; without `keep` there are none.
    """
    from fdi.snn.engine.cuda.kernels import launch

    u, spikes, counts = {}, {}, {}
    if links:
        first, sizes = layer[0], [p.units for p in layer]
        x = [_row(layer, arrived, c, steps, batch, like) for c in range(len(first.neuron.tau_syn))]
        given = max(len(row) for row in x)
        x = torch.stack([row.expand(given, *row.shape[1:]) for row in x])
        constants, w = _constants(first.neuron, dt, first.neuron.u_init), _weights(layer, links)
        u_TBN, s_TBN, n_BN = launch.recur_forward(x, w, steps, constants, _subtract(first), keep)
        u[first.name] = u_TBN
        parts = zip(layer, s_TBN.split(sizes, 2), n_BN.split(sizes, 1))
        for p, s, n in parts:
            spikes[p.name], counts[p.name] = s.contiguous(), n.contiguous()
        return u, spikes, counts
    for p in layer:
        x = [_row((p,), arrived, c, steps, batch, like) for c in range(len(p.neuron.tau_syn))]
        x = x[0][None] if len(x) == 1 else torch.stack(torch.broadcast_tensors(*x))
        constants = _constants(p.neuron, dt, p.neuron.u_init)
        found = launch.scan_forward(x.flatten(2).contiguous(), steps, constants, _subtract(p), keep)
        u[p.name], spikes[p.name] = (y.view(len(y), batch, *p.shape) for y in found[:2])
        counts[p.name] = found[2].view(batch, *p.shape)
    return u, spikes, counts


def backward(
    layer: tuple[Population, ...],
    links: list[Projection],
    dt: float,
    u: dict[str, Tensor],
    d_counts: dict[str, Tensor],
    d_seen: dict[str, Tensor],
    constant: bool,
) -> dict[str, list[Tensor]]:
    """gX_c [T - 2, B, *shape], or with `constant` their sums over time [1, B, *shape], of each
    population; a recurrent layer's are never summed.
    """
    from fdi.snn.engine.cuda.kernels import launch

    found: dict[str, list[Tensor]] = {}
    if links:
        first, sizes = layer[0], [p.units for p in layer]
        u_TBN = u[first.name]
        steps, batch, _ = u_TBN.shape
        counts = torch.cat([d_counts[p.name].flatten(1) for p in layer], 1)
        seen = None
        if any(p.name in d_seen for p in layer):
            nothing = u_TBN.new_zeros(steps - 2, batch, 1)
            seen = torch.cat(
                [
                    d_seen[p.name].flatten(2)
                    if p.name in d_seen
                    else nothing.expand(-1, -1, p.units)
                    for p in layer
                ],
                2,
            )
        d_x = launch.recur_backward(
            u_TBN, _weights(layer, links), counts, seen,
            _constants(first.neuron, dt, first.neuron.beta), _subtract(first),
            first.neuron.surrogate,
        )  # fmt: skip
        for p, part in zip(layer, d_x.split(sizes, 3)):
            found[p.name] = [x.reshape(*x.shape[:2], *p.shape) for x in part]
        return found
    for p in layer:
        steps, batch = u[p.name].shape[:2]
        seen = d_seen.get(p.name)
        d_x = launch.scan_backward(
            u[p.name].flatten(1), d_counts[p.name].flatten().contiguous(),
            None if seen is None else seen.flatten(1).contiguous(), 1 if constant else steps - 2,
            len(p.neuron.tau_syn), _constants(p.neuron, dt, p.neuron.beta), _subtract(p),
            p.neuron.surrogate,
        )  # fmt: skip
        found[p.name] = [x.view(len(x), batch, *p.shape) for x in d_x]
    return found


def _row(
    layer: tuple[Population, ...],
    arrived: dict[str, list[Tensor | None]],
    channel: int,
    steps: int,
    batch: int,
    like: Tensor,
) -> Tensor:
    """X_c of all units, [T - 2 or 1, B, N]; zeros where nothing arrives."""
    parts = [arrived[p.name][channel] for p in layer]
    given = max((len(x) for x in parts if x is not None), default=min(1, max(0, steps - 2)))
    flat = [
        like.new_zeros(given, batch, p.units) if x is None else x.flatten(2).expand(given, -1, -1)
        for p, x in zip(layer, parts)
    ]
    return flat[0] if len(flat) == 1 else torch.cat(flat, 2)


def _weights(layer: tuple[Population, ...], links: list[Projection]) -> Tensor:
    """[C, N, N], source first."""
    at, total = {}, 0
    for p in layer:
        at[p.name] = slice(total, total + p.units)
        total += p.units
    like = links[0].weight.detach()
    w = like.new_zeros(len(layer[0].neuron.tau_syn), total, total)
    for link in links:
        w[link.channel, at[link.source], at[link.target]] += link.weight.detach().T
    return w


def _subtract(p: Population) -> bool:
    return p.neuron.reset == "subtract"


def _constants(neuron: Neuron, dt: float, fourth: float) -> list[float]:
    """What the kernels take: beta_m, gain, theta, `fourth`, beta_s and sign of two channels."""
    beta_m, betas = neuron.decays(dt)
    pad = (0.0,) * (2 - len(betas))
    return [
        beta_m, 1 - beta_m, neuron.theta, fourth, *betas, *pad, *map(float, neuron.signs), *pad,
    ]  # fmt: skip
