"""What the kernels must know about a network of dense projections, as arrays of numbers: layers,
their sources, where weights lie.

A layer is one population, or two side by side (excitatory first); the last layer is the readout.
`tables` holds, layer after layer, the weight rows that a spike adds to the currents: first of the
sources below ([source units, width]), then of the layer itself. `natural` holds the same weights
the other way round, [target units, source units], for the products of the backward pass. Rows of
`tables` are padded to `width`, a multiple of WIDTH.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fdi.snn.network import INPUT, Network
from fdi.snn.population import Population
from fdi.snn.projection import Projection

WIDTH = 32


class Plan(NamedTuple):
    """All int64; [L] has one number a layer (hidden layers, then the readout), [Q] one a source of
    a layer, [P] one a hidden population.
    """

    units: np.ndarray  # [L]
    width: np.ndarray  # [L] units padded
    state_at: np.ndarray  # [L] sum of the widths before
    count_at: np.ndarray  # [L] sum of the units before
    channels: np.ndarray  # [L] synaptic channels
    exc: (
        np.ndarray
    )  # [L] units whose recurrent projections arrive on channel 0, the others on channel 1
    recurrent_from: np.ndarray  # [L] first unit that has recurrent projections
    table_at: np.ndarray  # [L] the afferent rows in `tables`
    rows: np.ndarray  # [L] their number
    direct: np.ndarray  # [L] the layer whose spikes are all that arrives, as they are, or -1
    collected_at: (
        np.ndarray
    )  # [L] sum of the rows before of layers that are not direct, without the first layer
    own_at: np.ndarray  # [L] the recurrent rows in `tables`
    own_natural: np.ndarray  # [L, 2] recurrent weights in `natural`, from channel 0 and 1
    first_source: np.ndarray  # [L + 1] range of a layer's sources
    source_layer: np.ndarray  # [Q] -1: the input
    source_units: np.ndarray  # [Q]
    source_row: np.ndarray  # [Q] first row among the layer's afferent rows
    source_natural: np.ndarray  # [Q] in `natural`
    population_at: np.ndarray  # [P + 1] range of a population's units among all hidden units


class Place(NamedTuple):
    """Where a projection's weight [target, source] lies: row and column (unit of the layer) in
    `tables`, start in `natural` (or -1).
    """

    projection: Projection
    table_at: int
    width: int
    row: int
    column: int
    natural_at: int


class Layout(NamedTuple):
    """A plan with the sizes of its stores and the places of all projections."""

    plan: Plan
    places: tuple[Place, ...]
    table_size: int
    natural_size: int


def lay_out(network: Network) -> Layout:
    """The plan of a network; a ValueError says what a network has that these kernels do not
    compute.
    """
    layers = [*network.layers, (network.readout,)]
    home = {
        p.name: (i, sum(q.units for q in layer[:k]))
        for i, layer in enumerate(layers)
        for k, p in enumerate(layer)
    }
    populations = {p.name: p for layer in layers for p in layer}
    columns = {field: [] for field in Plan._fields}
    places, tables, natural = [], 0, 0
    for i, layer in enumerate(layers):
        check_layer(layer)
        size = sum(p.units for p in layer)
        width = -(-size // WIDTH) * WIDTH
        afferents = [projection for p in layer for projection in network.afferents(p.name)]
        below = list(dict.fromkeys(p.source for p in afferents if not p.recurrent))
        own = list(dict.fromkeys(p.source for p in afferents if p.recurrent))
        for projection in afferents:
            _check_projection(projection, i, home, layer)
        columns["first_source"].append(len(columns["source_layer"]))
        row, rows_of, natural_of = 0, {}, {}
        for source in below:
            n = int(np.prod(network.input_shape)) if source == INPUT else populations[source].units
            rows_of[source], natural_of[source] = (row, n), -1 if source == INPUT else natural
            columns["source_layer"].append(-1 if source == INPUT else home[source][0])
            columns["source_units"].append(n)
            columns["source_row"].append(row)
            columns["source_natural"].append(natural_of[source])
            row += n
            natural += 0 if source == INPUT else size * n
        sources = [home[source][0] for source in below if source != INPUT]
        direct = (
            sources[0]
            if len(below) == 1 and sources and row == columns["units"][sources[0]]
            else -1
        )
        own_natural, border = [0, 0], layer[0].units
        for channel, p in enumerate(layer):
            if p.name in own:
                own_natural[channel] = natural_of[p.name, "own"] = natural
                natural += size * p.units
        values = dict(
            units=size, width=width, channels=len(layer[0].neuron.tau_syn), exc=border, rows=row, table_at=tables, own_at=tables + row * width,
            recurrent_from=min((home[source][1] for source in own), default=size), own_natural=own_natural,
            state_at=sum(columns["width"]), count_at=sum(columns["units"]), direct=direct,
            collected_at=sum(n for n, one in zip(columns["rows"][1:], columns["direct"][1:]) if one < 0),
        )  # fmt: skip
        for field, value in values.items():
            columns[field].append(value)
        for projection in afferents:
            column = home[projection.target][1]
            if projection.recurrent:
                start, store, key = (
                    home[projection.source][1],
                    values["own_at"],
                    (projection.source, "own"),
                )
            else:
                start, store, key = rows_of[projection.source][0], tables, projection.source
            n = projection.weight.shape[1]
            at = natural_of[key]
            places.append(
                Place(projection, store, width, start, column, at if at < 0 else at + column * n)
            )
        tables += (row + (size if own else 0)) * width
    columns["first_source"].append(len(columns["source_layer"]))
    columns["population_at"] = np.cumsum([0, *(p.units for p in network.hidden)])
    plan = Plan(**{field: np.asarray(values, dtype=np.int64) for field, values in columns.items()})
    return Layout(plan, tuple(places), tables, natural)


def constants(network: Network, dtype: np.dtype) -> np.ndarray:
    """[L, 8]: beta_m, gain of channel 0 and 1 (sign (1 - beta_m)), beta_s of channel 0 and 1,
    theta, beta, u_init.
    """
    rows = []
    for population, *_ in (*network.layers, (network.readout,)):
        p = population.neuron
        beta_m, betas = p.decays(network.dt)
        gains = [sign * (1 - beta_m) for sign in p.signs]
        rows.append([beta_m, *[*gains, 0.0][:2], *(*betas, 0.0)[:2], p.theta, p.beta, p.u_init])
    return np.array(rows, dtype=dtype)


def check_layer(layer: tuple[Population, ...]) -> None:
    same = {p.neuron for p in layer}
    names = ", ".join(p.name for p in layer)
    if len(layer) > 2 or len(same) > 1 or len(layer[0].neuron.tau_syn) > 2:
        raise ValueError(
            f"CpuEngine computes layers of one or two populations with equal constants and at most "
            f"two channels, not {names}"
        )


def _check_projection(
    projection: Projection,
    layer: int,
    home: dict[str, tuple[int, int]],
    mates: tuple[Population, ...],
) -> None:
    if projection.convolutional:
        raise ValueError(
            f"CpuEngine does not compute the convolution {projection.name} yet; use ReferenceEngine"
        )
    if projection.recurrent:
        names = [p.name for p in mates]
        fits = projection.source in names and projection.channel == names.index(projection.source)
    else:
        below = -1 if projection.source == INPUT else home[projection.source][0]
        fits = projection.channel == 0 and below < layer and (layer == 0) == (below == -1)
        fits = fits and (below == -1 or home[projection.source][1] == 0)
    if not fits:
        raise ValueError(
            f"CpuEngine does not compute the projection {projection.name} (channel "
            f"{projection.channel}); use ReferenceEngine"
        )
