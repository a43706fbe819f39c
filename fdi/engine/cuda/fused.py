"""A layer over a whole trial in one launch forward and one back; the interface of layer.py."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec

import torch
from torch import Tensor

from fdi.engine.cuda import fused_recurrent
from fdi.engine.cuda.shared import constants, row, subtract
from fdi.snn.population import Population
from fdi.snn.projection import Projection

OLDEST = (3, 5)  # triton whose products take two rows
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
    if links and len(kinds) > 1:
        return "its populations have different neurons"
    if any(link.convolutional for link in links):
        return "no kernel computes recurrent convolutions"
    if links and sum(p.units for p in layer) > WIDEST:
        return f"it has more than {WIDEST} recurrent units"
    return None


@cache
def _nowhere(device: torch.device) -> str | None:
    if find_spec("triton") is None:
        return "triton is not installed (pip install 'fdi-snn[gpu]', on Linux)"
    if torch.version.hip:
        return "the kernels are for GPUs of NVIDIA"
    import triton

    if tuple(map(int, triton.__version__.split(".")[:2])) < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        return f"the kernels need triton {oldest}, not {triton.__version__}; torch 2.9 brings it"

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
    """(potentials that spike in each step, spikes, counts) of each population, [T, B, *shape] and
    [B, *shape]. The potentials of a recurrent layer are one tensor [T, B, N] under the name of its
    first population; without `keep` there are none.
    """
    from fdi.engine.cuda.kernels import launch

    if links:
        return fused_recurrent.forward(layer, links, dt, steps, batch, arrived, like, keep)
    u, spikes, counts = {}, {}, {}
    for p in layer:
        rows = [row((p,), arrived, c, steps, batch, like) for c in range(len(p.neuron.tau_syn))]
        x = rows[0][None] if len(rows) == 1 else torch.stack(torch.broadcast_tensors(*rows))
        found = launch.scan_forward(
            x.flatten(2).contiguous(), steps, constants(p.neuron, dt, p.neuron.u_init),
            subtract(p), keep,
        )  # fmt: skip
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
    from fdi.engine.cuda.kernels import launch

    if links:
        return fused_recurrent.backward(layer, links, dt, u, d_counts, d_seen)
    found: dict[str, list[Tensor]] = {}
    for p in layer:
        steps, batch = u[p.name].shape[:2]
        seen = d_seen.get(p.name)
        d_x = launch.scan_backward(
            u[p.name].flatten(1), d_counts[p.name].flatten().contiguous(),
            None if seen is None else seen.flatten(1).contiguous(), 1 if constant else steps - 2,
            len(p.neuron.tau_syn), constants(p.neuron, dt, p.neuron.beta), subtract(p),
            p.neuron.surrogate,
        )  # fmt: skip
        found[p.name] = [x.view(len(x), batch, *p.shape) for x in d_x]
    return found
