"""What one link does with the spikes of its source in one time step: add weights to currents, or adjoints to gradients of weights."""

from __future__ import annotations

from fdi.snn.engine.cpu.rows import inlined, jit
from fdi.snn.engine.cpu.simd import BYTES, fill, load, store


@inlined
def _add_run(out, b, rows, a, length, factor, weighted):
    """out[b ...] += factor rows[a ...]."""
    x = fill(factor)
    for j in range(0, length, BYTES // out.itemsize):
        w = load(rows, (a + j,))
        store(out, (b + j,), load(out, (b + j,)) + (x * w if weighted else w))


@jit
def along_runs(plan, q, table, maps, at, backward, units, counts, start, stop):
    """For the events start .. stop - 1 of link q: maps[at ...] += weights in `table`, or `backward` the other way round.

    No `counts` means that all are ones.
    """
    base, block, first, weighted = plan.table_at[q], plan.block[q], plan.first_run[q], counts.size > 0
    factor = table.dtype.type(1)
    shift = plan.shift[plan.source[q]] if plan.source[q] >= 0 else 0
    for e in range(start, stop):
        code = units[e]
        if plan.source[q] >= 0:
            channel, place = code & ((1 << shift) - 1), code >> shift
        else:
            channel = code // plan.input_positions
            place = code - channel * plan.input_positions
        if channel < plan.low[q] or channel >= plan.high[q]:
            continue
        if weighted:
            factor = counts[e]
        rows = base + (channel - plan.low[q]) * block
        for i in range(plan.run_start[first + place], plan.run_start[first + place + 1]):
            a, b, length = rows + plan.run[i, 0], at + plan.run[i, 1], plan.run[i, 2]
            if backward:
                _add_run(table, a, maps, b, length, factor, weighted)
            else:
                _add_run(maps, b, table, a, length, factor, weighted)


@jit
def deliver(plan, layer, t, table, maps, at, backward, inputs, lists):
    """`along_runs` for all links of a layer and the spikes of step t; maps[at:] are the guarded maps of the synaptic channels.

    `inputs` = (indptr [T + 1], units, counts); `lists` = (spike_indptr [L, T + 1], spikes [L, :], pooled_indptr, pooled).
    """
    indptr, units, counts = inputs
    spike_indptr, spikes, pooled_indptr, pooled = lists
    for q in range(plan.first_link[layer], plan.first_link[layer + 1]):
        source, here = plan.source[q], at + plan.guarded[layer] * plan.synapse[q]
        if source < 0:
            along_runs(plan, q, table, maps, here, backward, units, counts, indptr[t], indptr[t + 1])
        elif plan.own[q] > 0:
            start, stop = spike_indptr[source, t], spike_indptr[source, t + 1]
            along_runs(plan, q, table, maps, here, backward, spikes[source], counts[:0], start, stop)
        else:
            start, stop = pooled_indptr[source, t], pooled_indptr[source, t + 1]
            along_runs(plan, q, table, maps, here, backward, pooled[source], counts[:0], start, stop)


@inlined
def add_drive(plan, layer, maps, at, drive, row, backward):
    """maps[at:] (guarded) += drive[row] (not guarded), or `backward` the other way round."""
    height, width, padded, guard = plan.height[layer], plan.width[layer], plan.padded[layer], plan.guard[layer]
    for y in range(height):
        k = at + (y * (width + 2 * guard) + guard) * padded
        for j in range(0, width * padded, BYTES // maps.itemsize):
            i = y * width * padded + j
            total = load(maps, (k + j,)) + load(drive, (row, i))
            if backward:
                store(drive, (row, i), total)
            else:
                store(maps, (k + j,), total)
