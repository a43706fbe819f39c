"""A layer over a whole trial in one launch forward and one back; the interface of layer.py."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from itertools import accumulate

import torch
from torch import Tensor

from fdi.snn.network import Projection
from fdi.snn.neuron import Neuron, Population

OLDEST = (3, 5)  # triton whose products take two rows
WIDEST = 256  # units of a recurrent layer: a program holds all of them


def refusal(
    layer: tuple[Population, ...],
    links: list[Projection],
    dtype: torch.dtype,
    device: torch.device,
) -> str | None:
    """Why the kernels do not compute this layer; None if they do."""
    kinds = {p.neuron for p in layer}
    if why := nowhere(device):
        return why
    if dtype != torch.float32:
        return "the kernels are for float32"
    if any(len(neuron.tau_syn) > 2 for neuron in kinds):
        return "the kernels know two synaptic channels"
    if links and len(kinds) > 1:
        return "its populations have different neurons"
    if any(link.convolutional for link in links):
        return "no kernel computes recurrent convolutions"
    if links and sum(p.units for p in layer) > WIDEST:
        return f"it has more than {WIDEST} recurrent units"
    return None


@cache
def lacking() -> str | None:
    """Why no kernel can be built on this machine, for any device; None if one can."""
    if find_spec("triton") is None:
        return "triton is not installed (pip install 'fdi-snn[gpu]', on Linux)"
    import triton

    if tuple(map(int, triton.__version__.split(".")[:2])) < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        return f"the kernels need triton {oldest}, not {triton.__version__}; torch 2.9 brings it"
    return None


@cache
def nowhere(device: torch.device) -> str | None:
    """Why no kernel runs on `device`; None if they do."""
    if torch.version.hip:
        return "the kernels are for GPUs of NVIDIA"
    if why := lacking():
        return why
    import triton

    if device.type != "cuda" and not triton.knobs.runtime.interpret:
        return "the kernels need a GPU"
    if device.type == "cuda" and torch.cuda.get_device_capability(device) < (7, 5):
        return "the kernels were compiled for GPUs from sm_75 on only"
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
    """(potentials that spike in each step [T, B, N], spikes [T, B, *shape], counts [B, *shape]) of
    each population. The potentials of a recurrent layer are one tensor under the name of its first
    population; without `keep` there are none.
    """
    from fdi.engine.cuda.kernels import launch

    u, spikes, counts = {}, {}, {}
    for group in _groups(layer, links):
        neuron, sizes = group[0].neuron, [p.units for p in group]
        rows = [_row(group, arrived, c, steps, batch, like) for c in range(len(neuron.tau_syn))]
        x = rows[0][None] if len(rows) == 1 else torch.stack(torch.broadcast_tensors(*rows))
        u[group[0].name], s, n = launch.forward(
            x.contiguous(), _weights(group, links), steps, _constants(neuron, dt, neuron.u_init),
            neuron.reset == "subtract", keep,
        )  # fmt: skip
        for p, s_TBN, n_BN in zip(group, s.split(sizes, 2), n.split(sizes, 1)):
            spikes[p.name] = s_TBN.contiguous().view(steps, batch, *p.shape)
            counts[p.name] = n_BN.reshape(batch, *p.shape)
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
    from fdi.engine.cuda.kernels import launch

    d_arrived: dict[str, list[Tensor]] = {}
    for group in _groups(layer, links):
        neuron, u_TBN = group[0].neuron, u[group[0].name]
        steps, batch, _ = u_TBN.shape
        seen = None
        if any(p.name in d_seen for p in group):
            nothing = u_TBN.new_zeros(1)
            seen = _beside(
                [
                    d_seen.get(p.name, nothing.expand(steps - 2, batch, p.units)).flatten(2)
                    for p in group
                ]
            )
        d_x = launch.backward(
            u_TBN, _weights(group, links), _beside([d_counts[p.name].flatten(1) for p in group]),
            seen, 1 if constant and not links else max(0, steps - 2), len(neuron.tau_syn),
            _constants(neuron, dt, neuron.beta), neuron.reset == "subtract", neuron.surrogate,
        )  # fmt: skip
        for p, own in zip(group, d_x.split([p.units for p in group], 3)):
            d_arrived[p.name] = [x.reshape(*x.shape[:2], *p.shape) for x in own]
    return d_arrived


def _groups(layer: tuple[Population, ...], links: list[Projection]) -> list[tuple[Population, ...]]:
    """What a launch computes: the populations of a recurrent layer, which share their neuron, as
    one tensor [T, B, N], others one by one.
    """
    return [layer] if links else [(p,) for p in layer]


def _beside(parts: list[Tensor]) -> Tensor:
    return parts[0].contiguous() if len(parts) == 1 else torch.cat(parts, -1)


def _row(
    group: tuple[Population, ...],
    arrived: dict[str, list[Tensor | None]],
    channel: int,
    steps: int,
    batch: int,
    like: Tensor,
) -> Tensor:
    """X_c of all units, [T - 2 or 1, B, N]; zeros where nothing arrives."""
    parts = [arrived[p.name][channel] for p in group]
    given = max((len(x) for x in parts if x is not None), default=min(1, max(0, steps - 2)))
    flat = [
        like.new_zeros(given, batch, p.units) if x is None else x.flatten(2).expand(given, -1, -1)
        for p, x in zip(group, parts)
    ]
    return flat[0] if len(flat) == 1 else torch.cat(flat, 2)


def _weights(group: tuple[Population, ...], links: list[Projection]) -> Tensor | None:
    """[C, N, N], source first; None without recurrence."""
    if not links:
        return None
    ends = list(accumulate(p.units for p in group))
    at = {p.name: slice(end - p.units, end) for p, end in zip(group, ends)}
    w = links[0].weight.new_zeros(len(group[0].neuron.tau_syn), ends[-1], ends[-1])
    for link in links:
        w[link.channel, at[link.source], at[link.target]] += link.weight.T
    return w


def _constants(neuron: Neuron, dt: float, fourth: float) -> list[float]:
    """What the kernels take: beta_m, gain, theta, `fourth`, beta_s and sign of two channels."""
    beta_m, betas = neuron.decays(dt)
    pad = (0.0,) * (2 - len(betas))
    return [
        beta_m, 1 - beta_m, neuron.theta, fourth, *betas, *pad, *map(float, neuron.signs), *pad,
    ]  # fmt: skip
