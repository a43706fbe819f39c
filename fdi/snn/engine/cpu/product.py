"""The dense products of the backward pass: a few rows of adjoints times a weight matrix, with the sums held in vector registers."""

from __future__ import annotations

from fdi.snn.engine.cpu.rows import inlined, jit
from fdi.snn.engine.cpu.simd import BYTES, load, spread, store


@inlined
def _tile(out, a, w, r, j):
    """Four rows and four vectors of columns of `add_product`."""
    n = BYTES // out.itemsize
    j1, j2, j3, r1, r2, r3 = j + n, j + 2 * n, j + 3 * n, r + 1, r + 2, r + 3
    a0, a1, a2, a3 = load(out, (r, j)), load(out, (r, j1)), load(out, (r, j2)), load(out, (r, j3))
    b0, b1, b2, b3 = load(out, (r1, j)), load(out, (r1, j1)), load(out, (r1, j2)), load(out, (r1, j3))
    c0, c1, c2, c3 = load(out, (r2, j)), load(out, (r2, j1)), load(out, (r2, j2)), load(out, (r2, j3))
    d0, d1, d2, d3 = load(out, (r3, j)), load(out, (r3, j1)), load(out, (r3, j2)), load(out, (r3, j3))
    for k in range(w.shape[0]):
        w0, w1, w2, w3 = load(w, (k, j)), load(w, (k, j1)), load(w, (k, j2)), load(w, (k, j3))
        x = spread(a, (r, k))
        a0, a1, a2, a3 = a0 + x * w0, a1 + x * w1, a2 + x * w2, a3 + x * w3
        x = spread(a, (r1, k))
        b0, b1, b2, b3 = b0 + x * w0, b1 + x * w1, b2 + x * w2, b3 + x * w3
        x = spread(a, (r2, k))
        c0, c1, c2, c3 = c0 + x * w0, c1 + x * w1, c2 + x * w2, c3 + x * w3
        x = spread(a, (r3, k))
        d0, d1, d2, d3 = d0 + x * w0, d1 + x * w1, d2 + x * w2, d3 + x * w3
    store(out, (r, j), a0), store(out, (r, j1), a1), store(out, (r, j2), a2), store(out, (r, j3), a3)
    store(out, (r1, j), b0), store(out, (r1, j1), b1), store(out, (r1, j2), b2), store(out, (r1, j3), b3)
    store(out, (r2, j), c0), store(out, (r2, j1), c1), store(out, (r2, j2), c2), store(out, (r2, j3), c3)
    store(out, (r3, j), d0), store(out, (r3, j1), d1), store(out, (r3, j2), d2), store(out, (r3, j3), d3)


@inlined
def _column(out, a, w, r, j):
    """Four rows and one vector of columns."""
    a0, b0, c0, d0 = load(out, (r, j)), load(out, (r + 1, j)), load(out, (r + 2, j)), load(out, (r + 3, j))
    for k in range(w.shape[0]):
        w0 = load(w, (k, j))
        a0, b0 = a0 + spread(a, (r, k)) * w0, b0 + spread(a, (r + 1, k)) * w0
        c0, d0 = c0 + spread(a, (r + 2, k)) * w0, d0 + spread(a, (r + 3, k)) * w0
    store(out, (r, j), a0), store(out, (r + 1, j), b0), store(out, (r + 2, j), c0), store(out, (r + 3, j), d0)


@jit
def add_product(out, a, w):
    """out += a w for out [m, n], a [m, >= k], w [k, n]; the rows of each are contiguous."""
    rows, columns = out.shape
    lanes = BYTES // out.itemsize
    j = 0
    while j + lanes <= columns:
        wide = j + 4 * lanes <= columns
        for r in range(0, rows - 3, 4):
            if wide:
                _tile(out, a, w, r, j)
            else:
                _column(out, a, w, r, j)
        for r in range(rows - rows % 4, rows):
            for i in range(j, j + (4 * lanes if wide else lanes), lanes):
                x = load(out, (r, i))
                for k in range(w.shape[0]):
                    x = x + spread(a, (r, k)) * load(w, (k, i))
                store(out, (r, i), x)
        j += 4 * lanes if wide else lanes
    for r in range(rows):
        for k in range(w.shape[0]):
            for i in range(j, columns):
                out[r, i] += a[r, k] * w[k, i]
