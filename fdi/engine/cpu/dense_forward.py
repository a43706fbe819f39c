"""The dense layers of a few samples forward, window after window of time. Only potentials and lists
of spikes are kept.

A layer is populations side by side that share their constants. With one synaptic channel the units
0 .. exc - 1 are all units; with two, the recurrent projections of the units from `exc` on arrive on
the second channel.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fdi.engine.cpu.kernels.jit import inlined, jit
from fdi.engine.cpu.kernels.rows import FEW, LANES, append, copy, gather, maybe, part
from fdi.engine.cpu.kernels.simd import (
    REGISTERS,
    constants,
    entry,
    fill_as,
    fill_many,
    if_before,
    lanes,
    like,
    load,
    load_as,
    load_bits,
    load_each,
    own,
    store,
    store_bits,
    store_each,
    times,
)
from fdi.engine.cpu.neuron_equations import ahead, forward, remember, rest, silent

AHEAD = 8 if REGISTERS == 32 else 2
"""Vectors of neurons whose potentials and currents go ahead through time in registers."""


class Arriving(NamedTuple):
    """What arrives from below: events of sample s and step t are indptr[s, t] .. indptr[s, t + 1] -
    1 of (units, counts), `drive` [S, 0, 1 or T, width] is a dense current of every step, or in a
    backward pass its gradient.
    """

    indptr: np.ndarray
    units: np.ndarray
    counts: np.ndarray
    drive: np.ndarray


class WeightRows(NamedTuple):
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
def gradient_columns(width, gradients):
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
    return WeightRows(
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
def split(layer, spikes, first, stop):
    """(first of the spikes first .. stop - 1 that recurrent projections deliver, first of those
    that arrive on channel 1).
    """
    while first < stop and spikes[first] < layer.recurrent_from:
        first += 1
    border = first
    while border < stop and spikes[border] < layer.exc:
        border += 1
    return first, border


@inlined
def update(neuron, network, p, u, row, rows, past, deep, spikes, n):
    """Potentials of a layer at u[row ...] become those of the next step behind them; currents and
    state are at u[rows ...]. Appends the spikes; returns the new n.
    """
    width, far = p.width, network.plan.widest
    state = rows + network.plan.channels * far
    for j in range(0, width, 2 * lanes(u)):
        fired = forward(
            own(neuron, network.neurons, p.state_at + j), u, row + j, row + width + j, u,
            rows + j, far, u, state + j, far, past + j, deep,
        )  # fmt: skip
        n = append(spikes, n, fired, j)
    return n


@inlined
def _columns_ahead(neuron, network, layer, s, j, k, rows, given, work):
    """Window k of as many neurons of sample s as the constants of a `neuron` are long, from the
    `j`-th on, in registers; bits of their spikes to `fired`.
    """
    plan, p, w, u = network.plan, network.plan.layers[layer], work.at[0], work.numbers
    one = own(neuron, network.neurons, p.state_at + j)
    below, table, far = arriving(plan, layer, given, work), weights(network.tables, p), plan.widest
    (t0, t1), first = window(k, work), start(plan, layer, s, w.block)
    row, past = w.potentials + first * (w.span + 1) + j, w.past + first * w.span + j
    words, deep = (far + 63) // 64, w.block * plan.total * w.span
    fired_at, state_at, width = w.fired, rows + plan.channels * far + j, p.width
    x = load_as(one.reset.theta, u, (row,))
    currents = load_each(silent(one.synapses, x), u, rows + j, far)
    state = load_each(rest(one.dynamics, x), u, state_at, far)
    for t in range(t0, t1):
        store_each(u, past, deep, remember(one.dynamics, state))
        fired, x, currents, state = ahead(one, x, currents, state)
        row += width
        past += width
        store(u, (row,), x)
        store_bits(work.starts, fired_at, j, fired)
        fired_at += words
        if t > 0:
            i, first, last = currents[0], below.indptr[s, t - 1], below.indptr[s, t]
            if below.counts.size == 0:
                for e in range(first, last):
                    i = i + load_as(i, table.below, (entry(below.units, e), j))
            else:
                for e in range(first, last):
                    count = fill_as(i, below.counts[e])
                    i = i + count * load_as(i, table.below, (entry(below.units, e), j))
            if below.drive.shape[1] > 0:
                i = i + load_as(i, below.drive, (s, min(t - 1, below.drive.shape[1] - 1), j))
            currents = (i,) + currents[1:]  # noqa: RUF005  # Numba knows no star
    store_each(u, rows + j, far, currents)
    store_each(u, state_at, far, state)


@inlined
def _rows_ahead(network, layer, s, k, rows, spikes, spike_indptr, given, work):
    """Window k of a recurrent layer of sample s, step after step; lists its spikes."""
    plan, p, w, u = network.plan, network.plan.layers[layer], work.at[0], work.numbers
    neuron = constants(network.neurons.kind, network.neurons.constants, layer, 2)
    below, table, width = arriving(plan, layer, given, work), weights(network.tables, p), p.width
    (t0, t1), row = window(k, work), w.potentials + start(plan, layer, s, w.block) * (w.span + 1)
    past, deep = w.past + start(plan, layer, s, w.block) * w.span, w.block * plan.total * w.span
    n, ones = spike_indptr[t0], given.counts[:0]
    for t in range(t0, t1):
        n = update(neuron, network, p, u, row, rows, past, deep, spikes, n)
        spike_indptr[t + 1] = n
        row += width
        past += width
        if t == 0:
            continue
        first, last = below.indptr[s, t - 1], below.indptr[s, t]
        gather(u, rows, width, table.below, below.units, below.counts, first, last)
        if below.drive.shape[1] > 0:
            step = min(t - 1, below.drive.shape[1] - 1)
            for j in range(0, width, lanes(u)):
                arrived = load(below.drive, (s, step, j))
                store(u, (rows + j,), load(u, (rows + j,)) + arrived)
        last = spike_indptr[t]
        first, border = split(p, spikes, spike_indptr[t - 1], last)
        gather(u, rows, width, table.own, spikes, ones, first, border)
        if border < last:
            gather(u, rows + plan.widest, width, table.own, spikes, ones, border, last)


@inlined
def hidden_forward(network, layer, s, k, again, given, work):
    """Window k of sample s: the lists of spikes, unless they are there when it comes `again`, and
    potentials, row t - t0: U[t], of which row 0 is given. The `rows` of currents and state at its
    beginning become those at its end.
    """
    plan, p, w = network.plan, network.plan.layers[layer], work.at[0]
    begin = w.spike_indptr + (layer * w.block + s) * (w.steps + 1)
    spike_indptr = part(work.starts, begin, (w.steps + 1,))
    spikes, (t0, t1), rows = part(work.lists, w.spikes, (1,)), window(k, work), w.rows
    if p.recurrent_from < p.units:
        _rows_ahead(network, layer, s, k, rows, spikes, spike_indptr, given, work)
        return
    few = constants(network.neurons.kind, network.neurons.constants, layer, 2)
    many = constants(network.neurons.kind, network.neurons.constants, layer, AHEAD)
    j, some = 0, AHEAD * lanes(work.numbers)
    while j + some <= p.width:
        _columns_ahead(many, network, layer, s, j, k, rows, given, work)
        j += some
    while AHEAD > 2 and j < p.width:
        _columns_ahead(few, network, layer, s, j, k, rows, given, work)
        j += 2 * lanes(work.numbers)
    n, fired, words = spike_indptr[t0], w.fired, (plan.widest + 63) // 64
    for t in range(t0, t0 if again else t1):
        for j in range(0, p.width, 32):
            n = append(spikes, n, load_bits(work.starts, fired, j), j)
        fired += words
        spike_indptr[t + 1] = n


@inlined
def readout_forward(network, s, given, work):
    """The leaky integrator: its potentials [T + 1, width] for sample s, row t + 1 is the readout of
    step t.

    U' = beta_m U + gain I, I' = beta_s I.
    """
    plan, c, w, u = network.plan, network.neurons.readout[0], work.at[0], work.numbers
    top = plan.layers.size - 1
    p, below = plan.layers[top], arriving(plan, top, given, work)
    width, table = p.width, weights(network.tables, p).below
    beta_m, gain, beta_s = fill_many(c.beta_m, 2), fill_many(c.gain, 2), fill_many(c.beta_s, 2)
    first = w.readout + s * (w.steps + 1) * width
    u[first : first + p.units] = c.u_init
    for j in range(0, width, 2 * lanes(u)):
        x, i = load_as(gain, u, (first + j,)), like(gain, 0)
        for t in range(w.steps):
            x, i = beta_m * x + gain * i, times(beta_s, i)
            store(u, (first + (t + 1) * width + j,), x)
            if t > 0:
                e, last = below.indptr[s, t - 1], below.indptr[s, t]
                for k in range(e, e + FEW):
                    row = load_as(i, table, (maybe(below.units, k, last), j))
                    i = i + if_before(row, k, last)
                for k in range(e + FEW, last):
                    i = i + load_as(i, table, (entry(below.units, k), j))


@jit
def count_spikes(plan, layer, s, work, count):
    """Sets the part of the spike `count` [hidden units], or [0], that belongs to a layer."""
    p, w = plan.layers[layer], work.at[0]
    if count.size == 0:
        return
    count[p.count_at : p.count_at + p.units] = 0
    begin = w.spike_indptr + (layer * w.block + s) * (w.steps + 1)
    for e in range(work.starts[begin], work.starts[begin + w.steps]):
        count[p.count_at + work.lists[w.spikes + e]] += 1


@jit
def collect(sources, layer, s, t0, t1, indptr, arrived, work):
    """The spikes of the sources of a `layer` in the steps t0 .. t1 - 1 as one list, written to
    arrived[indptr[t0]:].

    Units of a source are shifted by the source's first weight row.
    """
    w, n = work.at[0], indptr[t0]
    for t in range(t0, t1):
        for q in range(layer.first_source, layer.last_source):
            source = sources[q]
            begin = w.spike_indptr + (source.layer * w.block + s) * (w.steps + 1) + t
            for e in range(work.starts[begin], work.starts[begin + 1]):
                unit = work.lists[w.spikes + e]
                if unit >= source.units:
                    break
                arrived[n] = unit + source.row
                n += 1
        indptr[t + 1] = n


@inlined
def run_window(network, s, k, again, given, work):
    """Sample s of the block through the hidden layers in window k, see `hidden_forward`."""
    plan, w, numbers = network.plan, work.at[0], work.numbers
    t0, t1 = window(k, work)
    currents, kept = plan.channels + plan.states, 1 + plan.channels + plan.states
    pace = kept * plan.total * w.block
    here, later = min(k, w.windows - 1) * pace, min(k + 1, w.windows - 1) * pace
    for layer in range(plan.layers.size - 1):
        p, first = plan.layers[layer], start(plan, layer, s, w.block)
        u, at = w.potentials + first * (w.span + 1), w.saved + kept * first
        if layer > 0 and p.direct < 0:
            below = arriving(plan, layer, given, work)
            collect(plan.sources, p, s, t0, t1, below.indptr[s], below.units, work)
        copy(numbers, at + here, numbers, u, p.width)
        for row in range(currents):
            saved = at + here + (1 + row) * p.width
            copy(numbers, saved, numbers, w.rows + row * plan.widest, p.width)
        hidden_forward(network, layer, s, k, again, given, work)
        if t1 < w.steps:
            copy(numbers, u + (t1 - t0) * p.width, numbers, at + later, p.width)
            for row in range(currents):
                to = at + later + (1 + row) * p.width
                copy(numbers, w.rows + row * plan.widest, numbers, to, p.width)


@inlined
def run_forward(network, s, again, given, count, work):
    """Sample s of the block through all layers, `again` through the hidden ones if its spikes are
    known; sets the spike `count` of the dense layers in [hidden units].
    """
    plan, w, numbers, starts = network.plan, work.at[0], work.numbers, work.starts
    most, kept, top = -(-w.steps // plan.gap), 1 + plan.channels + plan.states, plan.layers.size - 1
    for layer in range(top + 1):
        p, begin = plan.layers[layer], (layer * w.block + s) * (w.steps + 1)
        if layer > 0 and p.direct < 0:
            starts[w.indptr + begin] = (p.collected_at * w.block + p.rows * s) * most
        if layer < top:
            room = (p.list_at * w.block + p.units * s) * most
            starts[w.spike_indptr + begin] = room + (layer * w.block + s) * LANES
            at = w.saved + kept * start(plan, layer, s, w.block)
            numbers[at : at + kept * p.width] = 0
            numbers[at : at + p.units] = network.neurons.constants[layer].u_init
    for k in range(-(-w.steps // w.span)):
        run_window(network, s, k, again, given, work)
    if again:
        return
    for layer in range(top):
        count_spikes(plan, layer, s, work, count)
    p = plan.layers[top]
    if top > 0 and p.direct < 0:
        below = arriving(plan, top, given, work)
        collect(plan.sources, p, s, 0, w.steps, below.indptr[s], below.units, work)
    readout_forward(network, s, given, work)
