"""The dense products of the backward pass: rows of adjoints times a weight matrix, with the sums
held in vector registers.

Matrices lie in flat arrays: `out_at` is the index of the first number, `out_step` the distance
between rows.
"""

from __future__ import annotations

from fdi.engine.cpu.kernels.jit import inlined, jit
from fdi.engine.cpu.kernels.simd import fill, fill_many, lanes, load_as, spread, store


@inlined
def _four_rows(none, fresh, out, o, step, a, p, a_step, w, q, inner, columns):
    """Four rows of `product`, of as many columns as `none`, which is zero, has."""
    o1, o2, o3 = o + step, o + 2 * step, o + 3 * step
    p1, p2, p3 = p + a_step, p + 2 * a_step, p + 3 * a_step
    x0, x1, x2, x3 = none, none, none, none
    if not fresh:
        x0, x1 = load_as(none, out, (o,)), load_as(none, out, (o1,))
        x2, x3 = load_as(none, out, (o2,)), load_as(none, out, (o3,))
    for k in range(inner):
        row = load_as(none, w, (q + k * columns,))
        x0, x1 = x0 + spread(none, a, (p + k,)) * row, x1 + spread(none, a, (p1 + k,)) * row
        x2, x3 = x2 + spread(none, a, (p2 + k,)) * row, x3 + spread(none, a, (p3 + k,)) * row
    store(out, (o,), x0), store(out, (o1,), x1), store(out, (o2,), x2), store(out, (o3,), x3)


@inlined
def _eight_rows(none, out, o, step, a, p, a_step, w, q, inner, columns):
    """The same of eight rows, out = a w."""
    o1, o2, o3, o4 = o + step, o + 2 * step, o + 3 * step, o + 4 * step
    o5, o6, o7 = o + 5 * step, o + 6 * step, o + 7 * step
    p1, p2, p3, p4 = p + a_step, p + 2 * a_step, p + 3 * a_step, p + 4 * a_step
    p5, p6, p7 = p + 5 * a_step, p + 6 * a_step, p + 7 * a_step
    x0, x1, x2, x3, x4, x5, x6, x7 = none, none, none, none, none, none, none, none
    for k in range(inner):
        row = load_as(none, w, (q + k * columns,))
        x0, x1 = x0 + spread(none, a, (p + k,)) * row, x1 + spread(none, a, (p1 + k,)) * row
        x2, x3 = x2 + spread(none, a, (p2 + k,)) * row, x3 + spread(none, a, (p3 + k,)) * row
        x4, x5 = x4 + spread(none, a, (p4 + k,)) * row, x5 + spread(none, a, (p5 + k,)) * row
        x6, x7 = x6 + spread(none, a, (p6 + k,)) * row, x7 + spread(none, a, (p7 + k,)) * row
    store(out, (o,), x0), store(out, (o1,), x1), store(out, (o2,), x2), store(out, (o3,), x3)
    store(out, (o4,), x4), store(out, (o5,), x5), store(out, (o6,), x6), store(out, (o7,), x7)


@inlined
def _row(none, fresh, out, o, a, p, w, q, inner, columns):
    """One row."""
    x = none
    if not fresh:
        x = load_as(none, out, (o,))
    for k in range(inner):
        x = x + spread(none, a, (p + k,)) * load_as(none, w, (q + k * columns,))
    store(out, (o,), x)


@inlined
def _product(fresh, out, out_at, out_step, a, a_at, a_step, rows, w, w_at, inner, columns):
    """out = a w, or out += a w if it is not `fresh`."""
    n, zero = lanes(out), out.dtype.type(0)
    j = 0
    while j + n <= columns:
        wide = 4 * n if j + 4 * n <= columns else 2 * n if j + 2 * n <= columns else n
        r = 0
        while r < rows:
            o, p, q = out_at + r * out_step + j, a_at + r * a_step, w_at + j
            if r + 4 <= rows and wide == 4 * n:
                four = fill_many(zero, 4)
                _four_rows(four, fresh, out, o, out_step, a, p, a_step, w, q, inner, columns)
                r += 4
            elif fresh and r + 8 <= rows and wide == 2 * n:
                two = fill_many(zero, 2)
                _eight_rows(two, out, o, out_step, a, p, a_step, w, q, inner, columns)
                r += 8
            elif r + 4 <= rows and wide == 2 * n:
                two = fill_many(zero, 2)
                _four_rows(two, fresh, out, o, out_step, a, p, a_step, w, q, inner, columns)
                r += 4
            elif wide == 4 * n:
                four = fill_many(zero, 4)
                _row(four, fresh, out, o, a, p, w, q, inner, columns)
                r += 1
            elif wide == 2 * n:
                two = fill_many(zero, 2)
                _row(two, fresh, out, o, a, p, w, q, inner, columns)
                r += 1
            else:
                _row(fill(zero), fresh, out, o, a, p, w, q, inner, columns)
                r += 1
        j += wide
    for r in range(rows if j < columns else 0):
        for i in range(j, columns):
            o = out_at + r * out_step + i
            if fresh:
                out[o] = 0
            for k in range(inner):
                out[o] += a[a_at + r * a_step + k] * w[w_at + k * columns + i]


@jit
def add_product(out, out_at, out_step, a, a_at, a_step, rows, w, w_at, inner, columns):
    """out += a w for out [rows, columns], a [rows, inner] and w [inner, columns], whose rows follow
    each other.
    """
    _product(False, out, out_at, out_step, a, a_at, a_step, rows, w, w_at, inner, columns)


@jit
def product(out, out_at, out_step, a, a_at, a_step, rows, w, w_at, inner, columns):
    """The same, out = a w."""
    _product(True, out, out_at, out_step, a, a_at, a_step, rows, w, w_at, inner, columns)
