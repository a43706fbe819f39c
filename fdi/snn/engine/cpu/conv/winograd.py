"""The gradient of the source of a convolution of 3 x 3 without stride, by minimal filtering: tiles
of 2 x 2 results in 16 products, where the convolution itself takes 36.

Y = A^T [(G W G^T) * (B^T D B)] A for the tile D of 4 x 4 adjoints that the 2 x 2 results Y read
[Lavin & Gray 2016, section 4.1].
"""

from __future__ import annotations

import torch
from torch import Tensor

from fdi.snn.engine.cpu.conv.geometry import Geometry
from fdi.snn.engine.cpu.kernels.jit import inlined, jit
from fdi.snn.engine.cpu.kernels.product import product
from fdi.snn.engine.cpu.kernels.rows import LANES
from fdi.snn.engine.cpu.kernels.simd import BYTES, load, store

PRODUCTS = 16  # of a tile
_WORTH = 1.4  # times fewer rows in the products than the convolution has
_G = [[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]]


def tiles(geometry: Geometry, rows: int) -> int:
    """How many tiles the source has, or 0 if the products of its convolution, with so many `rows`,
    are better done as they are.
    """
    height, width = geometry.source
    number = -(-height // 2) * -(-width // 2)
    fits = geometry.kernel == (3, 3) and geometry.stride == (1, 1)
    return number if fits and rows >= _WORTH * PRODUCTS * number else 0


def transformed(weight: Tensor) -> Tensor:
    """G W G^T [16, target, source] of a weight [target, source, 3, 3], turned by 180 degrees since
    adjoints go from target to source.
    """
    g = torch.tensor(_G, dtype=weight.dtype)
    return torch.einsum("aj,oijk,bk->aboi", g, weight.flip(2, 3), g).flatten(0, 1)


@inlined
def apart(rows, columns):
    """Numbers from one of the 16 matrices to the next: not a power of 2, which would put all into
    the same lines of the cache.
    """
    return rows * columns + LANES


@inlined
def _column(g, at, step):
    """B^T d of the four numbers d at g[at], at + step ..."""
    d0, d1 = load(g, (at,)), load(g, (at + step,))
    d2, d3 = load(g, (at + 2 * step,)), load(g, (at + 3 * step,))
    return d0 - d2, d1 + d2, d2 - d1, d1 - d3


@inlined
def _transform(p, link, g, at, to):
    """B^T D B of all tiles to g[to:] [16, tiles, padded]. What lies beyond the guards, in tiles of
    an odd edge, is in no result that counts.
    """
    n = BYTES // g.itemsize
    wide, pace = (link.source_width + 1) // 2, apart(link.tiles, p.padded)
    for ty in range((link.source_height + 1) // 2):
        row = at + p.inside + 2 * ty * p.row + (link.padding_x - 2) * (p.row + p.padded)
        for j in range(0, p.padded, n):
            a0, a1, a2, a3 = _column(g, row + j, p.row)
            b0, b1, b2, b3 = _column(g, row + p.padded + j, p.row)
            for tx in range(wide):
                k = row + (2 * tx + 2) * p.padded + j
                c0, c1, c2, c3 = _column(g, k, p.row)
                d0, d1, d2, d3 = _column(g, k + p.padded, p.row)
                i = to + (ty * wide + tx) * p.padded + j
                _store_row(g, i, pace, a0, b0, c0, d0)
                _store_row(g, i + 4 * pace, pace, a1, b1, c1, d1)
                _store_row(g, i + 8 * pace, pace, a2, b2, c2, d2)
                _store_row(g, i + 12 * pace, pace, a3, b3, c3, d3)
                a0, a1, a2, a3, b0, b1, b2, b3 = c0, c1, c2, c3, d0, d1, d2, d3


@inlined
def _store_row(g, i, pace, a, b, c, d):
    store(g, (i,), a - c), store(g, (i + pace,), b + c)
    store(g, (i + 2 * pace,), c - b), store(g, (i + 3 * pace,), b - d)


@inlined
def _row(g, i, pace):
    """A^T m of the four numbers m at g[i], i + pace ..."""
    m1, m2 = load(g, (i + pace,)), load(g, (i + 2 * pace,))
    return load(g, (i,)) + m1 + m2, m1 - m2 - load(g, (i + 3 * pace,))


@inlined
def _give(g, at, fresh, vector):
    """g[at ...] = vector, or += if it is not `fresh`."""
    store(g, (at,), vector if fresh else load(g, (at,)) + vector)


@inlined
def _results(link, fresh, g, at, to):
    """g[to:] [height, width, columns] = A^T M A of all tiles at g[at:] [16, tiles, columns], or +=
    if it is not `fresh`.
    """
    n, step = BYTES // g.itemsize, link.source_width * link.columns
    wide, pace = (link.source_width + 1) // 2, apart(link.tiles, link.columns)
    for ty in range((link.source_height + 1) // 2):
        for tx in range(wide):
            low, right = 2 * ty + 1 < link.source_height, 2 * tx + 1 < link.source_width
            for j in range(0, link.columns, n):
                i = at + (ty * wide + tx) * link.columns + j
                k = to + 2 * ty * step + 2 * tx * link.columns + j
                a0, b0 = _row(g, i, pace)
                a1, b1 = _row(g, i + 4 * pace, pace)
                a2, b2 = _row(g, i + 8 * pace, pace)
                a3, b3 = _row(g, i + 12 * pace, pace)
                _give(g, k, fresh, a0 + a1 + a2)
                if right:
                    _give(g, k + link.columns, fresh, b0 + b1 + b2)
                if low:
                    _give(g, k + step, fresh, a1 - a2 - a3)
                    if right:
                        _give(g, k + step + link.columns, fresh, b1 - b2 - b3)


@jit
def tiles_to_source(p, link, fresh, g, at, to, natural, work):
    """As backward.to_source; p is the layer of the target."""
    w, rows = work.at[0], link.tiles
    given, made = apart(rows, p.padded), apart(rows, link.columns)
    products, size = w.tiles + PRODUCTS * given, link.inner * link.columns
    _transform(p, link, g, at, w.tiles)
    for i in range(PRODUCTS):
        product(
            g, products + i * made, link.columns, g, w.tiles + i * given, p.padded, rows, natural,
            link.natural_at + i * size, link.inner, link.columns,
        )  # fmt: skip
    _results(link, fresh, g, products, to)
