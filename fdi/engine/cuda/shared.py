"""What the kernels are given, for all kinds of layers."""

from __future__ import annotations

import torch
from torch import Tensor

from fdi.snn.neuron import Neuron
from fdi.snn.population import Population


def row(
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


def subtract(p: Population) -> bool:
    """Whether a spike takes off the threshold, or sets the potential to zero."""
    return p.neuron.reset == "subtract"


def constants(neuron: Neuron, dt: float, fourth: float) -> list[float]:
    """What the kernels take: beta_m, gain, theta, `fourth`, beta_s and sign of two channels."""
    beta_m, betas = neuron.decays(dt)
    pad = (0.0,) * (2 - len(betas))
    return [
        beta_m, 1 - beta_m, neuron.theta, fourth, *betas, *pad, *map(float, neuron.signs), *pad,
    ]  # fmt: skip
