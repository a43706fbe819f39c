"""What the spikes of a layer below add to the currents of a layer, neuron after neuron.

I(oy, ox) += sum of W[channel, y + padding - oy stride, x + padding - ox stride] over the spikes
(channel, y, x) that the kernel reads there; those of one row y follow each other in the list.
"""

from __future__ import annotations

from fdi.engine.cpu.kernels.jit import inlined, jit
from fdi.engine.cpu.kernels.parts import part
from fdi.engine.cpu.kernels.simd import entry, fill, fill_many, lanes, load_as, store


@inlined
def _find(plan, link, codes, start, stop, rows, begin):
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
def _add(zero, maps, to, table, at, rows, begin, first, number, wide, high, pace):
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
def _slide(zero, plan, p, link, table, maps, at, rows, begin, j):
    """As add_currents for kernels three rows high that step by one, as many channels as `zero` has
    from the j-th on: down each column of the maps, with the sums for three rows in registers.
    """
    wide, pace, row = link.source_width, link.kernel_x * p.padded, p.row
    at += j + (link.padding_y - 2) * row
    for ox in range(p.width):
        left = ox * link.stride_x - link.padding_x
        x0 = min(max(0, left), wide)
        number, to = max(x0, min(left + link.kernel_x, wide)) - x0, at + ox * p.padded
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
def add_currents(plan, p, link, table, maps, at, codes, start, stop, work):
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
