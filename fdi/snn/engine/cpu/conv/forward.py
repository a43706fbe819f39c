"""One sample of one layer of convolutions over a whole trial, forward. Only potentials and lists of
spikes are kept.
"""

from __future__ import annotations

from fdi.snn.engine.cpu.conv.events import add_drive, deliver
from fdi.snn.engine.cpu.kernels.rows import append, inlined, jit
from fdi.snn.engine.cpu.kernels.simd import BYTES, fill, load, select, store


@inlined
def _update(plan, layer, u, before, after, maps, c, spikes, n):
    """The step of forward._update for maps: potentials u[before ...] become u[after ...]; `maps`
    are the guarded currents.
    """
    height, width, padded, guard = (
        plan.height[layer],
        plan.width[layer],
        plan.padded[layer],
        plan.guard[layer],
    )
    shift, second, both = plan.shift[layer], plan.guarded[layer], plan.synapses[layer] > 1
    beta_m, theta, zero = fill(c[0]), fill(c[5]), fill(c[0] - c[0])
    gain_0, gain_1, beta_0, beta_1 = fill(c[1]), fill(c[2]), fill(c[3]), fill(c[4])
    for y in range(height):
        for x in range(width):
            place, k = y * width + x, (y * (width + 2 * guard) + guard + x) * padded
            for j in range(0, padded, BYTES // u.itemsize):
                v, i = load(u, (before + place * padded + j,)), load(maps, (k + j,))
                drive = gain_0 * i
                store(maps, (k + j,), beta_0 * i)
                if both:
                    i = load(maps, (second + k + j,))
                    drive = drive + gain_1 * i
                    store(maps, (second + k + j,), beta_1 * i)
                fired = v > theta
                store(u, (after + place * padded + j,), select(fired, zero, beta_m * v + drive))
                n = append(spikes, n, fired, (place << shift) + j)
    return n


@inlined
def _pool(plan, layer, spikes, first, last, stamps, stamp, pooled, n):
    """Append the codes of the windows that the visible ones of the spikes first .. last - 1 fall
    into, each once; return the new n.
    """
    shift, visible, single, at = (
        plan.shift[layer],
        plan.visible[layer],
        plan.pool_x[layer] == 1,
        plan.first_window[layer],
    )
    for e in range(first, last):
        code = spikes[e]
        place = code >> shift
        channel, window = code - (place << shift), plan.window[at + place]
        code = (window << shift) + channel
        if channel < visible and window >= 0 and (single or stamps[code] != stamp):
            stamps[code] = stamp
            pooled[n] = code
            n += 1
    return n


@jit
def conv_forward(plan, layer, t0, t1, u, maps, c, tables, inputs, drive, lists, rows, stamps):
    """The steps t0 .. t1 - 1: potentials into `u` at the layer's place, U[t0] is given; spikes and
    pooled spikes into `lists`.

    `maps` are the guarded currents at t0 and become those at t1. `inputs` and `lists` as in
    conv_events.deliver; `drive` [0, 1 or T, size] is a dense current; the others are scratch.
    """
    spike_indptr, spikes, pooled_indptr, pooled = lists
    size, at, n, m = plan.size[layer], 0, spike_indptr[layer, t0], pooled_indptr[layer, t0]
    stamps[:] = -1
    for t in range(t0, t1):
        first = n
        n = _update(plan, layer, u, at, at + size, maps, c, spikes, n)
        at += size
        spike_indptr[layer, t + 1] = n
        m = _pool(plan, layer, spikes, first, n, stamps, t, pooled, m)
        pooled_indptr[layer, t + 1] = m
        if t > 0:
            deliver(plan, layer, t - 1, tables, maps, 0, False, inputs, lists, rows)
            if drive.shape[0] > 0:
                add_drive(plan, layer, maps, 0, drive, min(t - 1, drive.shape[0] - 1), False)


@jit
def count_spikes(plan, layer, spike_indptr, spikes, count):
    """The spike `count` of each unit, in the order of torch."""
    positions, shift = plan.height[layer] * plan.width[layer], plan.shift[layer]
    count[:] = 0
    for e in range(spike_indptr[0], spike_indptr[-1]):
        code = spikes[e]
        count[(code & ((1 << shift) - 1)) * positions + (code >> shift)] += 1
