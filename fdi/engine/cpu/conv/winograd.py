"""When the gradient of a convolution's source comes from minimal filtering, and with which weights:
tiles of 4 x 4 results in 36 products, where a convolution of 3 x 3 takes 144. See tiles.py.

Y = A^T [(G W G^T) * (B^T D B)] A for the tile D of 6 x 6 adjoints that the 4 x 4 results Y read
[Lavin & Gray 2016, section 4.1]. It is a product of polynomials, by their values at 0, a, -a, b, -b
and infinity; with these a and b it rounds nearly as well as the convolution itself.
"""

from __future__ import annotations

import torch
from torch import Tensor

from fdi.engine.cpu.conv.geometry import Geometry

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
