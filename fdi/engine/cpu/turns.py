"""One layer at a time of a network with normalization, for the samples of a chunk: the turn of a
layer forward, and back.

Forward, X of all steps is stored for each layer (`received`), since its statistics are known only
when all samples have had their turn. Potentials are not: the way back computes them again from X,
and puts gX in its place. All steps of X with an effect are those but the last two.
"""

from __future__ import annotations

from fdi.engine.cpu.chunk import given_to, of_part, pooled, score_block
from fdi.engine.cpu.conv_backward import adjoint_of_maps, pull_at_maps, to_source
from fdi.engine.cpu.conv_events import add_drive, add_drive_gradient, deliver, deliver_back
from fdi.engine.cpu.conv_forward import count_map_spikes as count_spikes_of_maps
from fdi.engine.cpu.conv_forward import lists_of, update_maps
from fdi.engine.cpu.dense_backward import add_readout, adjoint
from fdi.engine.cpu.dense_forward import (
    arriving,
    collect,
    count_spikes,
    readout_forward,
    update,
    weights,
)
from fdi.engine.cpu.kernels.jit import inlined, jit, kernel
from fdi.engine.cpu.kernels.rows import LANES, add_product, copy, gather, part, repeat, scatter
from fdi.engine.cpu.kernels.simd import constants, lanes, load, store
from fdi.engine.cpu.loss import pull_of, readout_to_source
from fdi.engine.cpu.norm import add_normalized, note, note_back, through_norm
from fdi.engine.cpu.traces import add_to_maps, add_to_rows, wanted, write_maps, write_rows


@inlined
def _received(normal, work):
    """Where X of a layer begins."""
    w = work.at[0]
    return w.received + normal.received_at * max(0, w.steps - 2)


@inlined
def _add_row(drive, t, width, u, row):
    """u[row ...] += the dense current of step t, if there is any."""
    if drive.shape[1] > 0:
        step = min(t, drive.shape[1] - 1)
        for j in range(0, width, lanes(u)):
            store(u, (row + j,), load(u, (row + j,)) + load(drive, (0, step, j)))


@jit
def _rows_receive(network, layer, normal, chunk, before, given, work):
    """X of a dense layer from the spikes below, taken into its statistics."""
    plan, p, w, u = network.plan, network.plan.layers[layer], work.at[0], work.numbers
    below, table = arriving(plan, layer, given, work), weights(network.tables, p).below
    if layer > 0 and p.direct < 0:
        below.indptr[0, 0] = p.collected_at * -(-w.steps // plan.gap)
        collect(plan.sources, p, 0, 0, w.steps, below.indptr[0], below.units, work)
    row = _received(normal, work)
    for t in range(w.steps - 2):
        u[row : row + p.width] = 0
        first, last = below.indptr[0, t], below.indptr[0, t + 1]
        gather(u, row, p.width, table, below.units, below.counts, first, last)
        _add_row(below.drive, t, p.width, u, row)
        note(normal, chunk, before, t, row, work)
        before += normal.by_step
        row += p.width


@jit
def _rows_fire(network, layer, normal, work):
    """Potentials and spikes of a dense layer from X."""
    plan, p, w, u = network.plan, network.plan.layers[layer], work.at[0], work.numbers
    neuron = constants(network.neurons.kind, network.neurons.constants, layer, 2)
    spike_indptr = part(work.starts, w.spike_indptr + layer * (w.steps + 1), (w.steps + 1,))
    spikes, x, rows = part(work.lists, w.spikes, (1,)), _received(normal, work), w.rows
    row, past = w.potentials + p.state_at * (w.steps + 1), w.past + p.state_at * w.steps
    deep, n = plan.total * w.steps, p.list_at * -(-w.steps // plan.gap) + layer * LANES
    u[rows : rows + (1 + plan.states) * plan.widest] = 0
    u[row : row + p.width] = 0
    u[row : row + p.units] = network.neurons.constants[layer].u_init
    spike_indptr[0] = n
    for t in range(w.steps):
        n = update(neuron, network, p, u, row, rows, past, deep, spikes, n)
        spike_indptr[t + 1] = n
        row += p.width
        past += p.width
        if 0 < t < w.steps - 1:
            add_normalized(normal, t - 1, x, rows, 1, work)
            x += p.width


@jit
def _maps_receive(plan, layer, normal, chunk, before, tables, given, work):
    """X of a layer of maps from the spikes below, taken into its statistics."""
    p, w, u, lists = plan.layers[layer], work.at[0], work.numbers, lists_of(plan, work)
    line, x = p.width * p.padded, _received(normal, work)
    for t in range(w.steps - 2):
        u[w.maps : w.maps + p.guarded] = 0
        deliver(plan, layer, t, tables, given, lists, work)
        if layer == 0 and given.drive.shape[1] > 0:
            add_drive(p, u, w.maps, given.drive)
        for y in range(p.height):
            copy(u, w.maps + p.inside + y * p.row, u, x + y * line, line)
        note(normal, chunk, before, t, x, work)
        before += normal.by_step
        x += p.size


@jit
def _maps_fire(neurons, layer, plan, normal, work):
    """Potentials and spikes of a layer of maps from X."""
    p, w, u, lists = plan.layers[layer], work.at[0], work.numbers, lists_of(plan, work)
    neuron = constants(neurons.kind, neurons.constants, layer, 1)
    inside, line, x = w.maps + p.inside, p.width * p.padded, _received(normal, work)
    state, most = w.maps + p.guarded, -(-w.steps // plan.gap)
    n = m = p.spikes_at * most + layer * LANES
    lists.spike_indptr[layer, 0] = lists.pooled_indptr[layer, 0] = n
    u[w.maps : state + plan.states * p.size] = 0
    u[w.map_potentials : w.map_potentials + p.size] = 0
    for place in range(w.map_potentials, w.map_potentials + p.size, p.padded):
        u[place : place + p.channels] = neurons.constants[layer].u_init
    for t in range(w.steps):
        before = w.map_potentials + t * p.size
        n, m = update_maps(
            p, neurons, neuron, u, before, inside, state, lists.spikes, n, lists.pooled, m
        )
        lists.spike_indptr[layer, t + 1], lists.pooled_indptr[layer, t + 1] = n, m
        if 0 < t < w.steps - 1:
            for y in range(p.height):
                to = inside + y * p.row
                add_normalized(normal, t - 1, x + y * line, to, p.width, work)
            x += p.size


@inlined
def _fire(network, maps, layer, normal, work):
    rows = layer
    if maps is not None:
        rows -= maps.layers.size
        if rows < 0:
            _maps_fire(network.map_neurons, layer, maps, normal, work)
    if rows >= 0:
        _rows_fire(network, rows, normal, work)


@inlined
def _write(network, maps, layer, b, traces, work):
    rows = layer
    if maps is not None:
        rows -= maps.layers.size
        if rows < 0:
            write_maps(maps, layer, b, work.at[0].map_potentials, traces, work)
    if rows >= 0:
        write_rows(network.plan, rows, b, 0, traces, work)


@inlined
def _receive(network, maps, layer, normal, chunk, before, given, work):
    rows, seen = layer, given
    if maps is not None:
        rows, seen = layer - maps.layers.size, pooled(maps, given, work)
        if rows < 0:
            _maps_receive(maps, layer, normal, chunk, before, network.tables, given, work)
    if rows >= 0:
        _rows_receive(network, rows, normal, chunk, before, seen, work)


@jit
def _rows_read_out(network, given, count, work):
    """The readout's potentials; sets the spike `count` [hidden units] of the dense layers."""
    plan, w, top = network.plan, work.at[0], network.plan.layers.size - 1
    for layer in range(top):
        count_spikes(plan, layer, 0, work, count)
    p = plan.layers[top]
    if top > 0 and p.direct < 0:
        below = arriving(plan, top, given, work)
        below.indptr[0, 0] = p.collected_at * -(-w.steps // plan.gap)
        collect(plan.sources, p, 0, 0, w.steps, below.indptr[0], below.units, work)
    readout_forward(network, 0, given, work)


@inlined
def _read_out(network, maps, given, count, work):
    seen = given
    if maps is not None:
        seen, lists = pooled(maps, given, work), lists_of(maps, work)
        for layer in range(maps.layers.size):
            indptr = lists.spike_indptr[layer]
            count_spikes_of_maps(maps.layers[layer], indptr, lists.spikes, count)
    _rows_read_out(network, seen, count, work)


@kernel
def forward_turn(
    layer, hidden, chunk, first, last, network, maps, inputs, labels, loss, below, here, work,
    results,
):  # fmt: skip
    """The samples first .. last - 1, a chunk: the spikes of the layer below, which is normalized by
    `below`, and X of this `layer`, for the statistics of `here`; the loss behind the `hidden` ones.
    """
    for b in range(first, last):
        own = of_part(work, b - first)
        given = given_to(inputs, b, 1, inputs.drive, own)
        w = own.at[0]
        for t in range(w.steps + 1):
            own.starts[w.indptr + t] = inputs.indptr[b * w.steps + t]
        if layer > 0:
            _fire(network, maps, layer - 1, below, own)
            if wanted(results.traces):
                _write(network, maps, layer - 1, b, results.traces, own)
        if layer < hidden:
            before = (b - first) * here.by_sample
            _receive(network, maps, layer, here, chunk, before, given, own)
        else:
            _read_out(network, maps, given, results.counts[b], own)
            score_block(b, 1, False, network, labels, loss, results, own)


@jit
def _rows_gradients(network, layer, x, given, gradients, work):
    """Adds what gX of a dense layer, at `x`, says of its weights and of a dense current."""
    plan, p, w, u = network.plan, network.plan.layers[layer], work.at[0], work.numbers
    below, table = arriving(plan, layer, given, work), weights(gradients.tables, p).below
    for t in range(w.steps - 3, -1, -1):
        row, e, last = x + t * p.width, below.indptr[0, t], below.indptr[0, t + 1]
        scatter(table, below.units, below.counts, e, last, u, row, (0, p.width))
        if below.drive.shape[1] > 0:
            step = min(t, below.drive.shape[1] - 1)
            for j in range(0, p.width, lanes(u)):
                to = (0, step, j)
                store(below.drive, to, load(below.drive, to) + load(u, (row + j,)))


@jit
def _rows_send_back(network, layer, x, to, out, width, work):
    """Adds W^T gX of a dense layer, gX at `x`, to the rows of gS at `out` of the layer `to`, -1: of
    the maps below.
    """
    plan, p, w, u = network.plan, network.plan.layers[layer], work.at[0], work.numbers
    for q in range(p.first_source, p.last_source):
        source = plan.sources[q]
        if source.layer == to and source.natural_at >= 0:
            add_product(
                u, out, width, u, x, p.width, w.steps - 2, network.natural, source.natural_at,
                source.pitch, p.units, source.units,
            )  # fmt: skip


@jit
def _readout_sends_back(network, mode, to, out, width, leak, work):
    """The same of the readout, for the loss."""
    plan, w, u = network.plan, work.at[0], work.numbers
    p, said = plan.layers[plan.layers.size - 1], pull_of(network, mode, work)
    for q in range(p.first_source, p.last_source):
        source = plan.sources[q]
        if source.layer == to and source.natural_at >= 0:
            u[leak : leak + 2 * width] = 0
            # its rows begin two steps before those of the window, see backward_window
            readout_to_source(
                said, 0, 0, w.steps, network.natural, source.natural_at, source.pitch, leak, u,
                out - 2 * width, width,
            )  # fmt: skip


@jit
def _maps_send_back(plan, layer, to, x, learn, natural, given, gradients, work):
    """Puts or adds W^T gX of a layer of maps, gX at `x`, to the rows of gS in `above` of the layer
    `to` (-1: none), and, if it is to `learn`, adds the gradients of weights and of a dense current.
    """
    p, w, g, lists = plan.layers[layer], work.at[0], work.numbers, lists_of(plan, work)
    line, ring = p.width * p.padded, w.map_adjoints
    g[ring : ring + p.ring * p.guarded] = 0  # the guards stay so
    for first in range(0, w.steps - 2, p.ring):
        steps = min(p.ring, w.steps - 2 - first)
        for k in range(steps):
            row, now = x + (first + k) * p.size, ring + k * p.guarded
            for y in range(p.height):
                copy(g, row + y * line, g, now + p.inside + y * p.row, line)
            if learn:
                tables = gradients.tables
                deliver_back(plan, layer, first + k, tables, g, now, given, lists, work)
        if learn and layer == 0 and given.drive.shape[1] > 0:
            add_drive_gradient(p, given.drive, g, ring, steps, p.guarded)
        for q in range(p.first_link, p.last_link):
            if to >= 0 and plan.links[q].source == to:
                wide = plan.layers[to].pooled
                out = w.above + first * wide
                to_source(plan, layer, q, g, ring, steps, p.guarded, out, wide, natural, work)


@jit
def _rows_fire_back(network, layer, traces, b, gradients, work):
    """gS in the rows from `back` on becomes gI, by the potentials of _rows_fire."""
    plan, p, w, u = network.plan, network.plan.layers[layer], work.at[0], work.numbers
    neuron = constants(network.neurons.kind, network.neurons.constants, layer, 2)
    width, gu, learned = p.width, w.gu + p.state_at, w.learned + p.state_at
    potentials, past = w.potentials + p.state_at * (w.steps + 1), w.past + p.state_at * w.steps
    for k in range(1 + plan.states):
        u[gu + k * plan.total : gu + k * plan.total + width] = 0
    u[w.back + w.steps * width : w.back + (w.steps + 1) * width] = 0
    if p.learned_at >= 0:
        u[learned : learned + width] = 0
    for t in range(w.steps - 1, -1, -1):
        now, here, deep = w.back + t * width, potentials + t * width, plan.total * w.steps
        at = past + t * width
        if wanted(traces):
            add_to_rows(p, b, t, traces, u, now, gu)
        adjoint(neuron, network, p, u, now, here, at, gu, 0, plan.total, deep, learned)
    if p.learned_at >= 0:
        for j in range(0, width, lanes(u)):
            to = (p.learned_at + j,)
            total = load(gradients.tables, to) + load(u, (learned + j,))
            store(gradients.tables, to, total)


@jit
def _maps_fire_back(neurons, layer, plan, traces, b, gradients, work):
    """gI to the rows from `back` on, from gS of what is pooled in `above`, by the potentials of
    _maps_fire.
    """
    p, w, g = plan.layers[layer], work.at[0], work.numbers
    neuron = constants(neurons.kind, neurons.constants, layer, 1)
    bounds, line, far = pull_at_maps(p, work), p.width * p.padded, p.size * min(plan.states, 1)
    g[w.map_gu : w.map_gu + (1 + plan.states) * p.size] = 0
    g[w.map_adjoints : w.map_adjoints + 2 * p.guarded] = 0
    for t in range(w.steps - 1, -1, -1):
        now = w.map_adjoints + t % 2 * p.guarded
        later = w.map_adjoints + (t + 1) % 2 * p.guarded
        at, above, pulls = w.map_potentials + t * p.size, w.above + t * p.pooled, bounds
        if wanted(traces):
            pulls = add_to_maps(p, b, t, traces, bounds, w.map_gu, work)
        adjoint_of_maps(
            p, neurons, neuron, g, at, above, pulls, w.map_gu, far, now, later, gradients.tables
        )
        for y in range(p.height):
            copy(g, now + p.inside + y * p.row, g, w.back + t * p.size + y * line, line)


@inlined
def _layer_above(network, maps, layer, hidden, above, given, gradients, work):
    """gX of the layer above, in place of its X, and the gradients of its weights."""
    w, x = work.at[0], _received(above, work)
    size = above.places * above.width
    for t in range(w.steps - 2):
        through_norm(above, hidden, t, x + t * size, w.back + (t + 2) * size, work)
    rows, seen = layer, given
    if maps is not None:
        rows, seen = layer - maps.layers.size, pooled(maps, given, work)
    if rows >= 0:
        _rows_gradients(network, rows, x, seen, gradients, work)


@inlined
def _readout_gradients(network, maps, mode, given, gradients, work):
    seen = given
    if maps is not None:
        seen = pooled(maps, given, work)
    add_readout(network, 1, mode, seen, gradients, work)


@inlined
def _to_rows(network, layer, at, mode, work):
    """gS of a dense layer to the rows from `back` on: bounds, readout, and the layers above, whose
    X begin at[layer].
    """
    plan, p, w = network.plan, network.plan.layers[layer], work.at[0]
    bounds = w.pull + p.count_at
    repeat(work.numbers, bounds, work.numbers, w.back, p.width, w.steps)
    _readout_sends_back(network, mode, layer, w.back, p.width, w.leak, work)
    for other in range(layer + 1, plan.layers.size - 1):
        x = w.received + at[other] * max(0, w.steps - 2)
        _rows_send_back(network, other, x, layer, w.back, p.width, work)


@inlined
def _to_maps(network, maps, layer, at, mode, given, gradients, work):
    """gS of what is pooled of a layer of maps to `above`; adds the gradients of the layer above."""
    plan, p, w, top = network.plan, maps.layers[layer], work.at[0], maps.layers.size - 1
    rows, g = max(0, w.steps - 2) if p.pulled > 0 else 0, work.numbers
    g[w.above + rows * p.pooled : w.above + w.steps * p.pooled] = 0
    if layer == top:
        _readout_sends_back(network, mode, -1, w.above, p.pooled, w.map_leak, work)
        for other in range(plan.layers.size - 1):
            x = w.received + at[top + 1 + other] * max(0, w.steps - 2)
            _rows_send_back(network, other, x, -1, w.above, p.pooled, work)
    for other in range(top, layer, -1):  # in the order in which links put or add
        x = w.received + at[other] * max(0, w.steps - 2)
        learn = other == layer + 1
        _maps_send_back(maps, other, layer, x, learn, network.natural, given, gradients, work)


@kernel
def backward_turn(
    layer, hidden, chunk, first, last, network, maps, inputs, mode, traces, above, here,
    received_at, work, gradients,
):  # fmt: skip
    """The samples first .. last - 1, a chunk, back: gX of the layer above, which is normalized by
    `above`, with the gradients of its weights, and gX' of this `layer`, for the sums of `here`.
    """
    for b in range(first, last):
        own = of_part(work, b - first)
        given, w = given_to(inputs, b, 1, gradients.drive, own), own.at[0]
        if layer + 1 < hidden:
            _layer_above(network, maps, layer + 1, hidden, above, given, gradients, own)
        else:
            _readout_gradients(network, maps, mode, given, gradients, own)
        rows, at = layer, received_at
        if maps is not None:
            rows, at = layer - maps.layers.size, received_at[maps.layers.size :]
            if 0 <= layer < maps.layers.size:
                _to_maps(network, maps, layer, received_at, mode, given, gradients, own)
                _maps_fire(network.map_neurons, layer, maps, here, own)
                _maps_fire_back(network.map_neurons, layer, maps, traces, b, gradients, own)
            elif layer < 0:
                x, nature = _received(above, own), network.natural
                _maps_send_back(maps, 0, -1, x, True, nature, given, gradients, own)
        if rows >= 0:
            _to_rows(network, rows, at, mode, own)
            _rows_fire(network, rows, here, own)
            _rows_fire_back(network, rows, traces, b, gradients, own)
        size, x = here.places * here.width, _received(here, own)
        for t in range(w.steps - 2 if layer >= 0 else 0):
            note_back(here, hidden, chunk, t, x + t * size, w.back + (t + 2) * size, own)
