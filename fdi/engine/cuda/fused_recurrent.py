"""fused.py for a layer with recurrent projections: its populations, which share their neuron, are
one tensor [T, B, N].
"""

from __future__ import annotations

from itertools import accumulate

import torch
from torch import Tensor

from fdi.engine.cuda.shared import constants, row, subtract
from fdi.snn.population import Population
from fdi.snn.projection import Projection


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
    """As fused.forward; all potentials go under the name of the first population."""
    from fdi.engine.cuda.kernels import launch

    first, sizes = layer[0], [p.units for p in layer]
    rows = [row(layer, arrived, c, steps, batch, like) for c in range(len(first.neuron.tau_syn))]
    longest = max(map(len, rows))
    x = torch.stack([each.expand(longest, *each.shape[1:]) for each in rows])
    u_TBN, s_TBN, n_BN = launch.recur_forward(
        x, _weights(layer, links), steps, constants(first.neuron, dt, first.neuron.u_init),
        subtract(first), keep,
    )  # fmt: skip
    spikes, counts = {}, {}
    for p, s, n in zip(layer, s_TBN.split(sizes, 2), n_BN.split(sizes, 1)):
        spikes[p.name] = s.contiguous().view(steps, batch, *p.shape)
        counts[p.name] = n.reshape(batch, *p.shape)
    return {first.name: u_TBN}, spikes, counts


def backward(
    layer: tuple[Population, ...],
    links: list[Projection],
    dt: float,
    u: dict[str, Tensor],
    d_counts: dict[str, Tensor],
    d_seen: dict[str, Tensor],
) -> dict[str, list[Tensor]]:
    """As fused.backward; gX_c are never summed over time."""
    from fdi.engine.cuda.kernels import launch

    first, sizes = layer[0], [p.units for p in layer]
    u_TBN = u[first.name]
    steps, batch, _ = u_TBN.shape
    counts = torch.cat([d_counts[p.name].flatten(1) for p in layer], 1)
    seen = None
    if any(p.name in d_seen for p in layer):
        nothing = u_TBN.new_zeros(steps - 2, batch, 1)
        parts = [
            d_seen[p.name].flatten(2) if p.name in d_seen else nothing.expand(-1, -1, p.units)
            for p in layer
        ]
        seen = torch.cat(parts, 2)
    d_x = launch.recur_backward(
        u_TBN, _weights(layer, links), counts, seen, constants(first.neuron, dt, first.neuron.beta),
        subtract(first), first.neuron.surrogate,
    )  # fmt: skip
    return {
        p.name: [x.reshape(*x.shape[:2], *p.shape) for x in part]
        for p, part in zip(layer, d_x.split(sizes, 3))
    }


def _weights(layer: tuple[Population, ...], links: list[Projection]) -> Tensor:
    """[C, N, N], source first."""
    ends = list(accumulate(p.units for p in layer))
    at = {p.name: slice(end - p.units, end) for p, end in zip(layer, ends)}
    w = links[0].weight.new_zeros(len(layer[0].neuron.tau_syn), ends[-1], ends[-1])
    for link in links:
        w[link.channel, at[link.source], at[link.target]] += link.weight.T
    return w
