"""How much memory of a GPU a run needs, by count: its data, and a training step, in how many parts
of the batch. Both come out of one budget, engine.memory; a step comes first.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import torch

from fdi.data.inputs import Events, Input
from fdi.engine.cuda import kept
from fdi.snn.network import Network
from fdi.snn.neuron import Population

SHARE = 0.8  # of what is free on a GPU; the rest is for workspaces of cuBLAS and cuDNN
_WORK, _BELOW = 8, 3
"""Tensors of the size of a layer, and of what is below it, that its adjoint holds at a time at
most, potentials and spikes aside.
"""
_SORTED = 64  # bytes of an event while it is sorted, the workspace of a GPU's radix sort among them


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


def size(whole: Input, listed: bool = False) -> tuple[int, int]:
    """Bytes that `keep` takes on the device, and at most, while it sorts a part of the events."""
    if not isinstance(whole, Events):
        return whole.values.nbytes, whole.values.nbytes
    events, units = int(whole.indptr[-1] - whole.indptr[0]), int(np.prod(whole.shape))
    place = kept.place_type(events).itemsize
    again = kept.time_type(whole).itemsize + (0 if whole.counts is None else whole.counts.itemsize)
    stays = events * (whole.units.itemsize + again)
    if not listed:
        return stays, stays
    stays += events * again + (len(whole) * (whole.steps + units) + 2) * place
    bounds = kept.sorted_at_once(whole)
    most = int(np.diff(whole.indptr[bounds * whole.steps]).max(initial=0))
    starts = units * (len(whole) * place + 24 * int(np.diff(bounds).max(initial=0)))
    return stays, stays + starts + _SORTED * most


def data(splits: Iterable[Input], listed: bool) -> tuple[int, int]:
    """`size` of splits that are kept one after the other."""
    stay = most = 0
    for whole in splits:
        own, peak = size(whole, listed)
        stay, most = stay + own, max(most, stay + peak)
    return stay, most
