"""One sample of one layer of convolutions over a whole trial, forward. Only potentials and lists of spikes are kept."""

from __future__ import annotations

from fdi.snn.engine.cpu.rows import append, inlined, jit
from fdi.snn.engine.cpu.simd import BYTES, fill, load, select, store


@inlined
def add_runs(out, out_at, table, table_at, runs, first, last, factor, weighted):
    """Add `factor` times one source channel's weights to the map at `out_at` along the runs of one source position."""
    n = BYTES // out.itemsize
    x = fill(factor)
    for i in range(first, last):
        a, b = table_at + runs[i, 0], out_at + runs[i, 1]
        for j in range(0, runs[i, 2], n):
            w = load(table, (a + j,))
            store(out, (b + j,), load(out, (b + j,)) + (x * w if weighted else w))


@inlined
def decode(plan, link, code, inputs):
    """(channel, position) of a source's spike."""
    if inputs:
        channel = code // plan.input_positions
        return channel, code - channel * plan.input_positions
    shift = plan.shift[plan.source[link]]
    return code & ((1 << shift) - 1), code >> shift


@inlined
def _update(plan, layer, u, before, after, maps, c, spikes, n):
    """The step of forward._update for a map: potentials u[before ...] become u[after ...], currents are the guarded maps [channels, :]."""
    height, width, padded, guard, shift = (
        plan.height[layer], plan.width[layer], plan.padded[layer], plan.guard[layer], plan.shift[layer],
    )  # fmt: skip
    beta_m, theta, zero = fill(c[0]), fill(c[5]), fill(c[0] - c[0])
    gain_0, gain_1, beta_0, beta_1 = fill(c[1]), fill(c[2]), fill(c[3]), fill(c[4])
    both = plan.synapses[layer] > 1
    for y in range(height):
        for x in range(width):
            place, k = y * width + x, (y * (width + 2 * guard) + guard + x) * padded
            for j in range(0, padded, BYTES // u.itemsize):
                v, i = load(u, (before + place * padded + j,)), load(maps, (0, k + j))
                drive = gain_0 * i
                store(maps, (0, k + j), beta_0 * i)
                if both:
                    i = load(maps, (1, k + j))
                    drive = drive + gain_1 * i
                    store(maps, (1, k + j), beta_1 * i)
                fired = v > theta
                store(u, (after + place * padded + j,), select(fired, zero, beta_m * v + drive))
                n = append(spikes, n, fired, (place << shift) + j)
    return n


@inlined
def _pool(plan, layer, spikes, first, last, stamps, stamp, pooled, n):
    """Append the codes of the windows that the spikes first .. last - 1 fall into, each once, to pooled[n:]; return the new n."""
    width, shift, pool, visible = plan.width[layer], plan.shift[layer], plan.pool[layer], plan.visible[layer]
    high, wide = plan.height[layer] // pool, width // pool
    if plan.height[layer] == 1:
        high = 1
    for e in range(first, last):
        channel, place = spikes[e] & ((1 << shift) - 1), spikes[e] >> shift
        y, x = place // width // pool, place % width // pool
        if channel < visible and y < high and x < wide:
            code = ((y * wide + x) << shift) + channel
            if stamps[code] != stamp:
                stamps[code] = stamp
                pooled[n] = code
                n += 1
    return n


@jit
def conv_forward(plan, layer, s, u, at, maps, c, tables, given, lists, stamps, count):
    """Potentials u[at:] [T + 1, size] (row 0 is given), spikes and pooled spikes into `lists`, the number of each unit's into `count`.

    `given` = (indptr [T + 1], units, counts, drive [0, 1 or T, size]) of the input; `lists` = (spike_indptr [L, T + 1], spikes [L, :],
    pooled_indptr, pooled) of all layers; `stamps` [codes] is scratch.
    """
    indptr, units, counts, drive = given
    spike_indptr, spikes, pooled_indptr, pooled = lists
    steps, size, padded = indptr.size - 1, plan.size[layer], plan.padded[layer]
    height, width, guard, shift = plan.height[layer], plan.width[layer], plan.guard[layer], plan.shift[layer]
    one = c.dtype.type(1)
    maps[:, : plan.guarded[layer]] = 0
    stamps[:] = -1
    n, m = 0, 0
    spike_indptr[layer, 0], pooled_indptr[layer, 0] = 0, 0
    for t in range(steps):
        n = _update(plan, layer, u, at + t * size, at + (t + 1) * size, maps, c, spikes[layer], n)
        spike_indptr[layer, t + 1] = n
        m = _pool(plan, layer, spikes[layer], spike_indptr[layer, t], n, stamps, t, pooled[layer], m)
        pooled_indptr[layer, t + 1] = m
        if t == 0:
            continue
        for q in range(plan.first_link[layer], plan.first_link[layer + 1]):
            source, first_run = plan.source[q], plan.first_run[q]
            if source < 0:
                for e in range(indptr[t - 1], indptr[t]):
                    channel, place = decode(plan, q, units[e], True)
                    factor = counts[e] if counts.size > 0 else one
                    a, b = plan.run_start[first_run + place], plan.run_start[first_run + place + 1]
                    add_runs(maps, 0, tables, plan.table_at[q] + channel * plan.block[q], plan.run, a, b, factor, counts.size > 0)
