"""Operations on rows of numbers, what every other kernel is made of. Rows are multiples of two
vectors long (see plan.WIDTH).

A row is an array and a place in it: `place` is the tuple of its leading indices (slices would count
references, with locked instructions). Kernels are sequential and run without the GIL. Events are
(units, counts) of a list; no `counts` means that all are ones.
"""

# ruff: noqa: RUF005 (Numba adds tuples, but does not unpack them into new ones on every Python)

from __future__ import annotations

from fdi.snn.engine.cpu.kernels.jit import inlined, jit
from fdi.snn.engine.cpu.kernels.simd import BYTES, fill, load, store, store_true

LANES = 16  # numbers of a vector, at most


@inlined
def _gather_eight(target, place, j, table, units, start, stop):
    """Columns j .. of `gather`, eight vectors wide."""
    n = BYTES // target.itemsize
    p0, p1, p2, p3 = place + (j,), place + (j + n,), place + (j + 2 * n,), place + (j + 3 * n,)
    p4, p5, p6, p7 = (
        place + (j + 4 * n,),
        place + (j + 5 * n,),
        place + (j + 6 * n,),
        place + (j + 7 * n,),
    )
    a0, a1, a2, a3 = load(target, p0), load(target, p1), load(target, p2), load(target, p3)
    a4, a5, a6, a7 = load(target, p4), load(target, p5), load(target, p6), load(target, p7)
    for e in range(start, stop):
        r = units[e]
        a0, a1, a2 = (
            a0 + load(table, (r, j)),
            a1 + load(table, (r, j + n)),
            a2 + load(table, (r, j + 2 * n)),
        )
        a3, a4, a5 = (
            a3 + load(table, (r, j + 3 * n)),
            a4 + load(table, (r, j + 4 * n)),
            a5 + load(table, (r, j + 5 * n)),
        )
        a6, a7 = a6 + load(table, (r, j + 6 * n)), a7 + load(table, (r, j + 7 * n))
    store(target, p0, a0), store(target, p1, a1), store(target, p2, a2), store(target, p3, a3)
    store(target, p4, a4), store(target, p5, a5), store(target, p6, a6), store(target, p7, a7)


@inlined
def _gather_two(target, place, j, table, units, counts, start, stop):
    n = BYTES // target.itemsize
    p0, p1 = place + (j,), place + (j + n,)
    a0, a1 = load(target, p0), load(target, p1)
    if counts.size > 0:
        for e in range(start, stop):
            r, count = units[e], fill(counts[e])
            a0, a1 = a0 + count * load(table, (r, j)), a1 + count * load(table, (r, j + n))
    else:
        for e in range(start, stop):
            r = units[e]
            a0, a1 = a0 + load(table, (r, j)), a1 + load(table, (r, j + n))
    store(target, p0, a0), store(target, p1, a1)


@inlined
def gather(target, place, width, table, units, counts, start, stop):
    """target[place] += sum of counts[e] table[units[e]] over the events start <= e < stop."""
    n = BYTES // target.itemsize
    j = 0
    if counts.size == 0:
        while j + 8 * n <= width:
            _gather_eight(target, place, j, table, units, start, stop)
            j += 8 * n
    while j < width:
        _gather_two(target, place, j, table, units, counts, start, stop)
        j += 2 * n


@inlined
def _scatter_eight(table, units, start, stop, source, place, j):
    """Columns j .. of `scatter`, eight vectors wide."""
    n = BYTES // source.itemsize
    a0, a1, a2 = (
        load(source, place + (j,)),
        load(source, place + (j + n,)),
        load(source, place + (j + 2 * n,)),
    )
    a3, a4, a5 = (
        load(source, place + (j + 3 * n,)),
        load(source, place + (j + 4 * n,)),
        load(source, place + (j + 5 * n,)),
    )
    a6, a7 = load(source, place + (j + 6 * n,)), load(source, place + (j + 7 * n,))
    for e in range(start, stop):
        r = units[e]
        store(table, (r, j), a0 + load(table, (r, j)))
        store(table, (r, j + n), a1 + load(table, (r, j + n)))
        store(table, (r, j + 2 * n), a2 + load(table, (r, j + 2 * n)))
        store(table, (r, j + 3 * n), a3 + load(table, (r, j + 3 * n)))
        store(table, (r, j + 4 * n), a4 + load(table, (r, j + 4 * n)))
        store(table, (r, j + 5 * n), a5 + load(table, (r, j + 5 * n)))
        store(table, (r, j + 6 * n), a6 + load(table, (r, j + 6 * n)))
        store(table, (r, j + 7 * n), a7 + load(table, (r, j + 7 * n)))


@inlined
def _scatter_two(table, units, counts, start, stop, source, place, j):
    n = BYTES // source.itemsize
    a0, a1 = load(source, place + (j,)), load(source, place + (j + n,))
    if counts.size > 0:
        for e in range(start, stop):
            r, count = units[e], fill(counts[e])
            store(table, (r, j), count * a0 + load(table, (r, j)))
            store(table, (r, j + n), count * a1 + load(table, (r, j + n)))
    else:
        for e in range(start, stop):
            r = units[e]
            store(table, (r, j), a0 + load(table, (r, j)))
            store(table, (r, j + n), a1 + load(table, (r, j + n)))


@inlined
def scatter(table, units, counts, start, stop, source, place, width):
    """table[units[e]] += counts[e] source[place] for the events start <= e < stop."""
    n = BYTES // source.itemsize
    j = 0
    if counts.size == 0:
        while j + 8 * n <= width:
            _scatter_eight(table, units, start, stop, source, place, j)
            j += 8 * n
    while j < width:
        _scatter_two(table, units, counts, start, stop, source, place, j)
        j += 2 * n


@inlined
def add(target, place, source, other, width):
    """target[place] += source[other]."""
    n = BYTES // target.itemsize
    for j in range(0, width, n):
        store(target, place + (j,), load(target, place + (j,)) + load(source, other + (j,)))


@jit
def copy(source, start, target, to, n):
    """target[to : to + n] = source[start : start + n], of flat arrays and whole vectors."""
    for j in range(0, n, BYTES // source.itemsize):
        store(target, (to + j,), load(source, (start + j,)))


@jit
def repeat(source, start, target, to, width, rows):
    """Each row of target[to:] [rows, width] becomes source[start : start + width]."""
    for j in range(0, width, BYTES // source.itemsize):
        x = load(source, (start + j,))
        for row in range(rows):
            store(target, (to + row * width + j,), x)


@inlined
def append(units, n, mask, first):
    """Append first + lane, for every lane where the mask is true, to units[n:]; return the new
    n. What lies up to LANES behind it is lost.
    """
    return n + store_true(units, n, first, mask)
