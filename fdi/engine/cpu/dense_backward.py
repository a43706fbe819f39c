"""Adjoints of the dense layers of a few samples in reverse time, window after window.

gS[t] = W^T gI[t + 2] of all targets, and what the regularizers add
gW = sum_t gI[t + 2] S_source[t]^T
"""

from __future__ import annotations

import numpy as np

from fdi.engine.cpu.dense_forward import (
    Arriving,
    arriving,
    gradient_columns,
    start,
    weights,
    window,
)
from fdi.engine.cpu.dense_layout import BLOCK, SORTED
from fdi.engine.cpu.kernels.jit import inlined, jit
from fdi.engine.cpu.kernels.rows import add_product, add_strips, copy, part, repeat, scatter
from fdi.engine.cpu.kernels.simd import (
    REGISTERS,
    constants,
    entry,
    fill_as,
    lanes,
    like,
    load,
    load_as,
    load_each,
    load_many,
    own,
    store,
    store_each,
)
from fdi.engine.cpu.loss import (
    pull_back,
    pull_of,
    pulled,
    readout_gradients,
    readout_to_source,
)
from fdi.engine.cpu.neuron_equations import (
    back,
    backward,
    learn,
    remember,
    rest,
    silent,
    slope,
    threshold,
)
from fdi.engine.cpu.traces import add_to_rows, wanted

BACK = 4 if REGISTERS == 32 else 2
"""Vectors of neurons whose gradients go back through time in registers."""


@inlined
def _through_own(layer, g, now, pace, second, samples, natural):
    """Adds W^T gI[t + 2] of the layer's own projections to the row of gS[t] of all samples."""
    later, size = now + 2 * layer.width, layer.units
    if layer.recurrent_from < layer.exc:
        add_strips(g, now, pace, g, later, pace, samples, natural, layer.own_0, size, layer.exc)
    if layer.exc < size:
        add_strips(
            g, now + layer.exc, pace, g, later + second, pace, samples, natural, layer.own_1, size,
            size - layer.exc,
        )  # fmt: skip


@inlined
def _heard_at(network, p, s, work):
    """Where the weights lie by which the readout hears a layer, and what the bounds say of it."""
    plan = network.plan
    return plan.sources[p.heard].natural_at, work.at[0].pull + s * plan.hidden + p.count_at


@inlined
def adjoint(neuron, network, p, u, now, here, past, gu, second, far, deep, learned):
    """gS[t] at u[now ...] becomes gI[t], that of the second channel `second` behind, for U[t] at
    u[here ...]; `gu`: gradients of the potential and, `far` apart, of the state.
    """
    for j in range(0, p.width, 2 * lanes(u)):
        one = own(neuron, network.neurons, p.state_at + j)
        x, at, after = load_as(one.reset.theta, u, (here + j,)), now + j, here + p.width + j
        was = load_each(remember(one.dynamics, rest(one.dynamics, x)), u, past + j, deep)
        v = x - threshold(one.dynamics, one.reset.theta, was)
        steep, fired = slope(one.surrogate, v), v > like(v, 0)
        backward(
            one, x, fired, load_as(x, u, (at,)), steep, u, gu + j, far, u, at, at + p.width,
            second, was, after, u, learned + j,
        )  # fmt: skip


@inlined
def _add_drive(drive, s, t, j, gradient):
    """What a current gets of gI[t], a vector from the j-th neuron on."""
    if t >= 2 and drive.shape[1] > 0:
        to = (s, min(t - 2, drive.shape[1] - 1), j)
        store(drive, to, load_as(gradient, drive, to) + gradient)


@inlined
def _columns_back(neuron, network, layer, s, j, k, said, drive, work):
    """Window k of as many neurons of sample s as the constants of a `neuron` are long, from the
    `j`-th on, in registers.
    """
    plan, p, w, u = network.plan, network.plan.layers[layer], work.at[0], work.numbers
    (t0, t1), first = window(k, work), start(plan, layer, s, w.block)
    width, far, steps, heard = p.width, w.block * plan.total, w.steps, p.heard >= 0
    one, zero = own(neuron, network.neurons, p.state_at + j), like(neuron.reset.theta, 0)
    gu_at, learned, deep = w.gu + first + j, w.learned + first + j, far * w.span
    second, rows = far * (w.span + 4), t1 - t0
    now = w.adjoints + first * (w.span + 4) + (rows + 2) * width + j
    here = w.potentials + first * (w.span + 1) + rows * width + j
    past = w.past + first * w.span + rows * width + j
    gu, state = load_as(zero, u, (gu_at,)), load_each(rest(one.dynamics, zero), u, gu_at + far, far)
    gi = load_each(silent(one.synapses, zero), u, now, second)
    leak, bound, weight = w.leak + 2 * first + j, zero, 0
    pull_u, pull_i = load_as(zero, u, (leak,)), load_as(zero, u, (leak + width,))
    if heard:
        weight, bounds = _heard_at(network, p, s, work)
        bound = load_as(zero, u, (bounds + j,))
    for t in range(t1 - 1, t0 - 1, -1):
        now, here, past = now - width, here - width, past - width
        x, gs = load_as(zero, u, (here,)), bound
        if not heard:
            gs = load_as(zero, u, (now,))
        elif t + 3 <= steps:
            at = weight + j
            pull_u, pull_i = pulled(said, s, t + 3, network.natural, at, width, pull_u, pull_i)
            gs = bound + pull_i
        was = load_each(remember(one.dynamics, state), u, past, deep)
        v = x - threshold(one.dynamics, one.reset.theta, was)
        steep, fired = slope(one.surrogate, v), v > zero
        gd, gu, state, gi = back(one, x, fired, gs, steep, gu, state, gi, was)
        learn(one, gd, x, fired, u, here + width, u, learned)
        store_each(u, now, second, gi)
        _add_drive(drive, s, t, j, gi[0])
    store(u, (gu_at,), gu)
    store_each(u, gu_at + far, far, state)
    store(u, (leak,), pull_u)
    store(u, (leak + width,), pull_i)


@inlined
def _rows_back(network, layer, samples, k, said, drive, traces, b, work):
    """Window k of a recurrent layer, step after step of all samples."""
    plan, p, w, u = network.plan, network.plan.layers[layer], work.at[0], work.numbers
    (t0, t1), first = window(k, work), start(plan, layer, 0, w.block)
    width, pace, far = p.width, (w.span + 4) * p.width, w.block * plan.total
    second, past_at, deep = far * (w.span + 4), w.past + first * w.span, far * w.span
    neuron = constants(network.neurons.kind, network.neurons.constants, layer, 2)
    gu, u_at, learned = w.gu + first, w.potentials + first * (w.span + 1), w.learned + first
    for t in range(t1 - 1, t0 - 1, -1):
        row = w.adjoints + first * (w.span + 4) + (t - t0 + 2) * width
        for s in range(samples if p.heard >= 0 and t + 3 <= w.steps else 0):
            weight, bounds = _heard_at(network, p, s, work)
            leak, to = w.leak + 2 * (first + s * width), row + s * pace
            pull_back(said, s, t + 3, network.natural, weight, width, leak, u, bounds, to, width)
        if t + 2 < w.steps:
            _through_own(p, u, row, pace, second, samples, network.natural)
        for s in range(samples):
            now, own_gu = row + s * pace, gu + s * width
            if wanted(traces):
                add_to_rows(p, b + s, t, traces, u, now, own_gu)
            here = u_at + (s * (w.span + 1) + t - t0) * width
            past = past_at + (s * w.span + t - t0) * width
            sums = learned + s * width
            adjoint(neuron, network, p, u, now, here, past, own_gu, second, far, deep, sums)
            for j in range(0, width if drive.shape[1] > 0 else 0, 2 * lanes(u)):
                _add_drive(drive, s, t, j, load_as(neuron.reset.theta, u, (now + j,)))


@inlined
def hidden_backward(network, layer, samples, k, said, given, traces, b, work):
    """Window k of the first `samples` samples of a layer, in step with each other if it is
    recurrent; `said` is what the loss says of the readout, and of the `traces` of a batch of which
    the first of the samples is number b.

    Rows of the `adjoints` in the scratch memory are those of the steps from t0 - 2 on: gS becomes
    gI, of which the last two are given. `gu`, gradients of potential and state at t1, become those
    at t0. Adds to the gradient `given.drive`.
    """
    plan, p = network.plan, network.plan.layers[layer]
    drive = arriving(plan, layer, given, work).drive
    if p.recurrent_from < p.units or wanted(traces):
        _rows_back(network, layer, samples, k, said, drive, traces, b, work)
        return
    few = constants(network.neurons.kind, network.neurons.constants, layer, 2)
    many = constants(network.neurons.kind, network.neurons.constants, layer, BACK)
    some = BACK * lanes(work.numbers)
    for s in range(samples):
        j = 0
        while j + some <= p.width:
            _columns_back(many, network, layer, s, j, k, said, drive, work)
            j += some
        while BACK > 2 and j < p.width:
            _columns_back(few, network, layer, s, j, k, said, drive, work)
            j += 2 * lanes(work.numbers)


@inlined
def _count(indptr, samples, t0, t1):
    """Spikes of the `samples` (first, behind the last) that gI of the steps t0 .. t1 - 1 meets,
    those of two steps before.
    """
    n = 0
    for s in range(samples[0], samples[1]):
        n += indptr[s, t1 - 2] - indptr[s, t0 - 2]
    return n


@jit
def _sort(heard, samples, t0, t1, row, pace, units, work):
    """Sorts these spikes by unit, those of a unit in the order in which they are summed: for each
    its row of gI, which is s pace + row for sample s and step t0, and the number of its event; and
    notes where those of each unit end.
    """
    w, indptr = work.at[0], heard.indptr
    ends, order = part(work.lists, w.unit_ends, (units + 1,)), part(work.lists, w.sorted_rows, (1,))
    events = part(work.lists, w.sorted_events, (1,))
    ends[:] = 0
    for s in range(samples[0], samples[1]):
        for e in range(indptr[s, t0 - 2], indptr[s, t1 - 2]):
            unit = entry(heard.units, e) + 1
            store(ends, (unit,), np.int32(entry(ends, unit) + 1))
    for unit in range(units):
        ends[unit + 1] += ends[unit]
    for t in range(t1 - 1, t0 - 1, -1):
        for s in range(samples[0], samples[1]):
            here = np.int32(s * pace + row + t - t0)
            for e in range(indptr[s, t - 2], indptr[s, t - 1]):
                unit = entry(heard.units, e)
                n = entry(ends, unit)
                store(ends, (unit,), np.int32(n + 1))
                store(order, (n,), here)
                if heard.counts.size > 0:
                    store(events, (n,), np.int32(e))


@inlined
def _add_columns(some, table, units, counts, g, at, width, j, work):
    """table[unit, j] += sum of counts[e] g[at + row width + j] over sorted spikes of the `units`
    (first, behind the last), for as many columns from the j-th on as `some` has.

    The sum of a unit stays in registers; spikes as they come would read and write rows of a table
    that the first cache has no room for.
    """
    w = work.at[0]
    ends, order = part(work.lists, w.unit_ends, (1,)), part(work.lists, w.sorted_rows, (1,))
    events = part(work.lists, w.sorted_events, (1,))
    n = entry(ends, units[0] - 1) if units[0] > 0 else 0
    for unit in range(units[0], units[1]):
        end = entry(ends, unit)
        if n < end:
            sums = load_as(some, table, (unit, j))
            for i in range(n, end if counts.size == 0 else n):
                sums = sums + load_as(some, g, (at + entry(order, i) * width + j,))
            for i in range(n, end if counts.size > 0 else n):
                count = fill_as(some, counts[entry(events, i)])
                sums = count * load_as(some, g, (at + entry(order, i) * width + j,)) + sums
            store(table, (unit, j), sums)
        n = end


@jit
def _add_sorted(table, units, counts, g, at, width, columns, work):
    """The same for all `columns` (first, behind the last)."""
    j, last = columns
    while j + 8 * lanes(g) <= last:
        _add_columns(load_many(g, (at,), 8), table, units, counts, g, at, width, j, work)
        j += 8 * lanes(g)
    while j < last:
        _add_columns(load_many(g, (at,), 2), table, units, counts, g, at, width, j, work)
        j += 2 * lanes(g)


@jit
def _add_spikes(plan, layer, table, heard, units, samples, k, across, work, own):
    """Adds to a `table` what the layer's adjoints in window k say of the weights of the units that
    are `heard`, `units`: the first, the first that arrives on channel 1, and behind the last.
    """
    w, u, width = work.at[0], work.numbers, plan.layers[layer].width
    (t0, t1), pace, (low, border, high) = window(k, work), w.span + 4, units
    g, second = w.adjoints + start(plan, layer, 0, w.block) * pace, w.block * plan.total * pace
    first = max(t0, 2)
    while first < t1:
        t, n = first, _count(heard.indptr, samples, first, t1)
        while n > SORTED and t < t1 - 1:
            t = (t + t1) // 2
            n = _count(heard.indptr, samples, t, t1)
        row = t - t0 + 2
        if n <= max(SORTED, BLOCK * high):
            _sort(heard, samples, t, t1, row, pace, high, own)
            _add_sorted(table, (low, border), heard.counts, u, g, width, across, own)
            _add_sorted(table, (border, high), heard.counts, u, g + second, width, across, own)
        else:  # an input that has units more than once in a step
            for s in range(samples[0], samples[1]):
                e, last = heard.indptr[s, t - 2], heard.indptr[s, t - 1]
                at = g + (s * pace + row) * width
                scatter(table, heard.units, heard.counts, e, last, u, at, across)
        t1 = t


@inlined
def hidden_gradients(network, layer, samples, k, given, gradients, work, own):
    """Adds what window k of a layer's adjoints says of the weights; sorts in the memory `own`."""
    plan, p, w, u = network.plan, network.plan.layers[layer], work.at[0], work.numbers
    t0, first, width = window(k, work)[0], start(plan, layer, 0, w.block), p.width
    begin = w.spike_indptr + layer * w.block * (w.steps + 1)
    spike_indptr = part(work.starts, begin, (w.block, w.steps + 1))
    below = arriving(plan, layer, given, work)
    fired = Arriving(spike_indptr, part(work.lists, w.spikes, (1,)), given.counts[:0], below.drive)
    table, across = weights(gradients.tables, p), gradient_columns(width, gradients)
    units, lowest = (0, p.rows, p.rows), p.recurrent_from
    for few in range(0, samples, BLOCK):  # the order of the sums, however many are in step
        some = few, min(few + BLOCK, samples)
        _add_spikes(plan, layer, table.below, below, units, some, k, across, work, own)
        if lowest < p.units:
            mates = lowest, max(lowest, p.exc), p.units
            _add_spikes(plan, layer, table.own, fired, mates, some, k, across, work, own)
    for s in range(samples if t0 == 0 and p.learned_at >= 0 else 0):
        for j in range(across[0], across[1], lanes(u)):
            to, at = (p.learned_at + j,), (w.learned + first + s * width + j,)
            store(gradients.tables, to, load(gradients.tables, to) + load(u, at))


@inlined
def _from_bounds(n, k, plan, work):
    """Sets gS of the hidden layers in the window's rows to what the bounds say, but where
    `hidden_backward` does.
    """
    w, g = work.at[0], work.numbers
    t0, t1 = window(k, work)
    second, hidden = plan.total * w.block * (w.span + 4), plan.hidden
    for layer in range(plan.layers.size - 1):
        width, first = plan.layers[layer].width, plan.layers[layer].count_at
        alone = plan.layers[layer].heard >= 0
        for s in range(n):
            at = w.adjoints + start(plan, layer, s, w.block) * (w.span + 4)
            rows = t1 - t0 + 2 if t1 == w.steps else w.span
            for channel in range(plan.channels):
                begin = at + channel * second
                if t1 == w.steps:
                    g[begin + rows * width : begin + (rows + 2) * width] = 0
                else:
                    for row in range(3, -1, -1):
                        copy(g, begin + row * width, g, begin + (w.span + row) * width, width)
            begin = t1 - t0 if alone else 0
            if t1 == w.steps or not alone:
                bounds = w.pull + s * hidden + first
                repeat(g, bounds, g, at + begin * width, width, rows - begin)


@inlined
def _to_sources(n, layer, k, plan, natural, work):
    """Adds W^T gI of a hidden layer to gS of the layers that it hears."""
    w, p, g = work.at[0], plan.layers[layer], work.numbers
    t0, t1 = window(k, work)
    first = max(t0, 2) - t0
    for q in range(p.first_source, p.last_source):
        source = plan.sources[q]
        if source.layer >= 0:
            step = plan.layers[source.layer].width
            for s in range(n):
                out = start(plan, source.layer, s, w.block) * (w.span + 4) + first * step
                here = start(plan, layer, s, w.block) * (w.span + 4) + (first + 2) * p.width
                add_product(
                    g, w.adjoints + out, step, g, w.adjoints + here, p.width, t1 - t0 - first,
                    natural, source.natural_at, source.pitch, p.units, source.units,
                )  # fmt: skip


@inlined
def backward_window(network, n, k, mode, given, traces, b, gradients, work):
    """The dense layers of n samples, from number b on, back through window k; potentials are those
    of the window.
    """
    plan, w, top = network.plan, work.at[0], network.plan.layers.size - 1
    t0, t1 = window(k, work)
    _from_bounds(n, k, plan, work)
    p, said = plan.layers[top], pull_of(network, mode, work)
    for q in range(p.first_source, p.last_source):
        source = plan.sources[q]
        if source.layer >= 0 and plan.layers[source.layer].heard < 0:
            width = plan.layers[source.layer].width
            for s in range(n):
                first = start(plan, source.layer, s, w.block)
                at, leak = w.adjoints + first * (w.span + 4), w.leak + 2 * first
                readout_to_source(
                    said, s, t0, t1, network.natural, source.natural_at, source.pitch, leak,
                    work.numbers, at, width,
                )  # fmt: skip
    for layer in range(top - 1, -1, -1):
        hidden_backward(network, layer, n, k, said, given, traces, b, work)
        hidden_gradients(network, layer, n, k, given, gradients, work, work)
        _to_sources(n, layer, k, plan, network.natural, work)


@inlined
def add_readout(network, n, mode, given, gradients, work):
    """Adds the gradient of the readout's weights for n samples."""
    plan, top = network.plan, network.plan.layers.size - 1
    said, below = pull_of(network, mode, work), arriving(plan, top, given, work)
    p = plan.layers[top]
    table, some = weights(gradients.tables, p).below, gradient_columns(p.width, gradients)
    for s in range(n if some[0] < some[1] else 0):
        readout_gradients(said, s, below, table, some)


@inlined
def start_backward(network, work):
    """Nothing pulls at a block of samples behind the last step."""
    plan, w = network.plan, work.at[0]
    total = plan.total * w.block
    if plan.learns > 0:
        work.numbers[w.learned : w.learned + total] = 0
    work.numbers[w.leak : w.leak + 2 * total] = 0
    work.numbers[w.gu : w.gu + (1 + plan.states) * total] = 0
