"""The equations of one layer over a whole trial in plain torch, forward and adjoint (the reset is
detached); for layers that no kernel of fused.py computes, and for readouts.

Input X_c[s] reaches the potential through a fixed filter in time, which is one matrix product for
all steps s and t:

    D[t] = sum_c sum_s A_c[t, s] X_c[s],
    A_c[t, s] = (1 - beta_m) sign_c beta_s,c^(t - s - 2) for s <= t - 2
    U[t+1] = (beta_m U[t] + D[t]) (1 - S[t]),   or beta_m (U[t] - theta S[t]) + D[t]
    gU[t] = gS[t] dS/dU[t] + beta_m gD[t],   gD[t] = (1 - S[t]) gU[t+1],   or gU[t+1]
    gX_c[s] = sum_t A_c[t, s] gD[t]

so only the reset is left to a loop over time, and the currents of recurrent projections. What
arrives in the last two steps has no effect.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import groupby
from operator import attrgetter

import torch
from torch import Tensor

from fdi.engine.cuda.product import source_gradient
from fdi.snn.network import Projection
from fdi.snn.neuron import Population
from fdi.snn.surrogate import SURROGATES


def filters(population: Population, dt: float) -> list[tuple[float, float]]:
    """(beta_s, gain (1 - beta_m) sign) of each channel."""
    beta_m, betas = population.neuron.decays(dt)
    return [(beta, (1 - beta_m) * sign) for beta, sign in zip(betas, population.neuron.signs)]


@lru_cache(maxsize=16)
def powers(beta: float, delay: int, steps: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """beta^(t - s - delay) for s <= t - delay, else 0, [T, T - delay]."""
    t = torch.arange(steps, dtype=torch.float64)
    lag = t[:, None] - t[: steps - delay] - delay
    return (beta ** lag.clamp(min=0)).tril(-delay).to(device, dtype)


def drive(
    population: Population,
    dt: float,
    steps: int,
    arrived: list[Tensor | None],
    batch: int,
    like: Tensor,
) -> Tensor:
    """[T + 1, B, *shape]: u_init, then D[t]; `arrived[c]` is X_c, [T - 2, B, *shape], or [1, B,
    *shape] if it is the same in every step.
    """
    u = like.new_zeros(steps + 1, batch, *population.shape)
    u[0] = population.neuron.u_init
    for x, (beta, gain) in zip(arrived, filters(population, dt)):
        if x is not None:
            a = powers(beta, 2, steps, like.dtype, like.device)
            u[1:].view(steps, -1).addmm_(
                a if len(x) == steps - 2 else a.sum(1, keepdim=True), x.flatten(1), alpha=gain
            )
    return u


def arrived_gradient(population: Population, dt: float, channel: int, d_TBN: Tensor) -> Tensor:
    """gX_c [T - 2, B, *shape] for gD [T, B, *shape]."""
    beta, gain = filters(population, dt)[channel]
    x = powers(beta, 2, len(d_TBN), d_TBN.dtype, d_TBN.device).T @ d_TBN.flatten(1)
    return x.mul_(gain).view(-1, *d_TBN.shape[1:])


def integrate(readout: Population, dt: float, u: Tensor) -> Tensor:
    """U[t+1] of a population without reset, [T, B, *shape], for what `drive` returns."""
    beta_m, _ = readout.neuron.decays(dt)
    u[1] += beta_m * u[0]
    return (powers(beta_m, 0, len(u) - 1, u.dtype, u.device) @ u[1:].flatten(1)).view_as(u[1:])


def integrate_gradient(readout: Population, dt: float, d_TBN: Tensor) -> Tensor:
    """gD of a population without reset for the gradient of its potential after each step."""
    beta_m, _ = readout.neuron.decays(dt)
    return (powers(beta_m, 0, len(d_TBN), d_TBN.dtype, d_TBN.device).T @ d_TBN.flatten(1)).view_as(
        d_TBN
    )


def by_channel(links: list[Projection]) -> list[tuple[tuple[str, int], list[Projection]]]:
    """Recurrent projections that arrive at the same (target, channel)."""
    key = attrgetter("target", "channel")
    return [(k, list(group)) for k, group in groupby(sorted(links, key=key), key)]


def forward(
    layer: tuple[Population, ...],
    links: list[Projection],
    dt: float,
    steps: int,
    batch: int,
    arrived: dict[str, list[Tensor | None]],
    like: Tensor,
) -> tuple[dict[str, Tensor], dict[str, Tensor], dict[str, Tensor]]:
    """(potentials [T + 1, B, *shape], spikes [T, B, *shape], counts [B, *shape]) of each
    population, for what arrives from below.
    """
    u = {p.name: drive(p, dt, steps, arrived[p.name], batch, like) for p in layer}
    spikes = scan(layer, links, dt, u)
    return u, spikes, {name: s.sum(0, dtype=like.dtype) for name, s in spikes.items()}


def backward(
    layer: tuple[Population, ...],
    links: list[Projection],
    dt: float,
    u: dict[str, Tensor],
    spikes: dict[str, Tensor],
    d_counts: dict[str, Tensor],
    d_seen: dict[str, Tensor],
    constant: bool,
) -> dict[str, list[Tensor]]:
    """gX_c [T - 2, B, *shape], or with `constant` and without `links` their sums over time
    [1, B, *shape], of each population; `u` is used up.
    """
    g = {}
    for p in layer:
        g[p.name] = torch.zeros_like(u[p.name])
        g[p.name][:-1] += d_counts[p.name]
        if p.name in d_seen:
            g[p.name][:-3] += d_seen[p.name]
    d_drive = adjoint(layer, links, dt, u, spikes, g)
    d_arrived = {}
    for p in layer:
        d = d_drive.pop(p.name)
        d_x = [arrived_gradient(p, dt, c, d) for c in range(len(p.neuron.tau_syn))]
        summed = constant and not links
        d_arrived[p.name] = [x.sum(0, keepdim=True) for x in d_x] if summed else d_x
    return d_arrived


def scan(
    layer: tuple[Population, ...], links: list[Projection], dt: float, u: dict[str, Tensor]
) -> dict[str, Tensor]:
    """Spikes [T, B, *shape], truth values; `u` is what `drive` returns for each population and
    becomes the potentials, in place.
    """
    populations = {p.name: p for p in layer}
    spikes = {name: torch.empty_like(u[name][1:], dtype=torch.bool) for name in populations}
    channels = [(key, group, torch.zeros_like(u[key[0]][0])) for key, group in by_channel(links)]
    for t in range(len(u[layer[0].name]) - 1):
        for (target, channel), group, current in channels if t >= 2 else ():
            beta, gain = filters(populations[target], dt)[channel]
            current.mul_(beta)
            for link in group:
                current += link(spikes[link.source][t - 2].to(current.dtype))
            u[target][t + 1].add_(current, alpha=gain)
        for name, p in populations.items():
            beta_m, _ = p.neuron.decays(dt)
            torch.gt(u[name][t], p.neuron.theta, out=spikes[name][t])
            u[name][t + 1].add_(u[name][t], alpha=beta_m)
            if p.neuron.reset == "zero":
                u[name][t + 1].masked_fill_(spikes[name][t], 0)
            else:
                down = spikes[name][t].to(u[name].dtype)
                u[name][t + 1].sub_(down, alpha=beta_m * p.neuron.theta)
    return spikes


def adjoint(
    layer: tuple[Population, ...],
    links: list[Projection],
    dt: float,
    u: dict[str, Tensor],
    spikes: dict[str, Tensor],
    g: dict[str, Tensor],
) -> dict[str, Tensor]:
    """gD [T, B, *shape] of each population.

    `g` [T + 1, B, *shape] is gS, with zeros in row T, and becomes gU; `u`, the potentials, becomes
    the surrogate derivative.
    """
    populations = {p.name: p for p in layer}
    alive = {}
    for name, p in populations.items():
        alive[name] = (
            spikes[name].logical_not().to(u[name].dtype)
            if p.neuron.reset == "zero"
            else torch.ones_like(u[name][1:])
        )
        u[name].copy_(SURROGATES[p.neuron.surrogate](u[name].sub_(p.neuron.theta), p.neuron.beta))
        g[name] *= u[name]
    channels = [(key, group, torch.zeros_like(g[key[0]][0])) for key, group in by_channel(links)]
    steps = len(alive[layer[0].name])
    for t in range(steps - 1, 0, -1):
        for (target, channel), group, current in channels if t + 2 < steps else ():
            beta, gain = filters(populations[target], dt)[channel]
            current.mul_(beta).addcmul_(alive[target][t + 2], g[target][t + 3], value=gain)
            for link in group:
                g[link.source][t].addcmul_(
                    u[link.source][t],
                    source_gradient(link, populations[link.source].shape, current),
                )
        for name, p in populations.items():
            g[name][t].addcmul_(alive[name][t], g[name][t + 1], value=p.neuron.decays(dt)[0])
    return {name: a.mul_(g[name][1:]) for name, a in alive.items()}
