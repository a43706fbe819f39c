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

from typing import NamedTuple

import numpy as np

from fdi.engine.cpu.conv.plan import MapsOut
from fdi.snn.projection import Projection

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
    "first_source",
    "last_source",  # behind the last one
    "heard",  # the source of the readout that is this layer, if no other layer hears it, or -1
)
SOURCE = (
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
