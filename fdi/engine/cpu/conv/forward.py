"""One sample of one layer of convolutions over a window of time, forward. Only potentials and lists
of spikes are kept.
"""

from __future__ import annotations

from fdi.engine.cpu.conv.events import add_drive, deliver
from fdi.engine.cpu.kernels.jit import inlined, jit
from fdi.engine.cpu.kernels.rows import append
from fdi.engine.cpu.kernels.simd import constants, lanes, leading, prefetch
from fdi.engine.cpu.neuron.equations import forward


@inlined
def _update(p, neuron, u, before, maps, state, spikes, n, pooled, m):
    """Potentials u[before ...] become those behind; at `maps` in u begins what is inside of the
    guarded currents, at `state` the state. Appends the codes of the spikes, and those of the
    pooling windows that some visible ones fall into; returns the new n and m.
    """
    height, width, padded, row, size = p.height, p.width, p.padded, p.row, p.size
    pool_y, pool_x, guarded, shift, visible = p.pool_y, p.pool_x, p.guarded, p.shift, p.visible
    rows, columns = height // pool_y, width // pool_x
    for wy in range(-(-height // pool_y)):
        for wx in range(-(-width // pool_x)):
            top, left, whole = wy * pool_y, wx * pool_x, wy < rows and wx < columns
            bottom, right = min(top + pool_y, height), min(left + pool_x, width)
            window = wy * columns + wx
            for j in range(0, padded, lanes(u)):
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
def conv_forward(neurons, layer, plan, t0, t1, u_at, tables, given, lists, work):
    """The steps t0 .. t1 - 1: potentials from `u_at` on in the scratch memory, U[t0] is given;
    spikes and pooled spikes into `lists`. The guarded currents and the state at t0 become those at
    t1.
    """
    p, w, u, drive = plan.layers[layer], work.at[0], work.numbers, given.drive
    neuron = constants(neurons.kind, neurons.constants, layer)
    n, m = lists.spike_indptr[layer, t0], lists.pooled_indptr[layer, t0]
    state = w.maps + plan.channels * p.guarded
    for t in range(t0, t1):
        before = u_at + (t - t0) * p.size
        n, m = _update(
            p, neuron, u, before, w.maps + p.inside, state, lists.spikes, n, lists.pooled, m
        )
        lists.spike_indptr[layer, t + 1], lists.pooled_indptr[layer, t + 1] = n, m
        if t > 0:
            deliver(plan, layer, t - 1, tables, given, lists, work)
            if drive.shape[1] > 0:
                add_drive(p, u, w.maps, drive)


@jit
def count_spikes(p, spike_indptr, spikes, count):
    """Sets the part of the spike `count` [hidden units], in the order of torch, that belongs to
    layer p.
    """
    positions, shift = p.height * p.width, p.shift
    count[p.spikes_at : p.spikes_at + p.channels * positions] = 0
    for e in range(spike_indptr[0], spike_indptr[-1]):
        code = spikes[e]
        unit = (code & ((1 << shift) - 1)) * positions + (code >> shift)
        count[p.spikes_at + unit] += 1
