"""Where kernels find what they need of a dense layer."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fdi.engine.cpu.kernels.jit import inlined
from fdi.engine.cpu.kernels.parts import part
from fdi.engine.cpu.kernels.simd import lanes
from fdi.engine.cpu.readout import Pull


class Arriving(NamedTuple):
    """What arrives from below: events of sample s and step t are indptr[s, t] .. indptr[s, t + 1] -
    1 of (units, counts), `drive` [S, 0, 1 or T, width] is a dense current of every step, or in a
    backward pass its gradient.
    """

    indptr: np.ndarray
    units: np.ndarray
    counts: np.ndarray
    drive: np.ndarray


class Weights(NamedTuple):
    """Rows [:, width] of what arrives from `below` and of the layer's `own` spikes."""

    below: np.ndarray
    own: np.ndarray


class Gradients(NamedTuple):
    """Where gradients are added: `tables` of the weights, and `drive` [B, 0, 1 or T, width] of the
    currents. Of the columns of each table those from `begin` to `end`, counted in parts of which a
    table has `parts`.
    """

    tables: np.ndarray
    drive: np.ndarray
    begin: int = 0
    end: int = 1
    parts: int = 1


@inlined
def columns(width, gradients):
    """(first, behind the last) of the columns of a table whose gradients are added."""
    step = 2 * lanes(gradients.tables)
    pairs, parts = width // step, gradients.parts
    return gradients.begin * pairs // parts * step, gradients.end * pairs // parts * step


@inlined
def window(k, work):
    """The first step of window k, and the one behind its last."""
    w = work.at[0]
    return k * w.span, min((k + 1) * w.span, w.steps)


@inlined
def start(plan, layer, s, block):
    """Numbers of one time step before those of sample s of a layer."""
    return plan.layers[layer].state_at * block + s * plan.layers[layer].width


@inlined
def weights(flat, layer):
    return Weights(
        part(flat, layer.table_at, (layer.rows, layer.width)),
        part(flat, layer.own_at, (layer.units, layer.width)),
    )


@inlined
def arriving(plan, layer, given, work):
    """What arrives at a layer; `given` arrives at the first."""
    p, w = plan.layers[layer], work.at[0]
    indptr, units, counts, drive = given.indptr, given.units, given.counts, given.drive
    if layer > 0:
        at, store = w.indptr + layer * w.block * (w.steps + 1), w.arrived
        if p.direct >= 0:
            at, store = w.spike_indptr + p.direct * w.block * (w.steps + 1), w.spikes
        indptr = part(work.starts, at, (w.block, w.steps + 1))
        units, counts, drive = part(work.lists, store, (1,)), counts[:0], drive[:, :0]
    return Arriving(indptr, units, counts, drive)


@inlined
def pull(plan, mode, work):
    """What the loss says of the readout."""
    w, width = work.at[0], plan.layers[plan.layers.size - 1].width
    return Pull(
        mode,
        part(work.numbers, w.readout, (w.block, w.steps + 1, width)),
        part(work.numbers, w.peak, (w.block, width)),
        part(work.numbers, w.slope, (w.block, width)),
    )
