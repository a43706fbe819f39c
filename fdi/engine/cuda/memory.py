"""How much memory of a GPU a training step needs, by count, and in how many parts of the batch it
fits.
"""

from __future__ import annotations

import math

import torch

from fdi.snn.network import Network
from fdi.snn.neuron import Population

SHARE = 0.8  # of what is free on a GPU; the rest is for workspaces of cuBLAS and cuDNN
_WORK, _BELOW = 8, 3
"""Tensors of the size of a layer, and of what is below it, that its adjoint holds at a time at
most, potentials and spikes aside.
"""


def need(network: Network, steps: int) -> int:
    """Bytes for one sample: traces of all layers, and what the adjoint of the widest one works
    with.
    """
    size = network.projections[0].weight.element_size()
    shown = {p.name: math.prod(p.pooled_shape) for p in network.hidden}
    shown["input"] = math.prod(network.input_shape)

    def work(layer: tuple[Population, ...]) -> int:
        own = sum(p.units * len(p.neuron.tau_syn) for p in layer)
        sources = {a.source for p in layer for a in network.afferents(p.name) if not a.recurrent}
        return size * (_WORK * own + _BELOW * sum(shown[name] for name in sources))

    kept = sum(p.units * (size + 1) + shown[p.name] for p in network.hidden)
    kept += sum(2 * size * p.units for p in network.hidden if p.name in network.norms)
    widest = max(work(layer) for layer in [*network.layers, (network.readout,)])
    return steps * (kept + size * shown["input"] + widest)


def fitting_samples(network: Network, steps: int, batch: int, memory: float) -> int:
    """How many samples are computed at once, in nearly equal parts of the batch; ValueError if one
    needs more than `memory` GiB.
    """
    one = need(network, steps) / 2**30
    if one > memory:
        raise ValueError(
            f"a sample of {steps} steps needs {one:.3g} GiB in this network, more than "
            f"engine.memory = {memory:g} GiB; raise engine.memory, or shorten the trial"
        )
    parts = math.ceil(batch / math.floor(memory / one))
    return math.ceil(batch / parts)


def fitting(memory: float, device: torch.device) -> float:
    """`memory` in GiB, or what SHARE allows if that is less."""
    if device.type != "cuda":
        return memory
    free, _ = torch.cuda.mem_get_info(device)
    return min(memory, SHARE * free / 2**30)
