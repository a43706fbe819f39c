"""When the gradient of a convolution's source comes from minimal filtering, and with which weights:
tiles of 4 x 4 results in 36 products, where a convolution of 3 x 3 takes 144.

Y = A^T [(G W G^T) * (B^T D B)] A for the tile D of 6 x 6 adjoints that the 4 x 4 results Y read
[Lavin & Gray 2016, section 4.1]. It is a product of polynomials, by their values at 0, a, -a, b, -b
and infinity; with these a and b it rounds nearly as well as the convolution itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from fdi.engine.cpu.conv_plan import Geometry
from fdi.engine.cpu.kernels.jit import Record, inlined, jit
from fdi.engine.cpu.kernels.rows import LANES, product
from fdi.engine.cpu.kernels.simd import Vector, fill, lanes, load, prefetch, store

if TYPE_CHECKING:
    from fdi.engine.cpu.memory import Work

EDGE = 4  # of the results of a tile
PRODUCTS = (EDGE + 2) ** 2  # of a tile
A, B = 0.75, 1.5
_POINTS = ((A, B), (-A, B), (B, A), (-B, A))  # with a point of the other pair
_G = [
    [1 / (A * B) ** 2, 0, 0],
    *([x**k / (2 * x**2 * (x**2 - y**2)) for k in range(3)] for x, y in _POINTS),
    [0, 0, 1],
]
TOGETHER = 32  # tiles, at least, that are multiplied with the same weights
_STEPS = 8  # of a trial, at most, that they are from
_WORTH = 1.4  # times fewer rows in the products than the convolution has


def tiles(geometry: Geometry, rows: int) -> int:
    """How many tiles the source has, or 0 if the products of its convolution, with so many `rows`,
    are better done as they are.
    """
    height, width = geometry.source
    number = -(-height // EDGE) * -(-width // EDGE)
    return number if _fits(geometry) and rows >= _WORTH * PRODUCTS * number else 0


def steps(tiles: int) -> int:
    """Of how many steps the links of a layer are computed together, for one with so many tiles."""
    return min(_STEPS, -(-TOGETHER // tiles)) if tiles else 1


def reach(geometry: Geometry) -> tuple[int, int]:
    """Rows and columns of the target, from the first position on, that tiles read."""
    height, width = (
        -(-size // EDGE) * EDGE + padding if _fits(geometry) else 0
        for size, padding in zip(geometry.source, geometry.padding)
    )
    return height, width


def _fits(geometry: Geometry) -> bool:
    return geometry.kernel == (3, 3) and geometry.stride == (1, 1)


def transformed(weight: Tensor) -> Tensor:
    """G W G^T [36, target, source] of a weight [target, source, 3, 3], turned by 180 degrees since
    adjoints go from target to source.
    """
    g = torch.tensor(_G, dtype=torch.float64)
    return torch.einsum("aj,oijk,bk->aboi", g, weight.flip(2, 3).double(), g).flatten(0, 1)


class Points(NamedTuple):
    """Powers of the points a and b, and what they make."""

    a: Vector
    b: Vector
    aa: Vector
    bb: Vector
    aaa: Vector
    bbb: Vector
    product: Vector
    total: Vector


@inlined
def _points(g: np.ndarray) -> Points:
    real = g.dtype.type
    return Points(
        fill(real(A)), fill(real(B)), fill(real(A**2)), fill(real(B**2)), fill(real(A**3)),
        fill(real(B**3)), fill(real(A**2 * B**2)), fill(real(A**2 + B**2)),
    )  # fmt: skip


@inlined
def _apart(rows: int, columns: int) -> int:
    """Numbers from one of the 36 matrices to the next: not a power of 2, which would put all into
    the same lines of the cache.
    """
    return rows * columns + LANES


@inlined
def _six(g: np.ndarray, at: int, step: int) -> tuple[Vector, ...]:
    """The numbers g[at], at + step ..."""
    return (
        load(g, (at,)), load(g, (at + step,)), load(g, (at + 2 * step,)),
        load(g, (at + 3 * step,)), load(g, (at + 4 * step,)), load(g, (at + 5 * step,)),
    )  # fmt: skip


@inlined
def _values(
    c: Points, d0: Vector, d1: Vector, d2: Vector, d3: Vector, d4: Vector, d5: Vector
) -> tuple[Vector, ...]:
    """B^T d."""
    even_a, odd_a = d4 - c.bb * d2, d3 - c.bb * d1
    even_b, odd_b = d4 - c.aa * d2, d3 - c.aa * d1
    return (
        c.product * d0 - c.total * d2 + d4,
        even_a + c.a * odd_a, even_a - c.a * odd_a,
        even_b + c.b * odd_b, even_b - c.b * odd_b,
        c.product * d1 - c.total * d3 + d5,
    )  # fmt: skip


@inlined
def _store_row(
    c: Points, g: np.ndarray, i: int, pace: int, d0: Vector, d1: Vector, d2: Vector, d3: Vector,
    d4: Vector, d5: Vector,
) -> None:  # fmt: skip
    """g[i], i + pace ... = B^T d."""
    m0, m1, m2, m3, m4, m5 = _values(c, d0, d1, d2, d3, d4, d5)
    store(g, (i,), m0), store(g, (i + pace,), m1), store(g, (i + 2 * pace,), m2)
    store(g, (i + 3 * pace,), m3), store(g, (i + 4 * pace,), m4), store(g, (i + 5 * pace,), m5)


@inlined
def _transform(
    p: Record, link: Record, g: np.ndarray, at: int, wide: int, to: int, pace: int
) -> None:
    """B^T D B of a row of `wide` tiles to g[to:] [36, ..., padded], matrices `pace` apart; the
    first reads from g[at:].
    """
    c = _points(g)
    for j in range(0, p.padded, lanes(g)):
        k = at + j
        a0, a1, a2, a3, a4, a5 = _values(c, *_six(g, k, p.row))
        b0, b1, b2, b3, b4, b5 = _values(c, *_six(g, k + p.padded, p.row))
        for tx in range(wide):
            k, i = k + EDGE * p.padded, to + tx * p.padded + j
            c0, c1, c2, c3, c4, c5 = _values(c, *_six(g, k - 2 * p.padded, p.row))
            d0, d1, d2, d3, d4, d5 = _values(c, *_six(g, k - p.padded, p.row))
            e0, e1, e2, e3, e4, e5 = _values(c, *_six(g, k, p.row))
            f0, f1, f2, f3, f4, f5 = _values(c, *_six(g, k + p.padded, p.row))
            _store_row(c, g, i, pace, a0, b0, c0, d0, e0, f0)
            _store_row(c, g, i + 6 * pace, pace, a1, b1, c1, d1, e1, f1)
            _store_row(c, g, i + 12 * pace, pace, a2, b2, c2, d2, e2, f2)
            _store_row(c, g, i + 18 * pace, pace, a3, b3, c3, d3, e3, f3)
            _store_row(c, g, i + 24 * pace, pace, a4, b4, c4, d4, e4, f4)
            _store_row(c, g, i + 30 * pace, pace, a5, b5, c5, d5, e5, f5)
            a0, a1, a2, a3, a4, a5 = e0, e1, e2, e3, e4, e5
            b0, b1, b2, b3, b4, b5 = f0, f1, f2, f3, f4, f5


@inlined
def _results(
    c: Points, m0: Vector, m1: Vector, m2: Vector, m3: Vector, m4: Vector, m5: Vector
) -> tuple[Vector, ...]:
    """A^T m."""
    even_a, odd_a, even_b, odd_b = m1 + m2, m1 - m2, m3 + m4, m3 - m4
    return (
        m0 + even_a + even_b,
        c.a * odd_a + c.b * odd_b,
        c.aa * even_a + c.bb * even_b,
        c.aaa * odd_a + c.bbb * odd_b + m5,
    )


@inlined
def _give(g: np.ndarray, at: int, fresh: bool, vector: Vector) -> None:
    """g[at ...] = vector, or += if it is not `fresh`."""
    store(g, (at,), vector if fresh else load(g, (at,)) + vector)


@inlined
def _give_row(
    c: Points, fresh: bool, g: np.ndarray, k: int, step: int, number: int, m0: Vector, m1: Vector,
    m2: Vector, m3: Vector, m4: Vector, m5: Vector,
) -> None:  # fmt: skip
    """The first `number` of A^T m to g[k], k + step ..."""
    y0, y1, y2, y3 = _results(c, m0, m1, m2, m3, m4, m5)
    _give(g, k, fresh, y0)
    if number > 1:
        _give(g, k + step, fresh, y1)
    if number > 2:
        _give(g, k + 2 * step, fresh, y2)
    if number > 3:
        _give(g, k + 3 * step, fresh, y3)


@inlined
def _give_tiles(
    link: Record, fresh: bool, g: np.ndarray, at: int, pace: int, wide: int, high: int, to: int
) -> None:
    """A^T M A of a row of `wide` tiles at g[at:] [36, ..., columns], of which `high` rows count,
    to g[to:] [height, width, columns], or += if it is not `fresh`.
    """
    c, columns, step = _points(g), link.columns, link.source_width * link.columns
    for tx in range(wide):
        number = min(EDGE, link.source_width - EDGE * tx)
        for j in range(0, columns, lanes(g)):
            i, k = at + tx * columns + j, to + EDGE * tx * columns + j
            a0, b0, c0, d0 = _results(c, *_six(g, i, 6 * pace))
            a1, b1, c1, d1 = _results(c, *_six(g, i + pace, 6 * pace))
            a2, b2, c2, d2 = _results(c, *_six(g, i + 2 * pace, 6 * pace))
            a3, b3, c3, d3 = _results(c, *_six(g, i + 3 * pace, 6 * pace))
            a4, b4, c4, d4 = _results(c, *_six(g, i + 4 * pace, 6 * pace))
            a5, b5, c5, d5 = _results(c, *_six(g, i + 5 * pace, 6 * pace))
            _give_row(c, fresh, g, k, columns, number, a0, a1, a2, a3, a4, a5)
            if high > 1:
                _give_row(c, fresh, g, k + step, columns, number, b0, b1, b2, b3, b4, b5)
            if high > 2:
                _give_row(c, fresh, g, k + 2 * step, columns, number, c0, c1, c2, c3, c4, c5)
            if high > 3:
                _give_row(c, fresh, g, k + 3 * step, columns, number, d0, d1, d2, d3, d4, d5)


@jit
def tiles_to_source(
    p: Record, link: Record, fresh: bool, g: np.ndarray, at: int, steps: int, pace: int,
    out_at: int, out_step: int, natural: np.ndarray, work: Work,
) -> None:  # fmt: skip
    """As conv_backward.to_source; p is the layer of the target."""
    wide, tall = -(-link.source_width // EDGE), -(-link.source_height // EDGE)
    rows, most, line = steps * tall, -(-TOGETHER // wide), link.source_width * link.columns
    given, made = _apart(most * wide, p.padded), _apart(most * wide, link.columns)
    tiles, size = work.at[0].tiles, link.inner * link.columns
    products = tiles + PRODUCTS * given
    at += p.inside + (link.padding_x - 2) * (p.row + p.padded)
    for first in range(0, rows, most):
        last = min(first + most, rows)
        for row in range(first, last):
            # Results come last, so the cache lines that they go to are asked for now.
            out = out_at + row // tall * out_step + row % tall * EDGE * line
            for k in range(out, out + EDGE * line, lanes(g)):
                prefetch(g, (k,))
            a = at + row // tall * pace + row % tall * EDGE * p.row
            _transform(p, link, g, a, wide, tiles + (row - first) * wide * p.padded, given)
        for i in range(PRODUCTS):
            product(
                g, products + i * made, link.columns, g, tiles + i * given, p.padded,
                (last - first) * wide, natural, link.natural_at + i * size, link.columns,
                link.inner, link.columns,
            )  # fmt: skip
        for row in range(first, last):
            m, high = products + (row - first) * wide * link.columns, row % tall * EDGE
            out = out_at + row // tall * out_step + high * line
            _give_tiles(link, fresh, g, m, made, wide, link.source_height - high, out)
