"""What the kernels must know about a network of convolutions, as arrays of numbers.

Maps are stored channels last: [height, width, channels padded to LANES], lengths have height 1.
Currents and their adjoints are *guarded*, with rows and columns of zeros around them, so that a
kernel never needs to be cut. The spike of channel c at position p has the code (p << shift) + c. A
*link* is the convolution from one source (the input, the layer itself, or a layer below) to one
layer.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from fdi.engine.cpu.conv.geometry import Geometry, Guarded, runs, strips
from fdi.engine.cpu.conv.winograd import PRODUCTS, reach, steps, tiles
from fdi.engine.cpu.kernels.rows import LANES
from fdi.engine.cpu.neuron import check_layer, states
from fdi.snn.network import INPUT, Network
from fdi.snn.population import Population
from fdi.snn.projection import Projection

_LAYER = (
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
_LINK = (
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


def lay_out(network: Network) -> ConvLayout:
    """The plan of the layers that are maps; a ValueError says what these kernels do not compute."""
    maps = network.layers[: depth(network)]
    neuron = maps[0][0].neuron
    home = {p.name: i for i, layer in enumerate(maps) for p in layer}
    layers: list[dict[str, int]] = []
    links: list[dict[str, int]] = []
    found: list[Link] = []
    place: list[np.ndarray] = []
    run_start: list[int] = []
    run: list[np.ndarray] = []
    strip: list[np.ndarray] = []
    tables, natural = 0, 0
    for i, layer in enumerate(maps):
        check_layer(layer)
        grouped = _links(network, layer, i, home)
        guards = np.max([geometry.guard for _, _, geometry in grouped], axis=0)
        reached = np.max([reach(geometry) for _, _, geometry in grouped], axis=0)
        record = _layer(layer, *map(int, (*guards, *reached))) | dict(
            pulled=0,
            recurrent=int(any(p.recurrent for (p, *_), _, _ in grouped)),
            size_at=sum(r["size"] for r in layers),
            guarded_at=sum(r["guarded"] for r in layers),
            adjoints_at=sum(r["ring"] * r["guarded"] for r in layers) * len(neuron.tau_syn),
            pooled_at=sum(r["pooled"] for r in layers),
            spikes_at=sum(p.units for below in maps[:i] for p in below),
            first_link=len(links), last_link=len(links) + len(grouped),
        )  # fmt: skip
        layers.append(record)
        padded = record["padded"]
        guarded = Guarded(record["row"], padded, record["inside"])
        names, starts = [p.name for p in layer], [0, layer[0].shape[0]]
        for projections, source, geometry in grouped:
            p, taps, channels = projections[0], math.prod(geometry.kernel), record["channels"]
            wide = layers[source]["padded"] if source >= 0 else 0
            found.append(
                Link(tuple((q, starts[names.index(q.target)]) for q in projections), geometry)
            )
            touched = runs(geometry, guarded)
            pieces = strips(geometry, guarded, wide, channels * wide)
            first, rows = sum(map(len, strip)), p.weight.shape[1]
            tiled = tiles(geometry, int(pieces[:, 2].sum()))
            low = starts[names.index(p.source)] if p.recurrent else 0
            link = dict(
                source=source, own=int(p.recurrent), fresh=0, synapse=p.channel, low=low,
                high=low + rows, shift=layers[source]["shift"] if source >= 0 else 0,
                table_at=tables, block=taps * padded, phases=math.prod(geometry.stride),
                source_height=geometry.source[0], source_width=geometry.source[1],
                kernel_y=geometry.kernel[0], kernel_x=geometry.kernel[1],
                stride_y=geometry.stride[0], stride_x=geometry.stride[1],
                padding_y=geometry.padding[0], padding_x=geometry.padding[1], tiles=tiled,
                natural_at=natural, inner=channels, padded=padded, columns=wide,
                first_place=sum(map(len, place)), first_phase=len(run_start), first_strip=first,
                last_strip=first + len(pieces),
            )  # fmt: skip
            links.append(link)
            run_start += [sum(map(len, run)) + int(k) for k in touched.start]
            run.append(touched.run)
            place.append(touched.place)
            strip.append(pieces)
            tables += rows * link["block"]
            natural += (PRODUCTS if tiled else taps) * channels * wide
        together = [steps(link["tiles"]) for link in links[record["first_link"] :]]
        record["ring"] = max(3 * record["recurrent"], *together)
    for record in reversed(layers):
        for link in links[record["first_link"] : record["last_link"]]:
            if link["source"] >= 0 and not link["own"]:
                link["fresh"] = int(not layers[link["source"]]["pulled"])
                layers[link["source"]]["pulled"] = 1
    top = layers[-1]
    plan = ConvPlan(
        _records(_LAYER, layers),
        _records(_LINK, links),
        np.concatenate(place).astype(np.int64),
        np.array(run_start, dtype=np.int64),
        np.concatenate(run).astype(np.int64),
        np.concatenate(strip),
        math.prod(network.input_shape[1:]),
        len(neuron.tau_syn),
        states(network),
        2 if neuron.reset == "zero" else 1,
    )
    positions = top["pooled"] // top["padded"]
    out = MapsOut(positions, top["visible"], top["padded"], top["shift"])
    return ConvLayout(plan, tuple(found), out, tables, natural)


def _layer(
    layer: tuple[Population, ...], guard_y: int, guard_x: int, reach_y: int, reach_x: int
) -> dict[str, int]:
    first = layer[0]
    height, width = plane(first.shape)
    channels = sum(p.shape[0] for p in layer)
    padded = -(-channels // LANES) * LANES
    row = (guard_x + max(width + guard_x, reach_x)) * padded
    pooled = math.prod(plane(first.shape if first.pool == 1 else first.pooled_shape))
    return dict(
        height=height, width=width, channels=channels, padded=padded, visible=first.shape[0],
        shift=(padded - 1).bit_length(), row=row, inside=guard_y * row + guard_x * padded,
        pool_x=first.pool, pool_y=1 if len(first.shape) == 2 else first.pool,
        size=height * width * padded, pooled=pooled * padded,
        guarded=(guard_y + max(height + guard_y, reach_y)) * row,
    )  # fmt: skip


def _records(names: tuple[str, ...], rows: list[dict[str, int]]) -> np.ndarray:
    return np.array(
        [tuple(row[name] for name in names) for row in rows], [(name, np.int64) for name in names]
    )


def _links(
    network: Network, mates: tuple[Population, ...], layer: int, home: dict[str, int]
) -> list[tuple[list[Projection], int, Geometry]]:
    """(projections, source layer, geometry) of every source of a layer."""
    targets = [p.name for p in mates]
    found: dict[tuple[str, bool], list[Projection]] = {}
    for target in targets:
        for projection in network.afferents(target):
            source = -1 if projection.source == INPUT else home[projection.source]
            fits = projection.convolutional and (
                source == layer if projection.recurrent else source < layer
            )
            if projection.recurrent:
                fits = fits and projection.channel == targets.index(projection.source)
            else:
                fits = (
                    fits
                    and projection.channel == 0
                    and (source == -1 or projection.source == network.layers[source][0].name)
                )
            if not fits:
                raise ValueError(
                    f"engine=cpu does not compute the projection {projection.name}; use "
                    f"engine=reference"
                )
            found.setdefault((projection.source, projection.recurrent), []).append(projection)
    links = []
    for (name, recurrent), projections in found.items():
        if name == INPUT:
            shape = network.input_shape
        else:
            p = next(p for p in network.hidden if p.name == name)
            shape = p.shape if recurrent else p.pooled_shape
        below = -1 if name == INPUT else home[name]
        links.append((projections, below, Geometry.of(projections[0], plane(shape))))
    return links
