"""The layout of a network of convolutions: where each map, table and strip begins."""

from __future__ import annotations

import math

import numpy as np

from fdi.engine.cpu.conv.geometry import Geometry, Guarded, runs, strips
from fdi.engine.cpu.conv.plan import LAYER, LINK, ConvLayout, ConvPlan, Link, MapsOut, depth, plane
from fdi.engine.cpu.conv.winograd import PRODUCTS, reach, steps, tiles
from fdi.engine.cpu.kernels.rows import LANES
from fdi.engine.cpu.neuron import check_layer, states
from fdi.snn.network import INPUT, Network
from fdi.snn.population import Population
from fdi.snn.projection import Projection

Record = dict[str, int]


def lay_out(network: Network) -> ConvLayout:
    """The plan of the layers that are maps; a ValueError says what these kernels do not compute."""
    layout = _Layout(network)
    for i, layer in enumerate(network.layers[: depth(network)]):
        layout.add_layer(i, layer)
    layout.order_gradients()
    return layout.whole()


class _Layout:
    """Records of the layers and links laid out so far; what follows begins behind them."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.neuron = network.layers[0][0].neuron
        self.layers: list[Record] = []
        self.links: list[Record] = []
        self.parts: list[Link] = []
        self.place: list[np.ndarray] = []
        self.run_start: list[int] = []
        self.run: list[np.ndarray] = []
        self.strip: list[np.ndarray] = []
        self.tables = self.natural = self.units = 0

    def add_layer(self, i: int, layer: tuple[Population, ...]) -> None:
        """And the links that end there."""
        check_layer(layer)
        links = _links(self.network, layer, i)
        guards = np.max([geometry.guard for _, _, geometry in links], axis=0)
        reached = np.max([reach(geometry) for _, _, geometry in links], axis=0)
        record = _layer(layer, *map(int, (*guards, *reached))) | dict(
            pulled=0,
            recurrent=int(any(p.recurrent for (p, *_), _, _ in links)),
            size_at=sum(r["size"] for r in self.layers),
            guarded_at=sum(r["guarded"] for r in self.layers),
            adjoints_at=sum(r["ring"] * r["guarded"] for r in self.layers)
            * len(self.neuron.tau_syn),
            pooled_at=sum(r["pooled"] for r in self.layers),
            spikes_at=self.units,
            first_link=len(self.links), last_link=len(self.links) + len(links),
        )  # fmt: skip
        self.layers.append(record)
        self.units += sum(p.units for p in layer)
        starts = dict(zip((p.name for p in layer), (0, layer[0].shape[0])))
        for projections, source, geometry in links:
            self._add_link(record, starts, projections, source, geometry)
        together = [steps(link["tiles"]) for link in self.links[record["first_link"] :]]
        record["ring"] = max(3 * record["recurrent"], *together)

    def _add_link(
        self,
        layer: Record,
        starts: dict[str, int],
        projections: list[Projection],
        source: int,
        geometry: Geometry,
    ) -> None:
        """From the layer `source`, -1 for the input; `starts`: the first channel of each target."""
        p, below = projections[0], self.layers[source] if source >= 0 else None
        self.parts.append(Link(tuple((q, starts[q.target]) for q in projections), geometry))
        taps, channels, padded = math.prod(geometry.kernel), layer["channels"], layer["padded"]
        wide = below["padded"] if below else 0
        guarded = Guarded(layer["row"], padded, layer["inside"])
        touched = runs(geometry, guarded)
        pieces = strips(geometry, guarded, wide, channels * wide)
        first, rows = sum(map(len, self.strip)), p.weight.shape[1]
        tiled = tiles(geometry, int(pieces[:, 2].sum()))
        low = starts[p.source] if p.recurrent else 0
        link = dict(
            source=source, own=int(p.recurrent), fresh=0, synapse=p.channel, low=low,
            high=low + rows, shift=below["shift"] if below else 0,
            table_at=self.tables, block=taps * padded, phases=math.prod(geometry.stride),
            source_height=geometry.source[0], source_width=geometry.source[1],
            kernel_y=geometry.kernel[0], kernel_x=geometry.kernel[1],
            stride_y=geometry.stride[0], stride_x=geometry.stride[1],
            padding_y=geometry.padding[0], padding_x=geometry.padding[1], tiles=tiled,
            natural_at=self.natural, inner=channels, padded=padded, columns=wide,
            first_place=sum(map(len, self.place)), first_phase=len(self.run_start),
            first_strip=first, last_strip=first + len(pieces),
        )  # fmt: skip
        self.links.append(link)
        self.run_start += [sum(map(len, self.run)) + int(k) for k in touched.start]
        self.run.append(touched.run)
        self.place.append(touched.place)
        self.strip.append(pieces)
        self.tables += rows * link["block"]
        self.natural += (PRODUCTS if tiled else taps) * channels * wide

    def order_gradients(self) -> None:
        """From the top down, the first link to reach a layer puts its gradient, others add."""
        for layer in reversed(self.layers):
            for link in self.links[layer["first_link"] : layer["last_link"]]:
                if link["source"] >= 0 and not link["own"]:
                    link["fresh"] = int(not self.layers[link["source"]]["pulled"])
                    self.layers[link["source"]]["pulled"] = 1

    def whole(self) -> ConvLayout:
        plan = ConvPlan(
            _records(LAYER, self.layers),
            _records(LINK, self.links),
            np.concatenate(self.place).astype(np.int64),
            np.array(self.run_start, dtype=np.int64),
            np.concatenate(self.run).astype(np.int64),
            np.concatenate(self.strip),
            math.prod(self.network.input_shape[1:]),
            len(self.neuron.tau_syn),
            states(self.network),
            2 if self.neuron.reset == "zero" else 1,
        )
        top = self.layers[-1]
        positions = top["pooled"] // top["padded"]
        out = MapsOut(positions, top["visible"], top["padded"], top["shift"])
        return ConvLayout(plan, tuple(self.parts), out, self.tables, self.natural)


def _layer(
    layer: tuple[Population, ...], guard_y: int, guard_x: int, reach_y: int, reach_x: int
) -> Record:
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


def _records(names: tuple[str, ...], rows: list[Record]) -> np.ndarray:
    return np.array(
        [tuple(row[name] for name in names) for row in rows], [(name, np.int64) for name in names]
    )


def _links(
    network: Network, populations: tuple[Population, ...], layer: int
) -> list[tuple[list[Projection], int, Geometry]]:
    """(projections, source layer, geometry) of every source of a layer."""
    home = {p.name: i for i, mates in enumerate(network.layers) for p in mates}
    targets = [p.name for p in populations]
    grouped: dict[tuple[str, bool], list[Projection]] = {}
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
            grouped.setdefault((projection.source, projection.recurrent), []).append(projection)
    links = []
    for (name, recurrent), projections in grouped.items():
        if name == INPUT:
            shape = network.input_shape
        else:
            p = next(p for p in network.hidden if p.name == name)
            shape = p.shape if recurrent else p.pooled_shape
        below = -1 if name == INPUT else home[name]
        links.append((projections, below, Geometry.of(projections[0], plane(shape))))
    return links
