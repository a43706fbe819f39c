"""What the kernels must know about a network of convolutions, as arrays of numbers.

Maps are stored channels last: [height, width, channels padded to LANES], lengths have height 1.
Currents and their adjoints are *guarded*, with rows and columns of zeros around them, so that a
kernel never needs to be cut. The spike of channel c at position p has the code (p << shift) + c. A
*link* is the convolution from one source (the input, the layer itself, or a layer below) to one
layer.

A spike at (y, x) reaches target (oy, ox) through the weight at (ky, kx) where oy stride + ky = y +
padding, and likewise in x. For one ky these targets are neighbours in x, so with the kernel's
columns in falling order they are one contiguous *run* of numbers; *strips* of rows serve the
gradient of the source.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from fdi.snn.network import Network, Projection


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
        edge = max(projection.average, default=1)  # averages are weights of single spikes here
        stride, padding = edge * (projection.stride or 1), edge * projection.padding
        *high, wide = (edge * size for size in projection.weight.shape[2:])
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

    `place` [source positions, 6]: the phase, the number of the guarded map where the weight
    (ky, kx) = phase lands, where the table has the weight to column 0 of the target, and, for a
    kernel one row high, the run: (in the table, in the map, length). `start` [phases + 1]: indices
    into `run`. `run` [n, 3]: (in the table of a source channel, in the map from there, length).
    """

    place: np.ndarray
    start: np.ndarray
    run: np.ndarray


def weight_runs(geometry: Geometry, target: Guarded) -> Runs:
    (height, width), (kh, kw), (sy, sx), (py, px) = geometry
    order, place, start, run = geometry.column_order(), [], [0], []
    for ry in range(sy):
        for rx in range(sx):
            columns = geometry.phase(rx)
            for ky in range(ry, kh, sy) if columns else ():
                table = (ky * kw + order.index(columns[0])) * target.channels
                back = ky // sy * target.row + (len(columns) - 1) * target.channels
                run.append((table, -back, len(columns) * target.channels))
            start.append(len(run))
    for y in range(height):
        for x in range(width):
            (oy, ry), (ox, rx) = divmod(y + py, sy), divmod(x + px, sx)
            at = target.inside + oy * target.row + ox * target.channels
            columns = geometry.phase(rx)
            column = order.index(columns[0]) + len(columns) - 1 - ox if columns else 0
            phase, only = ry * sx + rx, (0, 0, 0)
            if kh == 1 and start[phase] < start[phase + 1]:
                table, back, length = run[start[phase]]
                only = table, at + back, length
            place.append((phase, at, column * target.channels, *only))
    return Runs(np.array(place), np.array(start), np.array(run).reshape(-1, 3))


def strips(geometry: Geometry, target: Guarded, source_channels: int, tap: int) -> np.ndarray:
    """[n, 7]: rows of the source's gradient that one row of the kernel feeds from a row of the
    target's guarded map, as (start, step and number of source rows, start and step in the target,
    start of the first weight's [target channels, source channels], number of weights: those of a
    phase, of which each reads one position before the last one). One weight is a `tap`, of which
    those of a phase lie a stride apart.
    """
    (height, width), (kh, kw), (sy, sx), (py, px) = geometry
    rows = []
    for ky in range(kh if source_channels else 0):
        for r in range(min(sx, kw)):
            first = (r - px) % sx
            number = len(range(first, width, sx))
            ox = (first + px - r) // sx
            for y in range(height):
                oy, rest = divmod(y + py - ky, sy)
                if rest == 0 and 0 <= oy < geometry.target[0] and number:
                    to = (y * width + first) * source_channels, sx * source_channels, number
                    at = target.inside + oy * target.row + ox * target.channels
                    taps = len(range(r, kw, sx))
                    rows.append((*to, at, target.channels, (ky * kw + r) * tap, taps))
    return np.array(rows, dtype=np.int64).reshape(-1, 7)


NEAR = 24
"""Steps, at most, in which all layers go back before those ahead of them: what a layer gives to the
one below is still in a near cache when it is read.
"""

LAYER = (
    "height",
    "width",
    "channels",  # of all populations of the layer
    "padded",
    "visible",  # channels that the layers above see
    "shift",
    "row",  # of the guarded map, from one to the next
    "inside",  # numbers of the guarded map before its first position
    "pool_y",
    "pool_x",
    "recurrent",  # 1: it hears itself
    "ring",  # steps for which adjoints of the currents are kept, and that links take together
    "size",  # height width padded
    "guarded",  # numbers of the guarded map
    "pooled",  # the same as size of what the layers above see
    "pulled",  # 1: a link puts the gradient of what is pooled
    "size_at",  # sums of the sizes before
    "guarded_at",
    "adjoints_at",
    "pooled_at",
    "channels_at",
    "learned_at",  # where `tables` has the gradients of tau_mem, or -1
    "spikes_at",  # units before, in the order of torch: channels, height, width
    "first_link",
    "last_link",  # behind the last one
)
LINK = (
    "source",  # -1: the input
    "own",  # 1: the layer itself, without pooling
    "fresh",  # 1: the first to give its source a gradient
    "shift",  # of the source's codes
    "synapse",  # synaptic channel
    "low",  # first channel of the source
    "high",  # channel behind its last one
    "table_at",
    "block",  # numbers of one source channel in the table
    "phases",
    "source_height",
    "source_width",
    "kernel_y",
    "kernel_x",
    "stride_y",
    "stride_x",
    "padding_y",
    "padding_x",
    "tiles",  # see conv_winograd; 0: strips
    "natural_at",
    "inner",  # target channels
    "padded",  # the same, padded
    "columns",  # source channels, padded
    "first_place",  # start in place
    "first_phase",  # start in run_start
    "first_strip",
    "last_strip",  # behind the last one
)


class MapsOut(NamedTuple):
    """What the layers above the maps see, of `edges` (height, width); `size`: numbers of a map,
    `codes`: of possible spikes.
    """

    edges: tuple[int, int]
    channels: int
    padded: int
    shift: int

    @property
    def positions(self) -> int:
        return math.prod(self.edges)

    @property
    def size(self) -> int:
        return self.positions * self.padded

    @property
    def codes(self) -> int:
        return self.positions << self.shift


class ConvPlan(NamedTuple):
    """`layers` and `links`: records of the names above; sizes and starts count numbers, not
    bytes. `gap`: steps between two spikes, at least.
    """

    layers: np.ndarray
    links: np.ndarray
    place: np.ndarray  # [:, 6] for each link, see Runs
    run_start: np.ndarray  # for each link [phases + 1], indices into run
    run: np.ndarray  # [:, 3]
    strip: np.ndarray  # [:, 7], see strips
    input_positions: int
    channels: int
    states: int
    gap: int


class Link(NamedTuple):
    """The projections (one a target population) behind a link, and the channel at which each
    target's weights begin.
    """

    parts: tuple[tuple[Projection, int], ...]
    geometry: Geometry


class ConvLayout(NamedTuple):
    plan: ConvPlan
    links: tuple[Link, ...]
    out: MapsOut
    table_size: int
    natural_size: int


def plane(shape: tuple[int, ...]) -> tuple[int, int]:
    """(height, width) of (channels, length) or (channels, height, width)."""
    return (1, shape[1]) if len(shape) == 2 else (shape[1], shape[2])


def map_layers(network: Network) -> int:
    """The number of layers, from the input up, that are maps."""
    for i, layer in enumerate(network.layers):
        afferents = [projection for p in layer for projection in network.afferents(p.name)]
        if not any(p.convolutional for p in afferents):
            return i
    return len(network.layers)
