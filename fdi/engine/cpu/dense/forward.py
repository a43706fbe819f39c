"""One sample of one dense layer, forward. Only potentials and lists of spikes are kept.

A layer is populations side by side that share their constants. With one synaptic channel the units
0 .. exc - 1 are all units; with two, the recurrent projections of the units from `exc` on arrive on
the second channel.
"""

from __future__ import annotations

from fdi.engine.cpu.dense.views import arriving, start, weights, window
from fdi.engine.cpu.kernels.jit import inlined, jit
from fdi.engine.cpu.kernels.parts import part
from fdi.engine.cpu.kernels.rows import append, gather
from fdi.engine.cpu.kernels.simd import constants, fill, lanes, load, own, store
from fdi.engine.cpu.neuron.equations import forward


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


@jit
def hidden_forward(network, layer, s, k, given, work):
    """Window k of sample s: the lists of spikes, and potentials, row t - t0: U[t], of which row 0
    is given. The `rows` of currents and state at its beginning become those at its end.
    """
    plan, p, w, u = network.plan, network.plan.layers[layer], work.at[0], work.numbers
    begin = w.spike_indptr + (layer * w.block + s) * (w.steps + 1)
    spike_indptr = part(work.starts, begin, (w.steps + 1,))
    spikes, below = part(work.lists, w.spikes, (1,)), arriving(plan, layer, given, work)
    neuron = constants(network.neurons.kind, network.neurons.constants, layer)
    table, rows, width, far = weights(network.tables, p), w.rows, p.width, plan.widest
    (t0, t1), row = window(k, work), w.potentials + start(plan, layer, s, w.block) * (w.span + 1)
    past, deep = w.past + start(plan, layer, s, w.block) * w.span, w.block * plan.total * w.span
    n, state, ones = spike_indptr[t0], rows + plan.channels * far, given.counts[:0]
    for t in range(t0, t1):
        for j in range(0, width, lanes(u)):
            fired = forward(
                own(neuron, network.neurons, p.state_at + j), u, row + j, row + width + j, u,
                rows + j, far, u, state + j, far, past + j, deep,
            )  # fmt: skip
            n = append(spikes, n, fired, j)
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
        if p.recurrent_from < p.units:
            last = spike_indptr[t]
            first, border = split(p, spikes, spike_indptr[t - 1], last)
            gather(u, rows, width, table.own, spikes, ones, first, border)
            if border < last:
                gather(u, rows + far, width, table.own, spikes, ones, border, last)


@jit
def readout_forward(network, s, given, work):
    """The leaky integrator: its potentials [T + 1, width] for sample s, row t + 1 is the readout of
    step t.

    U' = beta_m U + gain I, I' = beta_s I.
    """
    plan, c, w, u = network.plan, network.neurons.readout[0], work.at[0], work.numbers
    top = plan.layers.size - 1
    p, below = plan.layers[top], arriving(plan, top, given, work)
    rows, width, ones = w.rows, p.width, given.counts[:0]
    table = weights(network.tables, p).below
    beta_m, gain, beta_s = fill(c.beta_m), fill(c.gain), fill(c.beta_s)
    row = w.readout + s * (w.steps + 1) * width
    u[row : row + p.units] = c.u_init
    u[rows : rows + width] = 0
    for t in range(w.steps):
        for j in range(0, width, lanes(u)):
            i = load(u, (rows + j,))
            store(u, (row + width + j,), beta_m * load(u, (row + j,)) + gain * i)
            store(u, (rows + j,), beta_s * i)
        row += width
        if t > 0:
            first, last = below.indptr[s, t - 1], below.indptr[s, t]
            gather(u, rows, width, table, below.units, ones, first, last)


@jit
def count_spikes(plan, layer, s, work, count):
    """Sets the part of the spike `count` [hidden units] that belongs to a layer."""
    p, w = plan.layers[layer], work.at[0]
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
