"""One sample of one layer of convolutions over a window of time, forward. Only potentials and lists
of spikes are kept.
"""

from __future__ import annotations

from fdi.snn.engine.cpu.conv.events import add_drive, deliver
from fdi.snn.engine.cpu.kernels.jit import inlined, jit
from fdi.snn.engine.cpu.kernels.parts import part
from fdi.snn.engine.cpu.kernels.rows import append
from fdi.snn.engine.cpu.kernels.simd import BYTES, constants
from fdi.snn.engine.cpu.neuron.equations import forward


@inlined
def _update(p, neuron, u, before, maps, state, spikes, n):
    """Potentials u[before ...] become those behind; at `maps` in u are the guarded currents, at
    `state` the state; appends the codes of the spikes, returns the new n.
    """
    for y in range(p.height):
        for x in range(p.width):
            place = y * p.width + x
            k = maps + p.inside + y * p.row + x * p.padded
            for j in range(0, p.padded, BYTES // u.itemsize):
                i = place * p.padded + j
                fired = forward(
                    neuron, u, before + i, before + p.size + i, u, k + j, p.guarded, u, state + i,
                    p.size,
                )  # fmt: skip
                n = append(spikes, n, fired, (place << p.shift) + j)
    return n


@inlined
def _pool(p, window, spikes, first, last, stamps, stamp, pooled, n):
    """Append the codes of the windows that the visible ones of the spikes first .. last - 1 fall
    into, each once; return the new n.
    """
    for e in range(first, last):
        code = spikes[e]
        place = code >> p.shift
        channel, to = code - (place << p.shift), window[p.first_window + place]
        code = (to << p.shift) + channel
        if channel < p.visible and to >= 0 and (p.pool_x == 1 or stamps[code] != stamp):
            stamps[code] = stamp
            pooled[n] = code
            n += 1
    return n


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
    stamps = part(work.lists, w.stamps, ((p.height * p.width) << p.shift,))
    stamps[:] = -1
    for t in range(t0, t1):
        first = n
        n = _update(p, neuron, u, u_at + (t - t0) * p.size, w.maps, state, lists.spikes, n)
        lists.spike_indptr[layer, t + 1] = n
        m = _pool(p, plan.window, lists.spikes, first, n, stamps, t, lists.pooled, m)
        lists.pooled_indptr[layer, t + 1] = m
        if t > 0:
            deliver(plan, layer, t - 1, tables, given, lists, work)
            if drive.shape[1] > 0:
                add_drive(p, u, w.maps, drive, min(t - 1, drive.shape[1] - 1))


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
