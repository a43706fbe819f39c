"""Layers of fully connected projections as the kernels take them: records of numbers (layers, their
sources, where weights lie), weights in the order of the kernels, and scratch memory.

A layer is one population, or two side by side (excitatory first); the last layer is the readout.
`tables` holds, layer after layer, the weight rows that a spike adds to the currents: first of the
sources below ([source units, width]), then of the layer itself. `natural` holds the same weights
the other way round, [target units, source units], for the products of the backward pass, those of
recurrent projections in strips of columns (see rows.add_strips). Rows of `tables` are padded to
`width`, a multiple of WIDTH. Maps below (convolutions) are a source like the input; their spikes
have the codes of conv_plan.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch

from fdi.engine.checks import refused
from fdi.engine.cpu.conv_plan import ConvLayout, MapsOut
from fdi.engine.cpu.kernels.rows import LANES, STRIP, turn
from fdi.engine.cpu.neurons import (
    DifferentNeurons,
    Neurons,
    check_layer,
    remembered,
    states,
)
from fdi.snn.network import INPUT, Network, Projection, fold, unroll
from fdi.snn.neuron import Population

WIDTH = 32
LAYER = (
    "units",
    "width",  # units padded
    "state_at",  # sum of the widths before
    "list_at",  # sum of the units before
    "count_at",  # the same, with those of the maps below
    "exc",  # units whose recurrent projections arrive on channel 0, the others on channel 1
    "recurrent_from",  # first unit that has recurrent projections
    "table_at",  # the afferent rows in `tables`
    "rows",  # their number
    "direct",  # the layer whose spikes are all that arrives, as they are, or -1
    "collected_at",  # sum of the rows before of layers that are not direct, without the first layer
    "own_at",  # the recurrent rows in `tables`
    "own_0",  # recurrent weights in `natural`, from channel 0
    "own_1",  # from channel 1
    "learned_at",  # where `tables` has the gradients of tau_mem, or -1
    "first_source",
    "last_source",  # behind the last one
    "heard",  # the source of the readout that is this layer, if no other layer hears it, or -1
)
SOURCE = (
    "layer",  # -1: the input, or the maps below
    "units",
    "row",  # first row among the layer's afferent rows
    "natural_at",
    "pitch",  # numbers from one row there to the next
)


class DensePlan(NamedTuple):
    """`layers` and `sources`: records of the names above. `population_at` [P + 1]: range of a
    population's units among all hidden units. `widest`: width of a layer; `total` of the hidden
    ones; `hidden`: length of a row with a number for each hidden unit, padded. `gap`: steps between
    two spikes, at least. `learns`: 1 if neurons learn tau_mem.
    """

    layers: np.ndarray
    sources: np.ndarray
    population_at: np.ndarray
    widest: int
    total: int
    hidden: int
    channels: int
    states: int
    remembered: int
    gap: int
    learns: int


class WeightPlace(NamedTuple):
    """Where a projection's weight [target, source] lies: row and column (unit of the layer) in
    `tables`, start in `natural` (or -1) and `step` from a row to the next there; of a recurrent one
    the start of the layer's weights of that source, and their rows. `maps`: the maps that it reads.
    """

    projection: Projection
    table_at: int
    width: int
    row: int
    column: int
    natural_at: int
    step: int
    maps: MapsOut | None


class Layout(NamedTuple):
    """A plan with the sizes of its stores and the places of all projections."""

    plan: DensePlan
    places: tuple[WeightPlace, ...]
    table_size: int
    natural_size: int


Starts = dict[str, tuple[int, int, int]]
"""Of a source: its first row among the afferent ones, its start in `natural`, or -1, and the
numbers from one row there to the next.
"""


def lay_out(network: Network, maps: ConvLayout | None) -> Layout:
    """The plan of the layers above the `maps`; a ValueError says what a network has that these
    kernels do not compute.
    """
    layout = _Layout(network, maps)
    for i, layer in enumerate(layout.above):
        layout.add_layer(i, layer)
    layout.find_heard()
    return layout.whole()


class _Layout:
    """Records of the layers and sources laid out so far; what follows begins behind them."""

    def __init__(self, network: Network, maps: ConvLayout | None) -> None:
        below = len(maps.plan.layers) if maps else 0
        self.network, self.maps = network, maps
        self.above = [*network.layers[below:], (network.readout,)]
        self.foot = network.layers[below - 1][0].name if maps else INPUT
        self.under = sum(p.units for layer in network.layers[:below] for p in layer)
        self.home = {
            p.name: (i, sum(q.units for q in layer[:k]))
            for i, layer in enumerate(self.above)
            for k, p in enumerate(layer)
        }
        self.units = {p.name: p.units for layer in self.above for p in layer}
        self.records: list[dict[str, int]] = []
        self.sources: list[tuple[int, ...]] = []
        self.places: list[WeightPlace] = []
        self.tables, self.natural = (maps.table_size, maps.natural_size) if maps else (0, 0)

    def add_layer(self, i: int, layer: tuple[Population, ...]) -> None:
        check_layer(layer)
        size = sum(p.units for p in layer)
        width = _pitch(-(-size // WIDTH) * WIDTH)
        afferents = [projection for p in layer for projection in self.network.afferents(p.name)]
        for projection in afferents:
            _check_projection(projection, i, self.home, self.foot, layer)
        own = {p.source for p in afferents if p.recurrent}
        first = len(self.sources)
        starts: Starts = {}
        rows = 0
        for source in dict.fromkeys(p.source for p in afferents if not p.recurrent):
            rows += self._add_source(source, rows, size, starts)
        lower = [source for source, *_ in self.sources[first:]]
        direct = len(lower) == 1 and lower[0] >= 0 and rows == self.records[lower[0]]["units"]
        record = dict.fromkeys(LAYER, 0) | dict(
            units=size, width=width, rows=rows,
            table_at=self.tables, own_at=self.tables + rows * width,
            exc=layer[0].units, direct=lower[0] if direct else -1,
            recurrent_from=min((self.home[source][1] for source in own), default=size),
            state_at=sum(r["width"] for r in self.records),
            list_at=sum(r["units"] for r in self.records),
            count_at=self.under + sum(r["units"] for r in self.records),
            collected_at=sum(r["rows"] for r in self.records[1:] if r["direct"] < 0),
            first_source=first, last_source=len(self.sources), heard=-1, learned_at=-1,
        )  # fmt: skip
        for channel, p in enumerate(layer):
            if p.name in own:
                record[f"own_{channel}"] = self.natural
                starts[p.name] = self.home[p.name][1], self.natural, size
                self.natural += size * p.units
        self.records.append(record)
        self.places += [self._place(projection, record, starts) for projection in afferents]
        self.tables += (rows + (size if own else 0)) * width
        if layer[0].neuron.learn_tau:
            record["learned_at"], self.tables = self.tables, self.tables + width

    def _add_source(self, source: str, row: int, size: int, starts: Starts) -> int:
        """Its rows; `size`: units of the layer that hears it."""
        maps, layer, at = self.maps, self.home.get(source, (-1, 0))[0], self.natural
        if source != self.foot:
            rows = units = self.units[source]
            pitch = self.records[layer]["width"]
        elif maps:
            rows, units, pitch = maps.out.codes, maps.out.size, maps.out.size
        else:
            rows = units = math.prod(self.network.input_shape)
            at, pitch = -1, 0
        starts[source] = row, at, pitch
        self.sources.append((layer, units, row, at, pitch))
        self.natural += size * pitch
        return rows

    def _place(self, projection: Projection, record: dict[str, int], starts: Starts) -> WeightPlace:
        column, (row, at, step) = self.home[projection.target][1], starts[projection.source]
        store = record["own_at"] if projection.recurrent else record["table_at"]
        seen = self.maps.out if self.maps and projection.source == self.foot else None
        at = at if at < 0 or projection.recurrent else at + column * step
        return WeightPlace(projection, store, record["width"], row, column, at, step, seen)

    def find_heard(self) -> None:
        """The layers that only the readout hears."""
        hears = [source[0] for source in self.sources]
        for q in range(self.records[-1]["first_source"], len(self.sources)):
            if hears[q] >= 0 and hears.count(hears[q]) == 1:
                self.records[hears[q]]["heard"] = q

    def whole(self) -> Layout:
        hidden, neuron = self.network.hidden, self.network.hidden[0].neuron
        plan = DensePlan(
            _records(LAYER, [tuple(r.values()) for r in self.records]),
            _records(SOURCE, self.sources),
            np.cumsum([0, *(p.units for p in hidden)]),
            max(r["width"] for r in self.records),
            self.records[-1]["state_at"],
            sum(p.units for p in hidden) + WIDTH,
            len(neuron.tau_syn),
            states(self.network),
            remembered(self.network),
            2 if neuron.reset == "zero" else 1,
            int(neuron.learn_tau),
        )
        return Layout(plan, tuple(self.places), self.tables, self.natural)


def _pitch(n: int) -> int:
    """Numbers from one row of n to the next: not a large power of two apart, where rows would share
    the same places of a cache.
    """
    return n if n % 512 else n + WIDTH


def _records(names: tuple[str, ...], rows: Sequence[tuple[int, ...]]) -> np.ndarray:
    return np.array(rows, [(name, np.int64) for name in names])


def _check_projection(
    projection: Projection,
    layer: int,
    home: dict[str, tuple[int, int]],
    foot: str,
    mates: tuple[Population, ...],
) -> None:
    source, channel = projection.source, projection.channel
    if projection.recurrent:
        names = [p.name for p in mates]
        fits = source in names and channel == names.index(source)
    else:
        below = -1 if source == foot else home.get(source, (layer, 0))[0]
        fits = channel == 0 and below < layer and (layer == 0) == (below == -1)
        fits = fits and (below == -1 or home[source][1] == 0)
    if projection.convolutional or not fits:
        what = f"the projection {projection.name} (channel {channel})"
        raise refused("cpu", f"does not compute {what}")


def pack(layout: Layout, tables: np.ndarray, natural: np.ndarray) -> None:
    """Fill `tables` and `natural` with the weights as they are now."""
    for place in layout.places:
        weight = place.projection.weight.detach()
        if place.maps:
            by_position = _by_position(place.maps, weight, place.projection.average)
            _rows(tables, place, place.maps).copy_(by_position)
            _columns(natural, place, place.maps).copy_(by_position.permute(2, 0, 1))
            continue
        (target, source), flat = weight.shape, weight.numpy().reshape(-1)
        turn(flat, 0, source, target, source, tables, _start(place), place.width)
        if place.projection.recurrent:
            _put_strips(natural, place, flat.reshape(target, source))
        elif place.natural_at >= 0:
            rows = natural[place.natural_at : place.natural_at + target * place.step]
            rows.reshape(target, place.step)[:, :source] = flat.reshape(target, source)


def _put_strips(natural: np.ndarray, place: WeightPlace, weight: np.ndarray) -> None:
    """The weights of a recurrent projection, [target, source], in the layout of rows.add_strips."""
    (target, source), width, rows = weight.shape, STRIP // weight.itemsize, place.step
    strips, rest = divmod(source, width)
    end, own = place.natural_at + strips * rows * width, slice(place.column, place.column + target)
    whole = natural[place.natural_at : end].reshape(strips, rows, width)
    whole[:, own] = weight[:, : source - rest].reshape(target, strips, width).swapaxes(0, 1)
    natural[end : end + rows * rest].reshape(rows, rest)[own] = weight[:, source - rest :]


def unpack(layout: Layout, tables: np.ndarray) -> Iterator[tuple[Projection, torch.Tensor]]:
    """Each projection and its gradient, from gradients laid out like `tables`."""
    for place in layout.places:
        weight = place.projection.weight
        if place.maps:
            rows = _rows(tables, place, place.maps)
            whole = rows.permute(2, 1, 0).unflatten(2, place.maps.edges)
            grad = fold(whole, place.projection.average).reshape(weight.shape)
            yield place.projection, grad.clone(memory_format=torch.contiguous_format)
            continue
        (target, source), grad = weight.shape, torch.empty(weight.shape, dtype=weight.dtype)
        flat = grad.numpy().reshape(-1)
        turn(tables, _start(place), place.width, source, target, flat, 0, source)
        yield place.projection, grad


def _start(place: WeightPlace) -> int:
    """Of this projection's part of `tables`."""
    return place.table_at + place.row * place.width + place.column


def _by_position(maps: MapsOut, weight: torch.Tensor, average: tuple[int, ...]) -> torch.Tensor:
    """[positions, channels, target units]."""
    high, wide = maps.edges
    edges = high // (average[0] if len(average) == 2 else 1), wide // max(average, default=1)
    whole = unroll(weight.view(len(weight), maps.channels, *edges), average)
    return whole.flatten(2).permute(2, 1, 0)


def _rows(tables: np.ndarray, place: WeightPlace, maps: MapsOut) -> torch.Tensor:
    """This projection's part of `tables`, as `_by_position`."""
    shape = (maps.positions, maps.channels, len(place.projection.weight))
    strides = (place.width << maps.shift, place.width, 1)
    return torch.from_numpy(tables).as_strided(shape, strides, _start(place))


def _columns(natural: np.ndarray, place: WeightPlace, maps: MapsOut) -> torch.Tensor:
    """This projection's part of `natural`, [target units, positions, channels]."""
    shape = (len(place.projection.weight), maps.positions, maps.channels)
    strides = (maps.size, maps.padded, 1)
    return torch.from_numpy(natural).as_strided(shape, strides, place.natural_at)


def drive(layout: Layout, values: np.ndarray, tables: np.ndarray) -> np.ndarray:
    """The dense current [B, 0, 1 or T, width] of the first layer that `values` [B, 0, 1 or T, input
    units] cause.
    """
    if not values.size:
        return np.empty((*values.shape[:2], int(layout.plan.layers["width"][0])), values.dtype)
    return (torch.from_numpy(values) @ _input_rows(layout, tables)).numpy()


def drive_gradient(
    layout: Layout, values: np.ndarray, d_drive: np.ndarray, tables: np.ndarray
) -> None:
    """Add the gradient of the weights behind `drive` to `tables`."""
    flat = torch.from_numpy(values.reshape(-1, values.shape[-1]))
    _input_rows(layout, tables).addmm_(flat.T, torch.from_numpy(d_drive.reshape(len(flat), -1)))


def value_gradient(layout: Layout, d_drive: np.ndarray, tables: np.ndarray) -> torch.Tensor:
    """That of the `values` behind `drive`, [B, 1 or T, input units]."""
    return torch.from_numpy(d_drive) @ _input_rows(layout, tables).T


def _input_rows(layout: Layout, tables: np.ndarray) -> torch.Tensor:
    """[input units, width]: the first layer's afferent rows."""
    rows, width = int(layout.plan.layers["rows"][0]), int(layout.plan.layers["width"][0])
    start = int(layout.plan.layers["table_at"][0])
    return torch.from_numpy(tables[start : start + rows * width].reshape(rows, width))


BLOCK = 4
"""Samples that go through the layers together: enough to reuse the recurrent weights from the
registers.
"""
SORTED = 1 << 14
"""Spikes that are sorted by unit at a time, at most, or all of a step: few enough for the rows that
they add to gradients to lie in the cache of a core.
"""
WIDE = 1 << 20
"""Recurrent weights from which on twice as many do, since all pass by once for them."""


def shapes(
    plan: DensePlan, steps: int, span: int, gradients: bool, block: int
) -> dict[str, tuple[int, ...]]:
    """The shape of each part of the scratch memory for blocks of S samples.

    T steps in windows of `span`, L layers (the readout last), W = widest layer, C channels, V
    variables of the neuron's state; flat parts hold layer after layer, sample after sample. Without
    gradients those for the backward pass are empty, and `saved` is that of one window.
    """
    layers = plan.layers
    n, total, classes = block, int(layers["state_at"][-1]), int(layers["width"][-1])
    hidden, most = int(layers["list_at"][-1]), -(-steps // plan.gap)
    collected = layers["rows"][1:][layers["direct"][1:] < 0].sum()
    most_rows = int(max(layers["rows"].max(), layers["units"].max()))
    backward, windows = n * total * gradients, -(-steps // span) if gradients else 1
    return dict(
        # potential, currents and state at the beginning of each window
        saved=(windows * (1 + plan.channels + plan.states) * n * total,),
        potentials=(n * (span + 1) * total,),
        past=(plan.remembered * n * span * total,),  # of the state before each step
        # gS, then gI, from two steps before to two behind the window
        adjoints=(plan.channels * backward * (span + 4),),
        gu=((1 + plan.states) * backward,),  # gradient of the potential and of the state
        learned=(backward * plan.learns,),  # of tau_mem of each neuron
        leak=(2 * backward,),  # the readout's adjoints as its sources see them
        readout=(n, steps + 1, classes),
        spike_indptr=(len(layers) - 1, n, steps + 1),  # ranges of `spikes`
        spikes=(n * (hidden * most + (len(layers) - 1) * LANES),),
        fired=(span, -(-plan.widest // 64)),  # bits of the spikes of a layer
        # what arrives, ranges of `arrived`; layer 0: of the input
        indptr=(len(layers), n, steps + 1),
        arrived=(n * int(collected) * most,),
        # currents and state
        rows=(plan.channels + plan.states, plan.widest),
        peak=(n, classes),
        slope=(n, classes),
        pull_indptr=(n, steps + 2),  # ranges of `pulled`, classes that pull in a row of `readout`
        pulled=(n * ((steps + 1) * classes + LANES),),
        pull=(n, plan.hidden),  # gradient of the bounds
        # spikes by unit, for sums of gradients
        sorted_rows=(max(SORTED, BLOCK * most_rows) * gradients,),
        sorted_events=(max(SORTED, BLOCK * most_rows) * gradients,),
        unit_ends=((most_rows + 1) * gradients,),
    )


class Parameters(NamedTuple):
    """A network as kernels take it: dense layers, neurons of these and of the maps, and weights in
    both orders.
    """

    plan: DensePlan
    neurons: Neurons | DifferentNeurons
    map_neurons: Neurons | DifferentNeurons
    tables: np.ndarray
    natural: np.ndarray
