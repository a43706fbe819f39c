"""The maps of one sample forward, layer after layer over a window of time. Only potentials and
lists of spikes are kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fdi.engine.cpu.conv_events import Lists, add_drive, deliver
from fdi.engine.cpu.dense_forward import Arriving
from fdi.engine.cpu.kernels.jit import Record, inlined, jit
from fdi.engine.cpu.kernels.rows import LANES, append, copy, part
from fdi.engine.cpu.kernels.simd import constants, lanes, leading, own, prefetch
from fdi.engine.cpu.neuron_equations import Kind, forward

if TYPE_CHECKING:
    from fdi.engine.cpu.conv_plan import ConvPlan
    from fdi.engine.cpu.memory import Work
    from fdi.engine.cpu.neurons import DifferentNeurons, Neurons


@inlined
def update_maps(
    p: Record, neurons: Neurons | DifferentNeurons, kind: Kind, u: np.ndarray, before: int,
    maps: int, state: int, spikes: np.ndarray, n: int, pooled: np.ndarray, m: int,
) -> tuple[int, int]:  # fmt: skip
    """Potentials u[before ...] become those behind; at `maps` in u begins what is inside of the
    guarded currents, at `state` the state. Appends the codes of the spikes, and those of the
    pooling windows that some visible ones fall into; returns the new n and m.
    """
    if p.pool_x > 1:
        return _update_windows(p, neurons, kind, u, before, maps, state, spikes, n, pooled, m)
    width, padded, size, guarded = p.width, p.padded, p.size, p.guarded
    shift, visible = p.shift, p.visible
    for y in range(p.height):
        i, k = y * width * padded, maps + y * p.row
        for place in range(y * width, (y + 1) * width):
            for j in range(0, padded, lanes(u)):
                prefetch(u, (before + 2 * size + i,))
                fired = forward(
                    own(kind, neurons, p.channels_at + j), u, before + i, before + size + i, u, k,
                    guarded, u, state + i, size, 0, 0,
                )  # fmt: skip
                code = (place << shift) + j
                n = append(spikes, n, fired, code)
                seen = fired if visible >= padded else leading(fired, visible - j)
                m = append(pooled, m, seen, code)
                i, k = i + lanes(u), k + lanes(u)
    return n, m


@inlined
def _update_windows(
    p: Record, neurons: Neurons | DifferentNeurons, kind: Kind, u: np.ndarray, before: int,
    maps: int, state: int, spikes: np.ndarray, n: int, pooled: np.ndarray, m: int,
) -> tuple[int, int]:  # fmt: skip
    """The same, pooling window by pooling window."""
    height, width, padded, row, size = p.height, p.width, p.padded, p.row, p.size
    pool_y, pool_x, guarded, shift, visible = p.pool_y, p.pool_x, p.guarded, p.shift, p.visible
    rows, columns = height // pool_y, width // pool_x
    for wy in range(-(-height // pool_y)):
        for wx in range(-(-width // pool_x)):
            top, left, whole = wy * pool_y, wx * pool_x, wy < rows and wx < columns
            bottom, right = min(top + pool_y, height), min(left + pool_x, width)
            window = wy * columns + wx
            for j in range(0, padded, lanes(u)):
                neuron = own(kind, neurons, p.channels_at + j)
                some = neuron.reset.theta > neuron.reset.theta
                for y in range(top, bottom):
                    for x in range(left, right):
                        place = y * width + x
                        i, k = place * padded + j, maps + y * row + x * padded + j
                        prefetch(u, (before + 2 * size + i,))
                        fired = forward(
                            neuron, u, before + i, before + size + i, u, k, guarded, u, state + i,
                            size, 0, 0,
                        )  # fmt: skip
                        n = append(spikes, n, fired, (place << shift) + j)
                        some = some | fired
                if whole:
                    m = append(pooled, m, leading(some, visible - j), (window << shift) + j)
    return n, m


@jit
def conv_forward(
    neurons: Neurons | DifferentNeurons, layer: int, plan: ConvPlan, t0: int, t1: int, u_at: int,
    tables: np.ndarray, given: Arriving, lists: Lists, work: Work,
) -> None:  # fmt: skip
    """The steps t0 .. t1 - 1: potentials from `u_at` on in the scratch memory, U[t0] is given;
    spikes and pooled spikes into `lists`. The guarded currents and the state at t0 become those at
    t1.
    """
    p, w, u, drive = plan.layers[layer], work.at[0], work.numbers, given.drive
    neuron = constants(neurons.kind, neurons.constants, layer, 1)
    n, m = lists.spike_indptr[layer, t0], lists.pooled_indptr[layer, t0]
    state = w.maps + plan.channels * p.guarded
    for t in range(t0, t1):
        before = u_at + (t - t0) * p.size
        n, m = update_maps(
            p, neurons, neuron, u, before, w.maps + p.inside, state, lists.spikes, n, lists.pooled,
            m,
        )  # fmt: skip
        lists.spike_indptr[layer, t + 1], lists.pooled_indptr[layer, t + 1] = n, m
        if t > 0:
            deliver(plan, layer, t - 1, tables, given, lists, work)
            if drive.shape[1] > 0:
                add_drive(p, u, w.maps, drive)


@jit
def count_map_spikes(
    p: Record, spike_indptr: np.ndarray, spikes: np.ndarray, count: np.ndarray
) -> None:
    """Sets the part of the spike `count` [hidden units], in the order of torch, or [0], that
    belongs to layer p.
    """
    if count.size == 0:
        return
    positions, shift = p.height * p.width, p.shift
    count[p.spikes_at : p.spikes_at + p.channels * positions] = 0
    for e in range(spike_indptr[0], spike_indptr[-1]):
        code = spikes[e]
        unit = (code & ((1 << shift) - 1)) * positions + (code >> shift)
        count[p.spikes_at + unit] += 1


@inlined
def _kept(plan: ConvPlan, p: Record) -> int:
    """Where a layer begins in what is saved of each window."""
    return (1 + plan.states) * p.size_at + plan.channels * p.guarded_at


@inlined
def _pace(plan: ConvPlan) -> int:
    """Numbers saved of each window."""
    top = plan.layers[plan.layers.size - 1]
    return _kept(plan, top) + (1 + plan.states) * top.size + plan.channels * top.guarded


@inlined
def lists_of(plan: ConvPlan, work: Work) -> Lists:
    w, layers = work.at[0], plan.layers.size
    return Lists(
        part(work.starts, w.map_spike_indptr, (layers, w.steps + 1)),
        part(work.lists, w.map_spikes, (1,)),
        part(work.starts, w.pooled_indptr, (layers, w.steps + 1)),
        part(work.lists, w.pooled, (1,)),
    )


@jit
def maps_window(
    k: int, first_time: bool, plan: ConvPlan, neurons: Neurons | DifferentNeurons,
    tables: np.ndarray, given: Arriving, work: Work,
) -> None:  # fmt: skip
    """The maps in window k; `given` arrives at the first."""
    w, numbers, pace, lists = work.at[0], work.numbers, _pace(plan), lists_of(plan, work)
    t0, t1 = k * w.span, min((k + 1) * w.span, w.steps)
    here, later = min(k, w.windows - 1) * pace, min(k + 1, w.windows - 1) * pace
    for layer in range(plan.layers.size):
        p, drive = plan.layers[layer], given.drive
        rest, u = plan.channels * p.guarded + plan.states * p.size, w.map_potentials
        u, at = u + p.size_at * (w.span + 1), w.map_saved + _kept(plan, p)
        if layer > 0:
            drive = drive[:, :0]
        copy(numbers, at + here, numbers, u, p.size)
        copy(numbers, at + here + p.size, numbers, w.maps, rest)
        arriving = Arriving(given.indptr, given.units, given.counts, drive)
        conv_forward(neurons, layer, plan, t0, t1, u, tables, arriving, lists, work)
        # The way back begins each window from here, without the ones before it.
        if first_time and t1 < w.steps:
            copy(numbers, u + (t1 - t0) * p.size, numbers, at + later, p.size)
            copy(numbers, w.maps, numbers, at + later + p.size, rest)


@inlined
def maps_forward(
    plan: ConvPlan, neurons: Neurons | DifferentNeurons, tables: np.ndarray, given: Arriving,
    count: np.ndarray, work: Work,
) -> None:  # fmt: skip
    """Sets the spike `count` of the maps in [hidden units]."""
    w, lists = work.at[0], lists_of(plan, work)
    most = -(-w.steps // plan.gap)
    work.numbers[w.map_saved : w.map_saved + _pace(plan)] = 0
    for layer in range(plan.layers.size):
        p, at = plan.layers[layer], w.map_saved + _kept(plan, plan.layers[layer])
        lists.spike_indptr[layer, 0] = p.spikes_at * most + layer * LANES
        lists.pooled_indptr[layer, 0] = lists.spike_indptr[layer, 0]
        for place in range(at, at + p.size, p.padded):
            work.numbers[place : place + p.channels] = neurons.constants[layer].u_init
    for k in range(-(-w.steps // w.span)):
        maps_window(k, True, plan, neurons, tables, given, work)
    for layer in range(plan.layers.size):
        count_map_spikes(plan.layers[layer], lists.spike_indptr[layer], lists.spikes, count)
