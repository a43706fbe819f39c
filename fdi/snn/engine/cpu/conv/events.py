"""What the links of a layer do with the spikes of one time step: add weights to currents, or
adjoints to gradients of weights.

`inputs` = (indptr [T + 1], units, counts) are the events of one sample. `lists` = (spike_indptr [L,
T + 1], spikes, pooled_indptr, pooled) are the codes of all layers' spikes, before and after
pooling. `rows` [channels] is scratch.
"""

from __future__ import annotations

from fdi.snn.engine.cpu.kernels.rows import inlined, jit
from fdi.snn.engine.cpu.kernels.simd import BYTES, fill, load, store


@inlined
def _add_run(out, b, rows, a, length, factor, weighted):
    """out[b ...] += factor rows[a ...]."""
    n, x = BYTES // out.itemsize, fill(factor)
    j = 0
    while j + 4 * n <= length and not weighted:
        p, q = b + j, a + j
        s0, s1, s2, s3 = (
            load(out, (p,)),
            load(out, (p + n,)),
            load(out, (p + 2 * n,)),
            load(out, (p + 3 * n,)),
        )
        s0, s1 = s0 + load(rows, (q,)), s1 + load(rows, (q + n,))
        s2, s3 = s2 + load(rows, (q + 2 * n,)), s3 + load(rows, (q + 3 * n,))
        (
            store(out, (p,), s0),
            store(out, (p + n,), s1),
            store(out, (p + 2 * n,), s2),
            store(out, (p + 3 * n,), s3),
        )
        j += 4 * n
    while j < length:
        w = load(rows, (a + j,))
        store(out, (b + j,), load(out, (b + j,)) + (x * w if weighted else w))
        j += n


@inlined
def _add_runs(out, b, table, rows, n, a, length):
    """out[b ...] += sum of table[row + a ...] over the first n rows."""
    lanes = BYTES // out.itemsize
    j = 0
    while j + 4 * lanes <= length:
        p, q = b + j, a + j
        s0, s1, s2, s3 = (
            load(out, (p,)),
            load(out, (p + lanes,)),
            load(out, (p + 2 * lanes,)),
            load(out, (p + 3 * lanes,)),
        )
        for i in range(n):
            r = rows[i] + q
            s0, s1 = s0 + load(table, (r,)), s1 + load(table, (r + lanes,))
            s2, s3 = s2 + load(table, (r + 2 * lanes,)), s3 + load(table, (r + 3 * lanes,))
        (
            store(out, (p,), s0),
            store(out, (p + lanes,), s1),
            store(out, (p + 2 * lanes,), s2),
            store(out, (p + 3 * lanes,), s3),
        )
        j += 4 * lanes
    while j < length:
        s0 = load(out, (b + j,))
        for i in range(n):
            s0 = s0 + load(table, (rows[i] + a + j,))
        store(out, (b + j,), s0)
        j += lanes


@jit
def _input_events(plan, q, table, maps, at, backward, units, counts, start, stop):
    """maps[at ...] += weights in `table` for the input's events start .. stop - 1, or `backward`
    the other way round.
    """
    factor, first = table.dtype.type(1), plan.first_run[q]
    for e in range(start, stop):
        channel = units[e] // plan.input_positions
        place = units[e] - channel * plan.input_positions
        if counts.size > 0:
            factor = counts[e]
        row = plan.table_at[q] + channel * plan.block[q]
        for i in range(plan.run_start[first + place], plan.run_start[first + place + 1]):
            a, b = row + plan.run[i, 0], at + plan.run[i, 1]
            if backward:
                _add_run(table, a, maps, b, plan.run[i, 2], factor, counts.size > 0)
            else:
                _add_run(maps, b, table, a, plan.run[i, 2], factor, counts.size > 0)


@jit
def _add_currents(plan, q, table, maps, at, codes, start, stop, rows):
    """maps[at ...] += weights for the spikes start .. stop - 1; those of one position, which follow
    each other, share their runs.
    """
    shift, first, low, high = (
        plan.shift[plan.source[q]],
        plan.first_run[q],
        plan.low[q],
        plan.high[q],
    )
    e = start
    while e < stop:
        place, n = codes[e] >> shift, 0
        while e < stop and codes[e] >> shift == place:
            channel = codes[e] - (place << shift)
            if low <= channel < high:
                rows[n] = plan.table_at[q] + (channel - low) * plan.block[q]
                n += 1
            e += 1
        if n > 0:
            for i in range(plan.run_start[first + place], plan.run_start[first + place + 1]):
                _add_runs(maps, at + plan.run[i, 1], table, rows, n, plan.run[i, 0], plan.run[i, 2])


@jit
def _add_gradients(plan, q, table, maps, at, codes, start, stop):
    """table += maps[at ...] for the spikes start .. stop - 1."""
    shift, first, low, high = (
        plan.shift[plan.source[q]],
        plan.first_run[q],
        plan.low[q],
        plan.high[q],
    )
    one = table.dtype.type(1)
    for e in range(start, stop):
        place = codes[e] >> shift
        channel = codes[e] - (place << shift)
        if low <= channel < high:
            row = plan.table_at[q] + (channel - low) * plan.block[q]
            for i in range(plan.run_start[first + place], plan.run_start[first + place + 1]):
                _add_run(
                    table,
                    row + plan.run[i, 0],
                    maps,
                    at + plan.run[i, 1],
                    plan.run[i, 2],
                    one,
                    False,
                )


@jit
def deliver(plan, layer, t, table, maps, at, backward, inputs, lists, rows):
    """The spikes of step t through all links of a layer: into the guarded maps of the synaptic
    channels at maps[at:], or `backward`.
    """
    indptr, units, counts = inputs
    spike_indptr, spikes, pooled_indptr, pooled = lists
    for q in range(plan.first_link[layer], plan.first_link[layer + 1]):
        source, here = plan.source[q], at + plan.guarded[layer] * plan.synapse[q]
        if source < 0:
            _input_events(
                plan, q, table, maps, here, backward, units, counts, indptr[t], indptr[t + 1]
            )
            continue
        own = plan.own[q] > 0
        codes = spikes if own else pooled
        start = spike_indptr[source, t] if own else pooled_indptr[source, t]
        stop = spike_indptr[source, t + 1] if own else pooled_indptr[source, t + 1]
        if backward:
            _add_gradients(plan, q, table, maps, here, codes, start, stop)
        else:
            _add_currents(plan, q, table, maps, here, codes, start, stop, rows)


@inlined
def add_drive(plan, layer, maps, at, drive, row, backward):
    """maps[at:] (guarded) += drive[row] (not guarded), or `backward` the other way round."""
    height, width, padded, guard = (
        plan.height[layer],
        plan.width[layer],
        plan.padded[layer],
        plan.guard[layer],
    )
    for y in range(height):
        k = at + (y * (width + 2 * guard) + guard) * padded
        for j in range(0, width * padded, BYTES // maps.itemsize):
            i = y * width * padded + j
            total = load(maps, (k + j,)) + load(drive, (row, i))
            if backward:
                store(drive, (row, i), total)
            else:
                store(maps, (k + j,), total)
