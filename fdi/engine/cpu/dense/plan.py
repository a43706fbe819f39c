"""What the kernels must know about dense layers, as records of numbers: layers, their sources,
where weights lie.

A layer is one population, or two side by side (excitatory first); the last layer is the readout.
`tables` holds, layer after layer, the weight rows that a spike adds to the currents: first of the
sources below ([source units, width]), then of the layer itself. `natural` holds the same weights
the other way round, [target units, source units], for the products of the backward pass. Rows of
`tables` are padded to `width`, a multiple of WIDTH. Maps below (convolutions) are a source like the
input; their spikes have the codes of conv.plan.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from fdi.engine.cpu.conv.plan import ConvLayout, MapsOut
from fdi.engine.cpu.neuron import check_layer, remembered, states
from fdi.snn.network import INPUT, Network
from fdi.snn.population import Population
from fdi.snn.projection import Projection

WIDTH = 32
_LAYER = (
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
    "first_source",
    "last_source",  # behind the last one
    "heard",  # the source of the readout that is this layer, if no other layer hears it, or -1
)
_SOURCE = (
    "layer",  # -1: the input, or the maps below
    "units",  # numbers of a row of `natural`
    "row",  # first row among the layer's afferent rows
    "natural_at",
)


class Plan(NamedTuple):
    """`layers` and `sources`: records of the names above. `population_at` [P + 1]: range of a
    population's units among all hidden units. `widest`: width of a layer; `total` of the hidden
    ones; `hidden`: length of a row with a number for each hidden unit, padded. `gap`: steps between
    two spikes, at least.
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


class Place(NamedTuple):
    """Where a projection's weight [target, source] lies: row and column (unit of the layer) in
    `tables`, start in `natural` (or -1). `maps`: the maps that it reads.
    """

    projection: Projection
    table_at: int
    width: int
    row: int
    column: int
    natural_at: int
    maps: MapsOut | None


class Layout(NamedTuple):
    """A plan with the sizes of its stores and the places of all projections."""

    plan: Plan
    places: tuple[Place, ...]
    table_size: int
    natural_size: int


def lay_out(network: Network, maps: ConvLayout | None) -> Layout:
    """The plan of the layers above the `maps`; a ValueError says what a network has that these
    kernels do not compute.
    """
    below = len(maps.plan.layers) if maps else 0
    layers = [*network.layers[below:], (network.readout,)]
    home = {
        p.name: (i, sum(q.units for q in layer[:k]))
        for i, layer in enumerate(layers)
        for k, p in enumerate(layer)
    }
    foot = network.layers[below - 1][0].name if maps else INPUT
    under = sum(p.units for layer in network.layers[:below] for p in layer)
    populations = {p.name: p for layer in layers for p in layer}
    records: list[dict[str, int]] = []
    sources: list[tuple[int, int, int, int]] = []
    places: list[Place] = []
    tables, natural = (maps.table_size, maps.natural_size) if maps else (0, 0)
    for i, layer in enumerate(layers):
        check_layer(layer)
        size = sum(p.units for p in layer)
        width = -(-size // WIDTH) * WIDTH
        afferents = [projection for p in layer for projection in network.afferents(p.name)]
        for projection in afferents:
            _check_projection(projection, i, home, foot, layer)
        own = {p.source for p in afferents if p.recurrent}
        first, row = len(sources), 0
        starts: dict[str, tuple[int, int]] = {}
        own_starts: dict[str, int] = {}
        for source in dict.fromkeys(p.source for p in afferents if not p.recurrent):
            if source == foot:
                rows, units = (
                    (maps.out.codes, maps.out.size)
                    if maps
                    else (math.prod(network.input_shape),) * 2
                )
                kept = maps is not None
            else:
                rows, kept = populations[source].units, True
                units = rows
            starts[source] = (row, natural if kept else -1)
            sources.append((home.get(source, (-1, 0))[0], units, row, starts[source][1]))
            row += rows
            natural += size * units if kept else 0
        lower = [source for source, *_ in sources[first:]]
        direct = len(lower) == 1 and lower[0] >= 0 and row == records[lower[0]]["units"]
        record = dict.fromkeys(_LAYER, 0) | dict(
            units=size, width=width, rows=row, table_at=tables, own_at=tables + row * width,
            exc=layer[0].units, direct=lower[0] if direct else -1,
            recurrent_from=min((home[source][1] for source in own), default=size),
            state_at=sum(r["width"] for r in records), list_at=sum(r["units"] for r in records),
            count_at=under + sum(r["units"] for r in records),
            collected_at=sum(r["rows"] for r in records[1:] if r["direct"] < 0),
            first_source=first, last_source=len(sources), heard=-1,
        )  # fmt: skip
        for channel, p in enumerate(layer):
            if p.name in own:
                record[f"own_{channel}"] = own_starts[p.name] = natural
                natural += size * p.units
        records.append(record)
        for projection in afferents:
            column, source = home[projection.target][1], projection.source
            if projection.recurrent:
                store, row_of, at = record["own_at"], home[source][1], own_starts[source]
            else:
                store, (row_of, at) = tables, starts[source]
            seen = maps.out if maps and source == foot else None
            step = seen.size if seen else projection.weight.shape[1]
            at = at if at < 0 else at + column * step
            places.append(Place(projection, store, width, row_of, column, at, seen))
        tables += (row + (size if own else 0)) * width
    hears = [source[0] for source in sources]
    for q in range(records[-1]["first_source"], len(sources)):
        if hears[q] >= 0 and hears.count(hears[q]) == 1:
            records[hears[q]]["heard"] = q
    neuron = network.hidden[0].neuron
    plan = Plan(
        _records(_LAYER, [tuple(r.values()) for r in records]),
        _records(_SOURCE, sources),
        np.cumsum([0, *(p.units for p in network.hidden)]),
        max(r["width"] for r in records),
        records[-1]["state_at"],
        sum(p.units for p in network.hidden) + WIDTH,
        len(neuron.tau_syn),
        states(network),
        remembered(network),
        2 if neuron.reset == "zero" else 1,
    )
    return Layout(plan, tuple(places), tables, natural)


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
        raise ValueError(
            f"engine=cpu does not compute the projection {projection.name} (channel {channel}); "
            f"use engine=reference"
        )
