"""The dense layers of a few samples, forward and backward, window after window of time."""

from __future__ import annotations

from fdi.snn.engine.cpu.dense.backward import hidden_backward
from fdi.snn.engine.cpu.dense.forward import (
    Arriving,
    collect,
    count_spikes,
    hidden_forward,
    readout_forward,
)
from fdi.snn.engine.cpu.kernels.jit import inlined, jit
from fdi.snn.engine.cpu.kernels.parts import part
from fdi.snn.engine.cpu.kernels.product import add_product
from fdi.snn.engine.cpu.kernels.rows import LANES, copy, repeat
from fdi.snn.engine.cpu.readout import Pull, readout_backward, readout_to_source


@inlined
def _start(plan, layer, s, block):
    """Numbers of one time step before those of sample s of a layer."""
    return plan.layers[layer].state_at * block + s * plan.layers[layer].width


@inlined
def _table(flat, layer):
    return part(flat, layer.table_at, (layer.rows, layer.width))


@inlined
def _own(flat, layer):
    return part(flat, layer.own_at, (layer.units, layer.width))


@inlined
def _rows(plan, work):
    """[currents and state, widest layer]."""
    return part(work.numbers, work.at[0].rows, (max(2, plan.channels) + plan.states, plan.widest))


@inlined
def _arriving(plan, layer, given, work):
    """What arrives at a layer."""
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


@jit
def run_window(k, s, first_time, plan, neurons, tables, given, work):
    """Sample s of the block through the hidden layers in window k; `given` arrives at the first."""
    w, numbers, rows, far = work.at[0], work.numbers, _rows(plan, work), plan.widest
    t0, t1 = k * w.span, min((k + 1) * w.span, w.steps)
    kept = 1 + plan.channels + plan.states
    pace = kept * plan.total * w.block
    here, later = min(k, w.windows - 1) * pace, min(k + 1, w.windows - 1) * pace
    for layer in range(plan.layers.size - 1):
        p, start = plan.layers[layer], _start(plan, layer, s, w.block)
        u, at = w.potentials + start * (w.span + 1), w.saved + kept * start
        arriving = _arriving(plan, layer, given, work)
        if first_time and layer > 0 and p.direct < 0:
            collect(plan.sources, p, s, t0, t1, arriving.indptr[s], arriving.units, work)
        copy(numbers, at + here, numbers, u, p.width)
        for row in range(plan.channels + plan.states):
            saved = at + here + (1 + row) * p.width
            copy(numbers, saved, numbers, w.rows + row * far, p.width)
        hidden_forward(
            neurons, plan, layer, s, t0, t1, u, rows, arriving, _table(tables, p), _own(tables, p),
            work,
        )  # fmt: skip
        if first_time and t1 < w.steps:
            copy(numbers, u + (t1 - t0) * p.width, numbers, at + later, p.width)
            for row in range(plan.channels + plan.states):
                to = at + later + (1 + row) * p.width
                copy(numbers, w.rows + row * far, numbers, to, p.width)


@inlined
def run_forward(s, plan, neurons, tables, given, count, work):
    """Sample s of the block through all layers; sets the spike `count` of the dense layers in
    [hidden units].
    """
    w, numbers, starts = work.at[0], work.numbers, work.starts
    most, kept, top = -(-w.steps // plan.gap), 1 + plan.channels + plan.states, plan.layers.size - 1
    for layer in range(top + 1):
        p, begin = plan.layers[layer], (layer * w.block + s) * (w.steps + 1)
        if layer > 0 and p.direct < 0:
            starts[w.indptr + begin] = (p.collected_at * w.block + p.rows * s) * most
        if layer < top:
            room = (p.list_at * w.block + p.units * s) * most
            starts[w.spike_indptr + begin] = room + (layer * w.block + s) * LANES
            at = w.saved + kept * _start(plan, layer, s, w.block)
            numbers[at : at + kept * p.width] = 0
            numbers[at : at + p.units] = neurons.constants[layer].u_init
    for k in range(-(-w.steps // w.span)):
        run_window(k, s, True, plan, neurons, tables, given, work)
    for layer in range(top):
        count_spikes(plan, layer, s, work, count)
    p = plan.layers[top]
    arriving = _arriving(plan, top, given, work)
    if top > 0 and p.direct < 0:
        collect(plan.sources, p, s, 0, w.steps, arriving.indptr[s], arriving.units, work)
    u = part(numbers, w.readout + s * (w.steps + 1) * p.width, (w.steps + 1, p.width))
    u[0, : p.units] = neurons.readout[0].u_init
    rows, table = _rows(plan, work), _table(tables, p)
    readout_forward(u, rows, neurons.readout[0], arriving.indptr[s], arriving.units, table)


@inlined
def _from_bounds(n, t0, t1, plan, work):
    """Sets gS of the hidden layers in the window's rows to what the bounds say."""
    w, g = work.at[0], work.numbers
    second, hidden = plan.total * w.block * (w.span + 4), plan.hidden
    for layer in range(plan.layers.size - 1):
        width, first = plan.layers[layer].width, plan.layers[layer].count_at
        for s in range(n):
            at = w.adjoints + _start(plan, layer, s, w.block) * (w.span + 4)
            rows = t1 - t0 + 2 if t1 == w.steps else w.span
            for channel in range(plan.channels):
                begin = at + channel * second
                if t1 == w.steps:
                    g[begin + rows * width : begin + (rows + 2) * width] = 0
                else:
                    for row in range(3, -1, -1):
                        copy(g, begin + row * width, g, begin + (w.span + row) * width, width)
            repeat(g, w.pull + s * hidden + first, g, at, width, rows)


@inlined
def _to_sources(n, layer, t0, t1, plan, natural, work):
    """Adds W^T gI of a hidden layer to gS of the layers that it hears."""
    w, p, g = work.at[0], plan.layers[layer], work.numbers
    first = max(t0, 2) - t0
    for q in range(p.first_source, p.last_source):
        source = plan.sources[q]
        if source.layer >= 0:
            step = plan.layers[source.layer].width
            for s in range(n):
                out = _start(plan, source.layer, s, w.block) * (w.span + 4) + first * step
                here = _start(plan, layer, s, w.block) * (w.span + 4) + (first + 2) * p.width
                add_product(
                    g, w.adjoints + out, step, g, w.adjoints + here, p.width, t1 - t0 - first,
                    natural, source.natural_at, p.units, source.units,
                )  # fmt: skip


@inlined
def backward_window(n, k, plan, neurons, natural, mode, given, d_tables, work):
    """The dense layers back through window k; potentials are those of the window."""
    w, top, c = work.at[0], plan.layers.size - 1, neurons.readout[0]
    t0, t1 = k * w.span, min((k + 1) * w.span, w.steps)
    _from_bounds(n, t0, t1, plan, work)
    p, said = plan.layers[top], pull(plan, mode, work)
    for q in range(p.first_source, p.last_source):
        source = plan.sources[q]
        if source.layer >= 0:
            width = plan.layers[source.layer].width
            weight = part(natural, source.natural_at, (p.units, source.units))
            for s in range(n):
                start = _start(plan, source.layer, s, w.block)
                leak = part(work.numbers, w.leak + 2 * start, (2, width))
                at = w.adjoints + start * (w.span + 4)
                readout_to_source(said, s, t0, t1, c, weight, leak, work.numbers, at, width)
    for layer in range(top - 1, -1, -1):
        p = plan.layers[layer]
        hidden_backward(
            neurons, plan, layer, n, t0, t1, _arriving(plan, layer, given, work), natural,
            _table(d_tables, p), _own(d_tables, p), work,
        )  # fmt: skip
        _to_sources(n, layer, t0, t1, plan, natural, work)


@inlined
def backward_readout(n, plan, neurons, mode, given, d_tables, work):
    """Adds the gradient of the readout's weights; begins the backward pass of n samples."""
    w, top, rows = work.at[0], plan.layers.size - 1, _rows(plan, work)
    said, arriving = pull(plan, mode, work), _arriving(plan, top, given, work)
    d_table, c, total = _table(d_tables, plan.layers[top]), neurons.readout[0], plan.total * w.block
    for s in range(n):
        readout_backward(said, s, rows, c, arriving.indptr[s], arriving.units, d_table)
    work.numbers[w.leak : w.leak + 2 * total] = 0
    work.numbers[w.gu : w.gu + (1 + plan.states) * total] = 0
