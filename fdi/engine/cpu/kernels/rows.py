"""Rows and matrices in flat arrays, what every other kernel is made of. Rows are multiples of two
vectors long (see dense_layout.WIDTH).

A row is a flat array and the place of its first number there (slices would count references, with
locked instructions); a kernel with few large arguments also compiles much faster than one with many
small ones. Events are (units, counts) of a list; no `counts` means that all are ones.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.np.arrayobj import populate_array

from fdi.engine.cpu.kernels.jit import inlined, jit, kernel
from fdi.engine.cpu.kernels.simd import (
    BYTES,
    REGISTERS,
    Mask,
    Vector,
    add_multiples,
    entry,
    fill,
    fill_many,
    intrinsic,
    lanes,
    load,
    load_as,
    load_at,
    load_each,
    load_many,
    repeated,
    store,
    store_at,
    store_each,
    store_true,
)

LANES = 16  # numbers of a vector, at most
TALL, WIDE = (8, 2) if REGISTERS == 32 else (6, 1)
"""Rows, and vectors of columns, of a tile of a product, whose sums stay in registers."""
STRIP = WIDE * BYTES  # of a row of a tile
DEEP = 256  # so many rows of a matrix are multiplied at a time, of which a strip stays in a cache


@inlined
def gather(
    row: np.ndarray, at: int, width: int, table: np.ndarray, units: np.ndarray, counts: np.ndarray,
    start: int, stop: int,
) -> None:  # fmt: skip
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
def scatter(
    table: np.ndarray, units: np.ndarray, counts: np.ndarray, start: int, stop: int,
    row: np.ndarray, at: int, columns: tuple[int, int],
) -> None:  # fmt: skip
    """table[units[e], j] += counts[e] row[at + j] for the events start <= e < stop and all j in
    `columns` (first, behind the last).
    """
    n, (j, last) = lanes(row), columns
    if start == stop:
        return
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


FEW = 4
"""Events of a step that are taken in any case, those that are not there as nothing: the processor
guesses wrong how many there are.
"""


@inlined
def maybe(units: np.ndarray, e: int, stop: int) -> int:
    """Unit e of a list if e < stop, else 0; up to FEW lie behind the list."""
    unit = entry(units, e)
    return unit if e < stop else 0


@jit
def copy(source: np.ndarray, start: int, target: np.ndarray, to: int, n: int) -> None:
    """target[to : to + n] = source[start : start + n], of flat arrays and whole vectors."""
    for j in range(0, n, lanes(source)):
        store(target, (to + j,), load(source, (start + j,)))


@jit
def add(x: np.ndarray, to: int, at: int, n: int) -> None:
    """x[to : to + n] += x[at : at + n], of a flat array."""
    whole = n - n % lanes(x)
    for j in range(0, whole, lanes(x)):
        store(x, (to + j,), load(x, (to + j,)) + load(x, (at + j,)))
    for j in range(whole, n):
        x[to + j] += x[at + j]


@jit
def repeat(
    source: np.ndarray, start: int, target: np.ndarray, to: int, width: int, rows: int
) -> None:
    """Each row of target[to:] [rows, width] becomes source[start : start + width]."""
    for j in range(0, width, lanes(source)):
        x = load(source, (start + j,))
        for row in range(rows):
            store(target, (to + row * width + j,), x)


@inlined
def append(units: np.ndarray, n: int, mask: Mask | int, first: int) -> int:
    """Append first + lane, for every lane where the mask, or the lowest 32 bits of a number, are
    true, to units[n:]; return the new n. What lies up to LANES behind it is lost.
    """
    return n + store_true(units, n, first, mask)


@intrinsic
def part(typing_context, array, start, shape):
    """The numbers from array[start] on as an array of that shape, a tuple; nothing is checked."""
    result = types.Array(array.dtype, len(shape), "C")

    def codegen(context, builder, signature, args):
        view = context.make_array(array)(context, builder, args[0])
        edges = cgutils.unpack_tuple(builder, args[2])
        itemsize = context.get_constant(types.intp, array.dtype.bitwidth // 8)
        strides = [itemsize]
        for edge in edges[:0:-1]:
            strides.insert(0, builder.mul(strides[0], edge))
        made = context.make_array(result)(context, builder)
        data = builder.gep(view.data, [args[1]])
        populate_array(made, data, edges, strides, itemsize, meminfo=None)
        return made._getvalue()

    return result(array, types.intp, types.UniTuple(types.intp, len(shape))), codegen


@inlined
def _tile(
    sums: tuple, fresh: bool, out: np.ndarray, o: int, step: int, a: np.ndarray, p: int,
    a_step: int, w: np.ndarray, q: int, inner: int, w_step: int,
) -> None:  # fmt: skip
    """As many rows and columns of a product as `sums`, a tuple of zeros, has."""
    if not fresh:
        sums = load_each(sums, out, o, step)
    for k in range(inner):
        sums = add_multiples(sums, a, p + k, a_step, load_as(sums[0], w, (q + k * w_step,)))
    store_each(out, o, step, sums)


@inlined
def _strip(
    none: Vector, fresh: bool, out: np.ndarray, o: int, step: int, a: np.ndarray, p: int,
    a_step: int, rows: int, w: np.ndarray, q: int, inner: int, w_step: int,
) -> None:  # fmt: skip
    """As many columns of a product as `none`, which is zero, has."""
    r = 0
    while r + TALL <= rows:
        at, b = o + r * step, p + r * a_step
        _tile(repeated(none, TALL), fresh, out, at, step, a, b, a_step, w, q, inner, w_step)
        r += TALL
    if r + 4 <= rows:
        at, b = o + r * step, p + r * a_step
        _tile(repeated(none, 4), fresh, out, at, step, a, b, a_step, w, q, inner, w_step)
        r += 4
    if r + 2 <= rows:
        at, b = o + r * step, p + r * a_step
        _tile(repeated(none, 2), fresh, out, at, step, a, b, a_step, w, q, inner, w_step)
        r += 2
    for r in range(r, rows):  # noqa: B020  # goes on
        at, b = o + r * step, p + r * a_step
        _tile(repeated(none, 1), fresh, out, at, step, a, b, a_step, w, q, inner, w_step)


@inlined
def _block(
    fresh: bool, out: np.ndarray, o: int, step: int, a: np.ndarray, p: int, a_step: int, rows: int,
    w: np.ndarray, q: int, w_step: int, inner: int, columns: int,
) -> None:  # fmt: skip
    """`_product`, of which a strip of w stays in the first cache."""
    n, zero = lanes(out), out.dtype.type(0)
    wide, one, j = fill_many(zero, WIDE), fill(zero), 0
    while j + WIDE * n <= columns:
        _strip(wide, fresh, out, o + j, step, a, p, a_step, rows, w, q + j, inner, w_step)
        j += WIDE * n
    while WIDE > 1 and j + n <= columns:
        _strip(one, fresh, out, o + j, step, a, p, a_step, rows, w, q + j, inner, w_step)
        j += n
    for r in range(rows if j < columns else 0):
        for i in range(j, columns):
            at = o + r * step + i
            if fresh:
                out[at] = 0
            for k in range(inner):
                out[at] += a[p + r * a_step + k] * w[q + k * w_step + i]


@inlined
def _product(
    fresh: bool, out: np.ndarray, o: int, step: int, a: np.ndarray, p: int, a_step: int, rows: int,
    w: np.ndarray, q: int, w_step: int, inner: int, columns: int,
) -> None:  # fmt: skip
    """out = a w, or out += a w if it is not `fresh`."""
    some = min(inner, DEEP)
    _block(fresh, out, o, step, a, p, a_step, rows, w, q, w_step, some, columns)
    for k in range(DEEP, inner, DEEP):
        some, at = min(inner - k, DEEP), q + k * w_step
        _block(False, out, o, step, a, p + k, a_step, rows, w, at, w_step, some, columns)


@jit
def add_product(
    out: np.ndarray, out_at: int, out_step: int, a: np.ndarray, a_at: int, a_step: int, rows: int,
    w: np.ndarray, w_at: int, w_step: int, inner: int, columns: int,
) -> None:  # fmt: skip
    """out += a w for out [rows, columns], a [rows, inner] and w [inner, columns]."""
    _product(False, out, out_at, out_step, a, a_at, a_step, rows, w, w_at, w_step, inner, columns)


@jit
def product(
    out: np.ndarray, out_at: int, out_step: int, a: np.ndarray, a_at: int, a_step: int, rows: int,
    w: np.ndarray, w_at: int, w_step: int, inner: int, columns: int,
) -> None:  # fmt: skip
    """The same, out = a w."""
    _product(True, out, out_at, out_step, a, a_at, a_step, rows, w, w_at, w_step, inner, columns)


@jit
def add_strips(
    out: np.ndarray, out_at: int, out_step: int, a: np.ndarray, a_at: int, a_step: int, rows: int,
    w: np.ndarray, w_at: int, inner: int, columns: int,
) -> None:  # fmt: skip
    """`add_product` with a w whose columns lie strip after strip, [strips, inner, STRIP bytes], and
    behind these what is left of them, [inner, rest]: rows of a large matrix that lie far apart come
    late from the memory.
    """
    wide, width, j = fill_many(out.dtype.type(0), WIDE), WIDE * lanes(out), 0
    while j + width <= columns:
        at, strip = out_at + j, w_at + j * inner
        _strip(wide, False, out, at, out_step, a, a_at, a_step, rows, w, strip, inner, width)
        j += width
    if j < columns:
        rest, at = columns - j, out_at + j
        add_product(
            out, at, out_step, a, a_at, a_step, rows, w, w_at + j * inner, rest, inner, rest
        )  # fmt: skip


@inlined
def _taps(
    sums: tuple, out: np.ndarray, o: int, step: int, a: np.ndarray, p: int, a_step: int,
    w: np.ndarray, q: int, inner: int, w_step: int, taps: int, gap: int,
) -> None:  # fmt: skip
    """`_tile` for each of some taps in turn."""
    sums = load_each(sums, out, o, step)
    for _ in range(taps):
        for k in range(inner):
            sums = add_multiples(sums, a, p + k, a_step, load_as(sums[0], w, (q + k * w_step,)))
        p, q = p - a_step, q + gap
    store_each(out, o, step, sums)


@inlined
def _strip_of_taps(
    none: Vector, out: np.ndarray, o: int, step: int, a: np.ndarray, p: int, a_step: int,
    rows: int, w: np.ndarray, q: int, inner: int, w_step: int, taps: int, gap: int,
) -> None:  # fmt: skip
    """`_strip`, whose last two tiles are of equal height, since maps may have few rows and a low
    tile leaves the processor waiting for its sums.
    """
    left = rows
    while left > 0:
        tall = left if left <= TALL else TALL if left >= 2 * TALL else (left + 1) // 2
        if TALL > 6 and tall == 8:
            _taps(repeated(none, 8), out, o, step, a, p, a_step, w, q, inner, w_step, taps, gap)
        elif TALL > 6 and tall == 7:
            _taps(repeated(none, 7), out, o, step, a, p, a_step, w, q, inner, w_step, taps, gap)
        elif tall == 6:
            _taps(repeated(none, 6), out, o, step, a, p, a_step, w, q, inner, w_step, taps, gap)
        elif tall == 5:
            _taps(repeated(none, 5), out, o, step, a, p, a_step, w, q, inner, w_step, taps, gap)
        elif tall == 4:
            _taps(repeated(none, 4), out, o, step, a, p, a_step, w, q, inner, w_step, taps, gap)
        elif tall == 3:
            _taps(repeated(none, 3), out, o, step, a, p, a_step, w, q, inner, w_step, taps, gap)
        elif tall == 2:
            _taps(repeated(none, 2), out, o, step, a, p, a_step, w, q, inner, w_step, taps, gap)
        else:
            _taps(repeated(none, 1), out, o, step, a, p, a_step, w, q, inner, w_step, taps, gap)
        left, o, p = left - tall, o + tall * step, p + tall * a_step


@jit
def add_taps(
    out: np.ndarray, out_at: int, out_step: int, a: np.ndarray, a_at: int, a_step: int, rows: int,
    w: np.ndarray, w_at: int, inner: int, columns: int, taps: int, gap: int,
) -> None:  # fmt: skip
    """`add_product` for each of some `taps` in turn, while sums stay in registers: for each, a
    begins a row earlier, and w, whose rows are whole vectors, `gap` numbers later.
    """
    n, zero, j = lanes(out), out.dtype.type(0), 0
    wide, one = fill_many(zero, WIDE), fill(zero)
    while j + WIDE * n <= columns:
        _strip_of_taps(
            wide, out, out_at + j, out_step, a, a_at, a_step, rows, w, w_at + j, inner, columns,
            taps, gap,
        )  # fmt: skip
        j += WIDE * n
    while WIDE > 1 and j + n <= columns:
        _strip_of_taps(
            one, out, out_at + j, out_step, a, a_at, a_step, rows, w, w_at + j, inner, columns,
            taps, gap,
        )  # fmt: skip
        j += n


@kernel
def turn(
    w: np.ndarray, at: int, pace: int, rows: int, columns: int, out: np.ndarray, to: int, step: int
) -> None:
    """out[to + c step + r] = w[at + r pace + c] of flat arrays, for r < rows and c < columns."""
    n = lanes(w)
    tall, wide = rows // n * n, columns // n * n
    for c in range(0, wide, n):
        for r in range(0, tall, n):
            _square(w, at + r * pace + c, pace, out, to + c * step + r, step)
    for r in range(rows):
        for c in range(wide if r < tall else 0, columns):
            out[to + c * step + r] = w[at + r * pace + c]


@intrinsic
def _square(typing_context, w, at, pace, out, to, step):
    """The same of as many rows and columns as a vector has numbers: after round i, each vector has
    exchanged the numbers whose place differs in bit i with another.
    """
    vector = Vector(w.dtype)
    n, number = vector.lanes, ir.IntType(32)

    def codegen(context, builder, signature, args):
        source, place, pace, target, to, step = args
        rows = []
        for _ in range(n):
            rows.append(load_at(context, builder, w, source, [place], vector))
            place = builder.add(place, pace)
        for span in (1 << bit for bit in range(n.bit_length() - 1)):
            for k in (k for k in range(n) if not k & span):
                pair, lanes = (rows[k], rows[k + span]), ir.VectorType(number, n)
                low = [j if not j & span else n + j - span for j in range(n)]
                high = [j + span if not j & span else n + j for j in range(n)]
                for row, places in ((k, low), (k + span, high)):
                    rows[row] = builder.shuffle_vector(*pair, ir.Constant(lanes, places))
        for row in rows:
            store_at(context, builder, out, target, [to], row)
            to = builder.add(to, step)
        return context.get_dummy_value()

    place = types.intp
    return types.void(w, place, place, out, place, place), codegen
