"""The maps of one sample, forward and backward, window after window of time."""

from __future__ import annotations

from fdi.engine.cpu.conv.backward import conv_backward
from fdi.engine.cpu.conv.events import Lists
from fdi.engine.cpu.conv.forward import conv_forward, count_spikes
from fdi.engine.cpu.dense.views import Arriving, pull
from fdi.engine.cpu.kernels.jit import inlined, jit
from fdi.engine.cpu.kernels.parts import part
from fdi.engine.cpu.kernels.product import add_product
from fdi.engine.cpu.kernels.rows import LANES, copy
from fdi.engine.cpu.readout import readout_to_source


@inlined
def _kept(plan, p):
    """Where a layer begins in what is saved of each window."""
    return (1 + plan.states) * p.size_at + plan.channels * p.guarded_at


@inlined
def _pace(plan):
    """Numbers saved of each window."""
    top = plan.layers[plan.layers.size - 1]
    return _kept(plan, top) + (1 + plan.states) * top.size + plan.channels * top.guarded


@inlined
def lists_of(plan, work):
    w, layers = work.at[0], plan.layers.size
    return Lists(
        part(work.starts, w.map_spike_indptr, (layers, w.steps + 1)),
        part(work.lists, w.map_spikes, (1,)),
        part(work.starts, w.pooled_indptr, (layers, w.steps + 1)),
        part(work.lists, w.pooled, (1,)),
    )


@jit
def maps_window(k, first_time, plan, neurons, tables, given, work):
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
        if first_time and t1 < w.steps:
            copy(numbers, u + (t1 - t0) * p.size, numbers, at + later, p.size)
            copy(numbers, w.maps, numbers, at + later + p.size, rest)


@inlined
def maps_forward(plan, neurons, tables, given, count, work):
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
        count_spikes(plan.layers[layer], lists.spike_indptr[layer], lists.spikes, count)


@inlined
def start_maps_backward(plan, work):
    """Nothing pulls behind the last step."""
    w, top = work.at[0], plan.layers[plan.layers.size - 1]
    adjoints = top.adjoints_at + top.ring * plan.channels * top.guarded
    work.numbers[w.map_leak : w.map_leak + 2 * top.pooled] = 0
    work.numbers[w.map_gu : w.map_gu + (1 + plan.states) * (top.size_at + top.size)] = 0
    work.numbers[w.map_adjoints : w.map_adjoints + adjoints] = 0


@inlined
def clear_above(k, plan, work):
    """Sets the gradient of the pooled spikes for window k to what the window behind it found, as
    far as no link puts it there.
    """
    w, numbers = work.at[0], work.numbers
    for layer in range(plan.layers.size):
        p, t0 = plan.layers[layer], k * w.span
        start = w.above + p.pooled_at * (w.span + 2)
        first, behind = 0, w.span
        if t0 + w.span < w.steps:
            for row in (1, 0):
                to, at = start + row * p.pooled, start + (w.span + row) * p.pooled
                copy(numbers, to, numbers, at, p.pooled)
            if p.pulled > 0:
                continue
        else:
            behind = w.steps - t0 + 2
            if p.pulled > 0:
                first = w.steps - t0
        numbers[start + first * p.pooled : start + behind * p.pooled] = 0


@inlined
def from_rows(k, plan, rows, neurons, natural, mode, work):
    """Adds what the dense layers, the plan `rows`, pull at the pooled spikes of the top layer in
    window k: gI of the first of them, or the readout if it is the only one.
    """
    w, top, layer = work.at[0], plan.layers[plan.layers.size - 1], rows.layers[0]
    t0, t1 = k * w.span, min((k + 1) * w.span, w.steps)
    at, out = rows.sources[layer.first_source].natural_at, w.above + top.pooled_at * (w.span + 2)
    if rows.layers.size > 1:
        first = max(t0, 2) - t0
        add_product(
            work.numbers, out + first * top.pooled, top.pooled, work.numbers,
            w.adjoints + (first + 2) * layer.width, layer.width, t1 - t0 - first, natural, at,
            layer.units, top.pooled,
        )  # fmt: skip
    else:
        weight = part(natural, at, (layer.units, top.pooled))
        said, c = pull(rows, mode, work), neurons.readout[0]
        readout_to_source(said, 0, t0, t1, c, weight, w.map_leak, work.numbers, out, top.pooled)


@inlined
def maps_backward(k, plan, neurons, natural, d_tables, given, work):
    """The maps back through window k; potentials are those of the window."""
    w, lists = work.at[0], lists_of(plan, work)
    t0, t1 = k * w.span, min((k + 1) * w.span, w.steps)
    for layer in range(plan.layers.size - 1, -1, -1):
        drive = given.drive
        if layer > 0:
            drive = drive[:, :0]
        bounds = _pull(plan.layers[layer], work)
        arriving = Arriving(given.indptr, given.units, given.counts, drive)
        conv_backward(
            neurons, layer, plan, t0, t1, bounds, natural, d_tables, arriving, lists, work
        )


@inlined
def _pull(p, work):
    """Puts the gradient of the bounds, in the order of torch, into that of a layer's map; returns
    where it begins, or -1 if it is zero.
    """
    w, numbers, positions = work.at[0], work.numbers, p.height * p.width
    first, pulled = w.pull + p.spikes_at, False
    for i in range(first, first + p.channels * positions):
        pulled |= numbers[i] != 0
    if not pulled:
        return -1
    for j in range(p.padded):
        for place in range(positions):
            to = w.map_pull + place * p.padded + j
            numbers[to] = numbers[first + j * positions + place] if j < p.channels else 0
    return w.map_pull
