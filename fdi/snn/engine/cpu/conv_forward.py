"""One sample of one layer of convolutions over a whole trial, forward. Only potentials and lists of spikes are kept."""

from __future__ import annotations

from fdi.snn.engine.cpu.conv_events import add_drive, deliver
from fdi.snn.engine.cpu.rows import append, inlined, jit
from fdi.snn.engine.cpu.simd import BYTES, fill, load, select, store


@inlined
def _update(plan, layer, u, before, after, maps, c, spikes, n):
    """The step of forward._update for maps: potentials u[before ...] become u[after ...]; `maps` are the guarded currents."""
    height, width, padded, guard = plan.height[layer], plan.width[layer], plan.padded[layer], plan.guard[layer]
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
    """Append the codes of the windows that the visible ones of the spikes first .. last - 1 fall into, each once; return the new n."""
    shift, visible, single, at = plan.shift[layer], plan.visible[layer], plan.pool_x[layer] == 1, plan.first_window[layer]
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
def conv_forward(plan, layer, u, u_init, maps, c, tables, inputs, drive, lists, rows, stamps, count):
    """Potentials [T + 1, size] into `u` at the layer's place, spikes and pooled spikes into `lists`, and each unit's `count`.

    `inputs` and `lists` as in conv_events.deliver; `drive` [0, 1 or T, size] is a dense current; the others are scratch.
    """
    spike_indptr, spikes, pooled_indptr, pooled = lists
    steps, size, padded, shift = spike_indptr.shape[1] - 1, plan.size[layer], plan.padded[layer], plan.shift[layer]
    at, n, m = plan.size_at[layer] * (steps + 1), 0, 0
    for place in range(0, size, padded):
        for j in range(padded):
            u[at + place + j] = u_init if j < plan.channels[layer] else 0
    maps[: 2 * plan.guarded[layer]] = 0
    stamps[:] = -1
    count[:] = 0
    spike_indptr[layer, 0], pooled_indptr[layer, 0] = 0, 0
    for t in range(steps):
        first = n
        n = _update(plan, layer, u, at + t * size, at + (t + 1) * size, maps, c, spikes[layer], n)
        spike_indptr[layer, t + 1] = n
        m = _pool(plan, layer, spikes[layer], first, n, stamps, t, pooled[layer], m)
        pooled_indptr[layer, t + 1] = m
        if t > 0:
            deliver(plan, layer, t - 1, tables, maps, 0, False, inputs, lists, rows)
            if drive.shape[0] > 0:
                add_drive(plan, layer, maps, 0, drive, min(t - 1, drive.shape[0] - 1), False)
    positions = plan.height[layer] * plan.width[layer]
    for e in range(n):
        code = spikes[layer, e]
        count[(code & ((1 << shift) - 1)) * positions + (code >> shift)] += 1
