"""The layout of dense layers: which sources a layer has, and where its weights begin."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from fdi.engine.cpu.conv.plan import ConvLayout
from fdi.engine.cpu.dense.plan import LAYER, SOURCE, WIDTH, Layout, Place, Plan
from fdi.engine.cpu.neuron import check_layer, remembered, states
from fdi.snn.network import INPUT, Network
from fdi.snn.population import Population
from fdi.snn.projection import Projection

Starts = dict[str, tuple[int, int]]
"""Of a source: its first row among the afferent ones, and its start in `natural`, or -1."""


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
        self.sources: list[tuple[int, int, int, int]] = []
        self.places: list[Place] = []
        self.tables, self.natural = (maps.table_size, maps.natural_size) if maps else (0, 0)

    def add_layer(self, i: int, layer: tuple[Population, ...]) -> None:
        check_layer(layer)
        size = sum(p.units for p in layer)
        width = -(-size // WIDTH) * WIDTH
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
            first_source=first, last_source=len(self.sources), heard=-1,
        )  # fmt: skip
        for channel, p in enumerate(layer):
            if p.name in own:
                record[f"own_{channel}"] = self.natural
                starts[p.name] = self.home[p.name][1], self.natural
                self.natural += size * p.units
        self.records.append(record)
        self.places += [self._place(projection, record, starts) for projection in afferents]
        self.tables += (rows + (size if own else 0)) * width

    def _add_source(self, source: str, row: int, size: int, starts: Starts) -> int:
        """Its rows; `size`: units of the layer that hears it."""
        maps, kept = self.maps, True
        if source != self.foot:
            rows = units = self.units[source]
        elif maps:
            rows, units = maps.out.codes, maps.out.size
        else:
            rows = units = math.prod(self.network.input_shape)
            kept = False
        starts[source] = row, self.natural if kept else -1
        self.sources.append((self.home.get(source, (-1, 0))[0], units, row, starts[source][1]))
        self.natural += size * units if kept else 0
        return rows

    def _place(self, projection: Projection, record: dict[str, int], starts: Starts) -> Place:
        column, (row, at) = self.home[projection.target][1], starts[projection.source]
        store = record["own_at"] if projection.recurrent else record["table_at"]
        seen = self.maps.out if self.maps and projection.source == self.foot else None
        step = seen.size if seen else projection.weight.shape[1]
        at = at if at < 0 else at + column * step
        return Place(projection, store, record["width"], row, column, at, seen)

    def find_heard(self) -> None:
        """The layers that only the readout hears."""
        hears = [source[0] for source in self.sources]
        for q in range(self.records[-1]["first_source"], len(self.sources)):
            if hears[q] >= 0 and hears.count(hears[q]) == 1:
                self.records[hears[q]]["heard"] = q

    def whole(self) -> Layout:
        hidden, neuron = self.network.hidden, self.network.hidden[0].neuron
        plan = Plan(
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
        )
        return Layout(plan, tuple(self.places), self.tables, self.natural)


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
