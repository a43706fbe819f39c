"""What the kernels must know about a network of convolutions, as arrays of numbers.

Maps are stored channels last: [height, width, channels padded to LANES], lengths have height 1.
Currents and their adjoints are *guarded*, with rows and columns of zeros around them, so that a
kernel never needs to be cut. The spike of channel c at position p has the code (p << shift) + c. A
*link* is the convolution from one source (the input, the layer itself, or a layer below) to one
layer.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fdi.engine.cpu.conv.geometry import Geometry
from fdi.snn.network import Network
from fdi.snn.projection import Projection

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
    "tiles",  # see winograd; 0: strips
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
    """What the layers above the maps see; `size`: numbers of a map, `codes`: of possible spikes."""

    positions: int
    channels: int
    padded: int
    shift: int

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
    place: np.ndarray  # [:, 3] for each link, see geometry.Runs
    run_start: np.ndarray  # for each link [phases + 1], indices into run
    run: np.ndarray  # [:, 3]
    strip: np.ndarray  # [:, 6], see geometry.strips
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


def depth(network: Network) -> int:
    """The number of layers, from the input up, that are maps."""
    for i, layer in enumerate(network.layers):
        afferents = [projection for p in layer for projection in network.afferents(p.name)]
        if not any(p.convolutional for p in afferents):
            return i
    return len(network.layers)
