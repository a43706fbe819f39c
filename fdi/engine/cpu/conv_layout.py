"""The layout of a network of convolutions: where each map, table and strip begins, weights in the
order that the kernels read, dense currents of a whole batch, and scratch memory.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import conv1d, conv2d
from torch.nn.grad import conv1d_weight, conv2d_weight

from fdi.engine.checks import refused
from fdi.engine.cpu.conv_plan import (
    LAYER,
    LINK,
    NEAR,
    ConvLayout,
    ConvPlan,
    Geometry,
    Guarded,
    Link,
    MapsOut,
    map_layers,
    plane,
    strips,
    weight_runs,
)
from fdi.engine.cpu.conv_winograd import EDGE, PRODUCTS, TOGETHER, reach, steps, tiles, transformed
from fdi.engine.cpu.kernels.rows import LANES
from fdi.engine.cpu.neurons import check_layer, states
from fdi.snn.network import INPUT, Network, Projection, fold, unroll
from fdi.snn.neuron import Population

Record = dict[str, int]


def lay_out(network: Network) -> ConvLayout:
    """The plan of the layers that are maps; a ValueError says what these kernels do not compute."""
    layout = _Layout(network)
    for i, layer in enumerate(network.layers[: map_layers(network)]):
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
            channels_at=sum(r["padded"] for r in self.layers),
            learned_at=self.tables if layer[0].neuron.learn_tau else -1,
            spikes_at=self.units,
            first_link=len(self.links), last_link=len(self.links) + len(links),
        )  # fmt: skip
        self.tables += record["padded"] * (record["learned_at"] >= 0)
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
        touched = weight_runs(geometry, guarded)
        pieces = strips(geometry, guarded, wide, channels * wide)
        first, rows = sum(map(len, self.strip)), p.weight.shape[1]
        tiled = tiles(geometry, int(pieces[:, 2] @ pieces[:, 6]))
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
        edges = top["height"] // top["pool_y"], top["width"] // top["pool_x"]
        out = MapsOut(edges, top["visible"], top["padded"], top["shift"])
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
                raise refused("cpu", f"does not compute the projection {projection.name}")
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


def pack(layout: ConvLayout, tables: Tensor, natural: Tensor) -> None:
    """Fill in, of each link, `tables` [source channels, ky, columns in the order of geometry,
    target channels padded] and `natural` [ky, kx, target channels, source channels padded].
    """
    for record, link in zip(layout.plan.links, layout.links):
        for projection, channel in link.parts:
            weight = _four(unroll(projection.weight.detach(), projection.average))
            _table_part(record, tables, weight.shape, channel).copy_(
                weight.permute(1, 2, 3, 0)[:, :, link.geometry.column_order()]
            )
            inner, columns, at = (int(record[name]) for name in ("inner", "columns", "natural_at"))
            if columns:
                if record["tiles"]:
                    taps, turned = PRODUCTS, transformed(weight)
                else:
                    taps = weight.shape[2] * weight.shape[3]
                    turned = weight.flatten(2).permute(2, 0, 1)
                block = natural[at : at + taps * inner * columns].view(taps, inner, columns)
                block[:, channel : channel + len(weight), record["low"] : record["high"]] = turned


def unpack(layout: ConvLayout, tables: Tensor) -> Iterator[tuple[Projection, Tensor]]:
    """Each projection and its gradient, from gradients laid out like `tables`."""
    for record, link in zip(layout.plan.links, layout.links):
        back = np.argsort(link.geometry.column_order())
        for projection, channel in link.parts:
            weight = projection.weight
            shape = (*weight.shape[:2], *link.geometry.kernel)
            gradient = _table_part(record, tables, shape, channel)[:, :, back].permute(3, 0, 1, 2)
            gradient = fold(gradient, projection.average).reshape(weight.shape)
            yield projection, gradient.clone(memory_format=torch.contiguous_format)


def _four(weight: Tensor) -> Tensor:
    """[target, source, ky, kx], also of a one-dimensional convolution."""
    return weight.unsqueeze(2) if weight.ndim == 3 else weight


def _table_part(link: np.void, tables: Tensor, shape: Sequence[int], channel: int) -> Tensor:
    """[source channels, ky, columns, target channels] of a projection of weights of that `shape`,
    of four axes, in `tables`.
    """
    target, source, kh, kw = shape
    block = int(link["block"])
    padded = block // (kh * kw)
    start = int(link["table_at"]) + channel
    return tables.as_strided((source, kh, kw, target), (block, kw * padded, padded, 1), start)


def drive(layout: ConvLayout, values: np.ndarray, tables: np.ndarray) -> np.ndarray:
    """The dense current [B, 0 or 1, size] of the first layer that constant inputs `values` [B, 0 or
    1, input units] cause.
    """
    first, (link, *_) = layout.plan.layers[0], layout.links
    batch, rows, _ = values.shape
    positions = int(first["height"] * first["width"])
    current = np.zeros((batch, rows, positions, int(first["padded"])), values.dtype)
    for projection, channel in link.parts if rows else ():
        weight = projection.weight.detach()
        x = _images(layout, values, weight)
        out = (conv1d if weight.ndim == 3 else conv2d)(
            x, weight, stride=projection.stride or 1, padding=projection.padding
        )
        current[:, 0, :, channel : channel + len(weight)] = out.flatten(2).transpose(1, 2).numpy()
    return current.reshape(batch, rows, int(first["size"]))


def drive_gradient(
    layout: ConvLayout, values: np.ndarray, d_drive: np.ndarray, tables: np.ndarray
) -> None:
    """Add the gradient of the weights behind `drive` to `tables`."""
    first, (link, *_) = layout.plan.layers[0], layout.links
    maps = torch.from_numpy(d_drive.reshape(len(values), -1, int(first["padded"])))
    edges = (
        (int(first["width"]),)
        if link.parts[0][0].weight.ndim == 3
        else (int(first["height"]), int(first["width"]))
    )
    for projection, channel in link.parts:
        weight = projection.weight
        g = (
            maps[:, :, channel : channel + len(weight)]
            .transpose(1, 2)
            .reshape(len(values), len(weight), *edges)
        )
        function = conv1d_weight if weight.ndim == 3 else conv2d_weight
        x = _images(layout, values, weight)
        gradient = _four(
            function(x, weight.shape, g, stride=projection.stride, padding=projection.padding)
        )
        part = _table_part(layout.plan.links[0], torch.from_numpy(tables), gradient.shape, channel)
        part += gradient.permute(1, 2, 3, 0)[:, :, link.geometry.column_order()]


def _images(layout: ConvLayout, values: np.ndarray, weight: Tensor) -> Tensor:
    height, width = layout.links[0].geometry.source
    edges = (width,) if weight.ndim == 3 else (height, width)
    return torch.from_numpy(values).reshape(len(values), weight.shape[1], *edges)


def shapes(plan: ConvPlan, steps: int, span: int, gradients: bool) -> dict[str, tuple[int, ...]]:
    """As dense_layout.shapes.

    `above`: gradient of the pooled spikes, from two steps before the NEAR ones on; `starts`: where
    the weights of spikes begin; `begins`: spikes before a position; `sorted`: spikes by channel and
    phase; `tiles`: see conv_winograd; `map_pull`: gradient of the bounds, for each layer
    `map_pulled` if there is one; `pulls`: the same and that through the layer's own links.
    """
    layers, links = plan.layers, plan.links
    sums = {name: int(layers[name].sum()) for name in layers.dtype.names or ()}
    size, guarded = int(layers["size"].max()), int(layers["guarded"].max())
    units = int((layers["channels"] * layers["height"] * layers["width"]).sum())
    wide = -(-links["source_width"] // EDGE)
    products = -(-TOGETHER // wide) * wide * (links["padded"] + links["columns"]) + 2 * LANES
    kinds = (links["high"] - links["low"]) * links["phases"]
    positions = links["source_height"] * links["source_width"]
    room, windows = units * -(-steps // plan.gap), -(-steps // span) if gradients else 1
    adjoints = plan.channels * int((layers["ring"] * layers["guarded"]).sum())
    state, kept = 1 + plan.states, plan.channels * sums["guarded"]
    return dict(
        map_saved=(windows * (state * sums["size"] + kept),),
        map_potentials=((span + 1) * sums["size"],),
        above=((min(span, NEAR) + 2) * sums["pooled"] * gradients,),
        map_spike_indptr=(len(layers), steps + 1),
        map_spikes=(room + len(layers) * LANES,),
        pooled_indptr=(len(layers), steps + 1),
        pooled=(room + len(layers) * LANES,),
        starts=(int((layers["height"] * layers["width"] << layers["shift"]).max()),),
        begins=(int(positions.max()) + 1,),
        sorted_number=(int(kinds.max()),),
        sorted=(int((kinds * positions).max()) * gradients,),
        tiles=(PRODUCTS * int((products * (links["tiles"] > 0)).max()) * gradients,),
        maps=(plan.channels * guarded + plan.states * size,),
        map_adjoints=(adjoints * gradients,),
        map_pull=(sums["size"],),
        map_pulled=(len(layers),),
        pulls=(size,),
        map_gu=(state * sums["size"] * gradients,),
        map_leak=(2, int(layers["pooled"][-1]) * gradients),
    )
