"""Operations on rows of numbers, what every other kernel is made of. Rows are multiples of two
vectors long (see plan.WIDTH).

A row is a flat array and the place of its first number there (slices would count references, with
locked instructions). Events are (units, counts) of a list; no `counts` means that all are ones.
"""

from __future__ import annotations

from fdi.engine.cpu.kernels.jit import inlined, jit
from fdi.engine.cpu.kernels.simd import (
    entry,
    fill_many,
    lanes,
    load,
    load_many,
    store,
    store_true,
)

LANES = 16  # numbers of a vector, at most


@inlined
def gather(row, at, width, table, units, counts, start, stop):
    """row[at : at + width] += sum of counts[e] table[units[e]] for the events start <= e < stop."""
    n = lanes(row)
    j = 0
    if counts.size == 0:
        while j + 8 * n <= width:
            eight = load_many(row, (at + j,), 8)
            for e in range(start, stop):
                eight = eight + load_many(table, (entry(units, e), j), 8)
            store(row, (at + j,), eight)
            j += 8 * n
    while j < width:
        two = load_many(row, (at + j,), 2)
        if counts.size == 0:
            for e in range(start, stop):
                two = two + load_many(table, (entry(units, e), j), 2)
        else:
            for e in range(start, stop):
                two = two + fill_many(counts[e], 2) * load_many(table, (entry(units, e), j), 2)
        store(row, (at + j,), two)
        j += 2 * n


@inlined
def scatter(table, units, counts, start, stop, row, at, columns):
    """table[units[e], j] += counts[e] row[at + j] for the events start <= e < stop and all j in
    `columns` (first, behind the last).
    """
    n, (j, last) = lanes(row), columns
    if counts.size == 0:
        while j + 8 * n <= last:
            eight = load_many(row, (at + j,), 8)
            for e in range(start, stop):
                place = (entry(units, e), j)
                store(table, place, eight + load_many(table, place, 8))
            j += 8 * n
    while j < last:
        two = load_many(row, (at + j,), 2)
        if counts.size == 0:
            for e in range(start, stop):
                place = (entry(units, e), j)
                store(table, place, two + load_many(table, place, 2))
        else:
            for e in range(start, stop):
                place = (entry(units, e), j)
                store(table, place, fill_many(counts[e], 2) * two + load_many(table, place, 2))
        j += 2 * n


@jit
def copy(source, start, target, to, n):
    """target[to : to + n] = source[start : start + n], of flat arrays and whole vectors."""
    for j in range(0, n, lanes(source)):
        store(target, (to + j,), load(source, (start + j,)))


@jit
def repeat(source, start, target, to, width, rows):
    """Each row of target[to:] [rows, width] becomes source[start : start + width]."""
    for j in range(0, width, lanes(source)):
        x = load(source, (start + j,))
        for row in range(rows):
            store(target, (to + row * width + j,), x)


@inlined
def append(units, n, mask, first):
    """Append first + lane, for every lane where the mask is true, to units[n:]; return the new
    n. What lies up to LANES behind it is lost.
    """
    return n + store_true(units, n, first, mask)
