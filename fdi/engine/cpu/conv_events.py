"""What the links of a layer do with the spikes of one time step: add weights to currents, or
adjoints to gradients of weights.

`given`: the events of one sample, as dense_forward.Arriving. `lists`: the codes of all layers'
spikes, before and after pooling. `rows` [channels] is scratch.

`add_currents` adds what the spikes of a layer below cause, neuron after neuron:
I(oy, ox) += sum of W[channel, y + padding - oy stride, x + padding - ox stride] over the spikes
(channel, y, x) that the kernel reads there; those of one row y follow each other in the list.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fdi.engine.cpu.kernels.jit import Record, inlined, jit
from fdi.engine.cpu.kernels.rows import part
from fdi.engine.cpu.kernels.simd import (
    Vector,
    entry,
    fill,
    fill_many,
    lanes,
    load,
    load_as,
    load_many,
    store,
)

if TYPE_CHECKING:
    from fdi.engine.cpu.conv_plan import ConvPlan
    from fdi.engine.cpu.dense_forward import Arriving
    from fdi.engine.cpu.memory import Work


@inlined
def _find(
    plan: ConvPlan, link: Record, codes: np.ndarray, start: int, stop: int, rows: np.ndarray,
    begin: np.ndarray,
) -> None:  # fmt: skip
    """Of the spikes start .. stop - 1, sorted by position: `rows`, where their weights begin in the
    table, and begin[i], how many come before position i.
    """
    positions = link.source_height * link.source_width
    for place in range(positions + 1):
        begin[place] = 0
    for e in range(start, stop):
        place = codes[e] >> link.shift
        channel = codes[e] - (place << link.shift)
        column = plan.place[link.first_place + place, 2]
        rows[e - start] = link.table_at + channel * link.block + column
        begin[place + 1] = e - start + 1
    for place in range(positions):
        begin[place + 1] = max(begin[place], begin[place + 1])


@inlined
def _add(
    zero: Vector, maps: np.ndarray, to: int, table: np.ndarray, at: int, rows: np.ndarray,
    begin: np.ndarray, first: int, number: int, wide: int, high: int, pace: int,
) -> None:  # fmt: skip
    """maps[to ...] += the weights of the spikes at `number` positions from the first on, in each of
    `high` rows, `wide` positions apart; weights of the next row lie `pace` behind. As many channels
    as `zero` has.
    """
    total = load_as(zero, maps, (to,))
    for y in range(high):
        place = first + y * wide
        for e in range(entry(begin, place), entry(begin, place + number)):
            total = total + load_as(zero, table, (entry(rows, e) + at + y * pace,))
    store(maps, (to,), total)


@inlined
def _slide(
    zero: Vector, plan: ConvPlan, p: Record, link: Record, table: np.ndarray, maps: np.ndarray,
    at: int, rows: np.ndarray, begin: np.ndarray, j: int,
) -> None:  # fmt: skip
    """As add_currents for kernels three rows high that step by one, as many channels as `zero` has
    from the j-th on: down each column of the maps, with the sums for three rows in registers.
    """
    wide, pace, row = link.source_width, link.kernel_x * p.padded, p.row
    at += j + (link.padding_y - 2) * row
    for ox in range(p.width):
        left = ox * link.stride_x - link.padding_x
        x0 = min(max(0, left), wide)
        number, to = max(x0, min(left + link.kernel_x, wide)) - x0, at + ox * p.padded
        # Down the column each row of the source adds to three rows of the map; the upper one is
        # complete then, so it is stored once and the other two move up.
        low, mid = load_as(zero, maps, (to,)), load_as(zero, maps, (to + row,))
        for y in range(link.source_height):
            place, high = y * wide + x0, load_as(zero, maps, (to + 2 * row,))
            for e in range(entry(begin, place), entry(begin, place + number)):
                a = entry(rows, e) + ox * p.padded + j
                high = high + load_as(zero, table, (a,))
                mid = mid + load_as(zero, table, (a + pace,))
                low = low + load_as(zero, table, (a + 2 * pace,))
            store(maps, (to,), low)
            low, mid, to = mid, high, to + row
        store(maps, (to,), low), store(maps, (to + row,), mid)


@jit
def add_currents(
    plan: ConvPlan, p: Record, link: Record, table: np.ndarray, maps: np.ndarray, at: int,
    codes: np.ndarray, start: int, stop: int, work: Work,
) -> None:  # fmt: skip
    """maps[at ...], what is inside of a guarded map of layer p, += weights for the spikes start ..
    stop - 1 of the layer below.
    """
    rows = part(work.starts, work.at[0].starts, (1,))
    begin = part(work.starts, work.at[0].begins, (1,))
    _find(plan, link, codes, start, stop, rows, begin)
    n, zero, padded, wide = lanes(maps), maps.dtype.type(0), p.padded, link.source_width
    kernel_x, stride_x, padding_x = link.kernel_x, link.stride_x, link.padding_x
    pace, j = kernel_x * padded, 0
    if link.kernel_y == 3 and link.stride_y == 1:
        while j + 4 * n <= padded:
            _slide(fill_many(zero, 4), plan, p, link, table, maps, at, rows, begin, j)
            j += 4 * n
        while j + 2 * n <= padded:
            _slide(fill_many(zero, 2), plan, p, link, table, maps, at, rows, begin, j)
            j += 2 * n
        while j < padded:
            _slide(fill(zero), plan, p, link, table, maps, at, rows, begin, j)
            j += n
        return
    for oy in range(p.height):
        top = oy * link.stride_y - link.padding_y
        y0, high = max(0, top), min(top + link.kernel_y, link.source_height) - max(0, top)
        for ox in range(p.width):
            left = ox * stride_x - padding_x
            x0 = min(max(0, left), wide)
            first, number = y0 * wide + x0, max(x0, min(left + kernel_x, wide)) - x0
            to, a = at + oy * p.row + ox * padded, (y0 - top) * pace + ox * padded
            j = 0
            while j + 4 * n <= padded:
                four = fill_many(zero, 4)
                _add(four, maps, to + j, table, a + j, rows, begin, first, number, wide, high, pace)
                j += 4 * n
            while j + 2 * n <= padded:
                two = fill_many(zero, 2)
                _add(two, maps, to + j, table, a + j, rows, begin, first, number, wide, high, pace)
                j += 2 * n
            while j < padded:
                one = fill(zero)
                _add(one, maps, to + j, table, a + j, rows, begin, first, number, wide, high, pace)
                j += n


class Lists(NamedTuple):
    """Spikes of layer l in step t: spikes[spike_indptr[l, t] : spike_indptr[l, t + 1]], and what is
    left of them behind the pooling.
    """

    spike_indptr: np.ndarray
    spikes: np.ndarray
    pooled_indptr: np.ndarray
    pooled: np.ndarray


@inlined
def _add_run(
    out: np.ndarray, b: int, rows: np.ndarray, a: int, length: int, factor: float, weighted: bool
) -> None:
    """out[b ...] += factor rows[a ...]."""
    n, x = lanes(out), fill(factor)
    j = 0
    while j + 4 * n <= length and not weighted:
        store(out, (b + j,), load_many(out, (b + j,), 4) + load_many(rows, (a + j,), 4))
        j += 4 * n
    while j < length:
        w = load(rows, (a + j,))
        store(out, (b + j,), load(out, (b + j,)) + (x * w if weighted else w))
        j += n


@inlined
def _add_runs(
    out: np.ndarray, b: int, table: np.ndarray, rows: np.ndarray, n: int, a: int, length: int
) -> None:
    """out[b ...] += sum of table[row + a ...] over the first n rows."""
    wide, j = lanes(out), 0
    while j + 4 * wide <= length:
        four = load_many(out, (b + j,), 4)
        for i in range(n):
            four = four + load_many(table, (rows[i] + a + j,), 4)
        store(out, (b + j,), four)
        j += 4 * wide
    while j < length:
        one = load(out, (b + j,))
        for i in range(n):
            one = one + load(table, (rows[i] + a + j,))
        store(out, (b + j,), one)
        j += wide


@jit
def _add_input(
    plan: ConvPlan, link: Record, table: np.ndarray, maps: np.ndarray, at: int, given: Arriving,
    start: int, stop: int,
) -> None:  # fmt: skip
    """maps[at ...] += weights in `table` for the input's events start .. stop - 1."""
    factor = table.dtype.type(1)
    for e in range(start, stop):
        channel = given.units[e] // plan.input_positions
        place = link.first_place + given.units[e] - channel * plan.input_positions
        phase, to = link.first_phase + plan.place[place, 0], at + plan.place[place, 1]
        if given.counts.size > 0:
            factor = given.counts[e]
        row = link.table_at + channel * link.block
        for i in range(plan.run_start[phase], plan.run_start[phase + 1]):
            a, b, n = row + plan.run[i, 0], to + plan.run[i, 1], plan.run[i, 2]
            _add_run(maps, b, table, a, n, factor, given.counts.size > 0)


@jit
def _add_input_gradients(
    plan: ConvPlan, link: Record, table: np.ndarray, maps: np.ndarray, at: int, given: Arriving,
    start: int, stop: int,
) -> None:  # fmt: skip
    """table += maps[at ...] for the input's events start .. stop - 1."""
    factor = table.dtype.type(1)
    for e in range(start, stop):
        channel = given.units[e] // plan.input_positions
        place = link.first_place + given.units[e] - channel * plan.input_positions
        phase, to = link.first_phase + plan.place[place, 0], at + plan.place[place, 1]
        if given.counts.size > 0:
            factor = given.counts[e]
        row = link.table_at + channel * link.block
        for i in range(plan.run_start[phase], plan.run_start[phase + 1]):
            a, b, n = row + plan.run[i, 0], to + plan.run[i, 1], plan.run[i, 2]
            _add_run(table, a, maps, b, n, factor, given.counts.size > 0)


@inlined
def _one_by_one(
    plan: ConvPlan, link: Record, table: np.ndarray, maps: np.ndarray, at: int, codes: np.ndarray,
    start: int, stop: int, back: bool,
) -> None:  # fmt: skip
    """maps[at ...] += weights for the spikes start .. stop - 1, or `back` table += maps[at ...],
    for a kernel one row high: the spikes of a row are too few to look for some that have something
    in common. Sums are those of the functions that do, in their order.
    """
    one = table.dtype.type(1)
    for e in range(start, stop):
        place = entry(codes, e) >> link.shift
        channel = entry(codes, e) - (place << link.shift)
        if link.low <= channel < link.high:
            place += link.first_place
            a = link.table_at + (channel - link.low) * link.block + plan.place[place, 3]
            b, n = at + plan.place[place, 4], plan.place[place, 5]
            if back:
                _add_run(table, a, maps, b, n, one, False)
            else:
                _add_run(maps, b, table, a, n, one, False)


@jit
def _add_own(
    plan: ConvPlan, link: Record, table: np.ndarray, maps: np.ndarray, at: int, codes: np.ndarray,
    start: int, stop: int, rows: np.ndarray,
) -> None:  # fmt: skip
    """maps[at ...] += weights for the layer's own spikes start .. stop - 1; those of one position
    that follow each other share their runs.
    """
    shift, e = link.shift, start
    while e < stop:
        place, n = codes[e] >> shift, 0
        while e < stop and codes[e] >> shift == place:
            channel = codes[e] - (place << shift)
            if link.low <= channel < link.high:
                rows[n] = link.table_at + (channel - link.low) * link.block
                n += 1
            e += 1
        if n > 0:
            place += link.first_place
            phase, to = link.first_phase + plan.place[place, 0], at + plan.place[place, 1]
            for i in range(plan.run_start[phase], plan.run_start[phase + 1]):
                _add_runs(maps, to + plan.run[i, 1], table, rows, n, plan.run[i, 0], plan.run[i, 2])


@inlined
def _sort(
    plan: ConvPlan, link: Record, codes: np.ndarray, start: int, stop: int, number: np.ndarray,
    places: np.ndarray,
) -> None:  # fmt: skip
    """Sorts the spikes start .. stop - 1 by channel and phase: number[i] are of the i-th kind and
    land at places[i source positions ...].
    """
    positions = link.source_height * link.source_width
    number[:] = 0
    for e in range(start, stop):
        kind = _kind(plan, link, codes[e])
        if kind >= 0:
            place = link.first_place + (codes[e] >> link.shift)
            places[kind * positions + number[kind]] = plan.place[place, 1]
            number[kind] += 1


@inlined
def _kind(plan: ConvPlan, link: Record, code: int) -> int:
    """Channel and phase of a spike in one number, or -1 if the link does not read the channel."""
    place = code >> link.shift
    channel = code - (place << link.shift)
    if link.low <= channel < link.high:
        return (channel - link.low) * link.phases + plan.place[link.first_place + place, 0]
    return -1


@jit
def _add_gradients(
    plan: ConvPlan, link: Record, table: np.ndarray, maps: np.ndarray, at: int, codes: np.ndarray,
    start: int, stop: int, work: Work,
) -> None:  # fmt: skip
    """table += maps[at ...] for the spikes start .. stop - 1, those of a channel together: the sum
    for a weight stays in a register.
    """
    w, kinds = work.at[0], (link.high - link.low) * link.phases
    number = part(work.starts, w.sorted_number, (kinds,))
    places = part(work.starts, w.sorted, (1,))
    _sort(plan, link, codes, start, stop, number, places)
    for kind in range(kinds):
        n = number[kind]
        if n > 0:
            channel = kind // link.phases
            phase = link.first_phase + kind - channel * link.phases
            row = link.table_at + channel * link.block
            first = kind * link.source_height * link.source_width
            order = part(work.starts, w.sorted + first, (n,))
            for i in range(plan.run_start[phase], plan.run_start[phase + 1]):
                a, b = row + plan.run[i, 0], at + plan.run[i, 1]
                _add_runs(table, a, maps, order, n, b, plan.run[i, 2])


@inlined
def _heard(link: Record, t: int, lists: Lists) -> tuple[np.ndarray, int, int]:
    """What a layer's link delivers of step t: codes, the first, and the one behind the last."""
    source = link.source
    if link.own > 0:
        return lists.spikes, lists.spike_indptr[source, t], lists.spike_indptr[source, t + 1]
    return lists.pooled, lists.pooled_indptr[source, t], lists.pooled_indptr[source, t + 1]


@jit
def deliver(
    plan: ConvPlan, layer: int, t: int, tables: np.ndarray, given: Arriving, lists: Lists,
    work: Work,
) -> None:  # fmt: skip
    """The spikes of step t through all links of a layer into the guarded maps of its synaptic
    channels.
    """
    p, w, maps = plan.layers[layer], work.at[0], work.numbers
    rows = part(work.starts, w.starts, (1,))
    for q in range(p.first_link, p.last_link):
        link = plan.links[q]
        source, at = link.source, w.maps + p.guarded * link.synapse
        if source < 0:
            start, stop = given.indptr[0, t], given.indptr[0, t + 1]
            _add_input(plan, link, tables, maps, at, given, start, stop)
            continue
        codes, start, stop = _heard(link, t, lists)
        if link.kernel_y == 1:
            _one_by_one(plan, link, tables, maps, at, codes, start, stop, False)
        elif link.own > 0:
            _add_own(plan, link, tables, maps, at, codes, start, stop, rows)
        else:
            at += p.inside
            add_currents(plan, p, link, tables, maps, at, codes, start, stop, work)


@jit
def deliver_back(
    plan: ConvPlan, layer: int, t: int, d_tables: np.ndarray, g: np.ndarray, now: int,
    given: Arriving, lists: Lists, work: Work,
) -> None:  # fmt: skip
    """The spikes of step t through all links of a layer: adds the gradients of the weights for the
    adjoints of the currents at g[now:].
    """
    p = plan.layers[layer]
    for q in range(p.first_link, p.last_link):
        link = plan.links[q]
        source, at = link.source, now + p.guarded * link.synapse
        if source < 0:
            start, stop = given.indptr[0, t], given.indptr[0, t + 1]
            _add_input_gradients(plan, link, d_tables, g, at, given, start, stop)
            continue
        codes, start, stop = _heard(link, t, lists)
        if link.kernel_y == 1:
            _one_by_one(plan, link, d_tables, g, at, codes, start, stop, True)
        else:
            _add_gradients(plan, link, d_tables, g, at, codes, start, stop, work)


@inlined
def add_drive(p: Record, maps: np.ndarray, at: int, drive: np.ndarray) -> None:
    """The guarded map of layer p at maps[at:] += drive[0, 0] (not guarded)."""
    for y in range(p.height):
        k = at + p.inside + y * p.row
        for j in range(0, p.width * p.padded, lanes(maps)):
            i = y * p.width * p.padded + j
            store(maps, (k + j,), load(maps, (k + j,)) + load(drive, (0, 0, i)))


@inlined
def add_drive_gradient(
    p: Record, d_drive: np.ndarray, g: np.ndarray, at: int, steps: int, pace: int
) -> None:
    """d_drive[0, 0] += the guarded maps of some `steps` at g[at:], `pace` apart."""
    for y in range(p.height):
        k = at + p.inside + y * p.row
        for j in range(0, p.width * p.padded, lanes(g)):
            i = y * p.width * p.padded + j
            total = load(d_drive, (0, 0, i))
            for s in range(steps - 1, -1, -1):
                total = total + load(g, (k + s * pace + j,))
            store(d_drive, (0, 0, i), total)
