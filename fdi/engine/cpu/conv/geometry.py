"""Where the kernel of a convolution lands: runs of numbers that an event touches, and strips of
rows for the gradient of the source.

A spike at (y, x) reaches target (oy, ox) through the weight at (ky, kx) where oy stride + ky = y +
padding, and likewise in x. For one ky these targets are neighbours in x, so with the kernel's
columns in falling order they are one contiguous run of numbers.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fdi.snn.projection import Projection


class Geometry(NamedTuple):
    """(height, width) of the source, kernel, stride and padding; heights of a one-dimensional
    convolution are 1, 1, 1 and 0.
    """

    source: tuple[int, int]
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]

    @classmethod
    def of(cls, projection: Projection, source: tuple[int, int]) -> Geometry:
        stride, padding = projection.stride or 1, projection.padding
        *high, wide = projection.weight.shape[2:]
        return cls(
            source,
            (high[0] if high else 1, wide),
            (stride if high else 1, stride),
            (padding if high else 0, padding),
        )

    @property
    def guard(self) -> tuple[int, int]:
        """Rows and columns beyond the edges of the target that the kernel reaches from some
        position of the source.
        """
        high, wide = (
            max(0, -((padding - kernel + 1) // stride), (size - 1 + padding) // stride - target + 1)
            for size, kernel, stride, padding, target in zip(*self, self.target)
        )
        return high, wide

    @property
    def target(self) -> tuple[int, int]:
        height, width = (
            (size + 2 * padding - kernel) // stride + 1
            for size, kernel, stride, padding in zip(*self)
        )
        return height, width

    def phase(self, r: int) -> list[int]:
        """The columns of the kernel that a source column with (x + padding) % stride = r meets,
        falling.
        """
        return list(range(r, self.kernel[1], self.stride[1]))[::-1]

    def column_order(self) -> list[int]:
        """The columns of the kernel as a table stores them: phase after phase."""
        return [kx for r in range(min(self.stride[1], self.kernel[1])) for kx in self.phase(r)]


class Guarded(NamedTuple):
    """Where a guarded map has its numbers: `row` from one row to the next, `inside` before the
    first position.
    """

    row: int
    channels: int
    inside: int


class Runs(NamedTuple):
    """The runs that a spike touches depend on its phase, ((y + padding) % stride, the same of x).

    `place` [source positions, 3]: the phase, the number of the guarded map where the weight
    (ky, kx) = phase lands, and where the table has the weight to column 0 of the target. `start`
    [phases + 1]: indices into `run`. `run` [n, 3]: (in the table of a source channel, in the map
    from there, length).
    """

    place: np.ndarray
    start: np.ndarray
    run: np.ndarray


def runs(geometry: Geometry, target: Guarded) -> Runs:
    (height, width), (kh, kw), (sy, sx), (py, px) = geometry
    order, place, start, run = geometry.column_order(), [], [0], []
    for y in range(height):
        for x in range(width):
            (oy, ry), (ox, rx) = divmod(y + py, sy), divmod(x + px, sx)
            at = target.inside + oy * target.row + ox * target.channels
            columns = geometry.phase(rx)
            column = order.index(columns[0]) + len(columns) - 1 - ox if columns else 0
            place.append((ry * sx + rx, at, column * target.channels))
    for ry in range(sy):
        for rx in range(sx):
            columns = geometry.phase(rx)
            for ky in range(ry, kh, sy) if columns else ():
                table = (ky * kw + order.index(columns[0])) * target.channels
                back = ky // sy * target.row + (len(columns) - 1) * target.channels
                run.append((table, -back, len(columns) * target.channels))
            start.append(len(run))
    return Runs(np.array(place), np.array(start), np.array(run).reshape(-1, 3))


def strips(geometry: Geometry, target: Guarded, source_channels: int, tap: int) -> np.ndarray:
    """[n, 6]: rows of the source's gradient that one weight of the kernel feeds from a row of the
    target's guarded map, as (start, step and number of source rows, start and step in the target,
    start of the weight's [target channels, source channels]); one `tap` after another.
    """
    (height, width), (kh, kw), (sy, sx), (py, px) = geometry
    rows = []
    for ky in range(kh if source_channels else 0):
        for kx in range(kw):
            first = (kx - px) % sx
            number = len(range(first, width, sx))
            ox = (first + px - kx) // sx
            for y in range(height):
                oy, rest = divmod(y + py - ky, sy)
                if rest == 0 and 0 <= oy < geometry.target[0] and number:
                    to = (y * width + first) * source_channels, sx * source_channels, number
                    at = target.inside + oy * target.row + ox * target.channels
                    rows.append((*to, at, target.channels, (ky * kw + kx) * tap))
    return np.array(rows, dtype=np.int64).reshape(-1, 6)
