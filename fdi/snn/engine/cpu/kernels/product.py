"""The dense products of the backward pass: rows of adjoints times a weight matrix, with the sums
held in vector registers.

Matrices lie in flat arrays: `out_at` is the index of the first number, `out_step` the distance
between rows.
"""

from __future__ import annotations

from fdi.snn.engine.cpu.kernels.jit import inlined, jit
from fdi.snn.engine.cpu.kernels.simd import BYTES, load, spread, store


@inlined
def _tile(out, o, step, a, p, a_step, w, q, inner, columns):
    """Four rows and four vectors of columns of `add_product`."""
    n = BYTES // out.itemsize
    o1, o2, o3, p1, p2, p3 = (
        o + step,
        o + 2 * step,
        o + 3 * step,
        p + a_step,
        p + 2 * a_step,
        p + 3 * a_step,
    )
    n2, n3 = 2 * n, 3 * n
    a0, a1, a2, a3 = (
        load(out, (o,)),
        load(out, (o + n,)),
        load(out, (o + n2,)),
        load(out, (o + n3,)),
    )
    b0, b1, b2, b3 = (
        load(out, (o1,)),
        load(out, (o1 + n,)),
        load(out, (o1 + n2,)),
        load(out, (o1 + n3,)),
    )
    c0, c1, c2, c3 = (
        load(out, (o2,)),
        load(out, (o2 + n,)),
        load(out, (o2 + n2,)),
        load(out, (o2 + n3,)),
    )
    d0, d1, d2, d3 = (
        load(out, (o3,)),
        load(out, (o3 + n,)),
        load(out, (o3 + n2,)),
        load(out, (o3 + n3,)),
    )
    for k in range(inner):
        r = q + k * columns
        w0, w1, w2, w3 = load(w, (r,)), load(w, (r + n,)), load(w, (r + n2,)), load(w, (r + n3,))
        x = spread(a, (p + k,))
        a0, a1, a2, a3 = a0 + x * w0, a1 + x * w1, a2 + x * w2, a3 + x * w3
        x = spread(a, (p1 + k,))
        b0, b1, b2, b3 = b0 + x * w0, b1 + x * w1, b2 + x * w2, b3 + x * w3
        x = spread(a, (p2 + k,))
        c0, c1, c2, c3 = c0 + x * w0, c1 + x * w1, c2 + x * w2, c3 + x * w3
        x = spread(a, (p3 + k,))
        d0, d1, d2, d3 = d0 + x * w0, d1 + x * w1, d2 + x * w2, d3 + x * w3
    (
        store(out, (o,), a0),
        store(out, (o + n,), a1),
        store(out, (o + n2,), a2),
        store(out, (o + n3,), a3),
    )
    (
        store(out, (o1,), b0),
        store(out, (o1 + n,), b1),
        store(out, (o1 + n2,), b2),
        store(out, (o1 + n3,), b3),
    )
    (
        store(out, (o2,), c0),
        store(out, (o2 + n,), c1),
        store(out, (o2 + n2,), c2),
        store(out, (o2 + n3,), c3),
    )
    (
        store(out, (o3,), d0),
        store(out, (o3 + n,), d1),
        store(out, (o3 + n2,), d2),
        store(out, (o3 + n3,), d3),
    )


@inlined
def _narrow(out, o, step, a, p, a_step, w, q, inner, columns):
    """Four rows and two vectors of columns."""
    n = BYTES // out.itemsize
    o1, o2, o3, p1, p2, p3 = (
        o + step,
        o + 2 * step,
        o + 3 * step,
        p + a_step,
        p + 2 * a_step,
        p + 3 * a_step,
    )
    a0, a1, b0, b1 = load(out, (o,)), load(out, (o + n,)), load(out, (o1,)), load(out, (o1 + n,))
    c0, c1, d0, d1 = load(out, (o2,)), load(out, (o2 + n,)), load(out, (o3,)), load(out, (o3 + n,))
    for k in range(inner):
        r = q + k * columns
        w0, w1 = load(w, (r,)), load(w, (r + n,))
        x, y = spread(a, (p + k,)), spread(a, (p1 + k,))
        a0, a1, b0, b1 = a0 + x * w0, a1 + x * w1, b0 + y * w0, b1 + y * w1
        x, y = spread(a, (p2 + k,)), spread(a, (p3 + k,))
        c0, c1, d0, d1 = c0 + x * w0, c1 + x * w1, d0 + y * w0, d1 + y * w1
    store(out, (o,), a0), store(out, (o + n,), a1), store(out, (o1,), b0), store(out, (o1 + n,), b1)
    (
        store(out, (o2,), c0),
        store(out, (o2 + n,), c1),
        store(out, (o3,), d0),
        store(out, (o3 + n,), d1),
    )


@inlined
def _vector(out, o, a, p, w, q, inner, columns):
    """One row and one vector of columns."""
    x = load(out, (o,))
    for k in range(inner):
        x = x + spread(a, (p + k,)) * load(w, (q + k * columns,))
    store(out, (o,), x)


@jit
def add_product(out, out_at, out_step, a, a_at, a_step, rows, w, w_at, inner, columns):
    """out += a w for out [rows, columns], a [rows, inner] and w [inner, columns], whose rows follow
    each other.
    """
    n = BYTES // out.itemsize
    j = 0
    while j + n <= columns:
        wide = 4 * n if j + 4 * n <= columns else 2 * n if j + 2 * n <= columns else n
        r = 0
        while r < rows:
            o, p = out_at + r * out_step + j, a_at + r * a_step
            if r + 4 <= rows and wide == 4 * n:
                _tile(out, o, out_step, a, p, a_step, w, w_at + j, inner, columns)
                r += 4
            elif r + 4 <= rows and wide == 2 * n:
                _narrow(out, o, out_step, a, p, a_step, w, w_at + j, inner, columns)
                r += 4
            else:
                for i in range(0, wide, n):
                    _vector(out, o + i, a, p, w, w_at + j + i, inner, columns)
                r += 1
        j += wide
    for r in range(rows if j < columns else 0):
        for k in range(inner):
            for i in range(j, columns):
                out[out_at + r * out_step + i] += (
                    a[a_at + r * a_step + k] * w[w_at + k * columns + i]
                )
