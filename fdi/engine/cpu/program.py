"""A network as the engine computes it: maps from the input up to the last convolution, if it has
any, and dense layers above them.
"""

from __future__ import annotations

import math

import numpy as np
import torch

from fdi.engine.checks import check_neurons
from fdi.engine.cpu.chunk import Parameters
from fdi.engine.cpu.conv import pack as conv_pack
from fdi.engine.cpu.conv import plan as conv_plan
from fdi.engine.cpu.conv import work as conv_work
from fdi.engine.cpu.conv.layout import lay_out as lay_out_maps
from fdi.engine.cpu.dense import pack, work
from fdi.engine.cpu.dense.layout import lay_out
from fdi.engine.cpu.neuron import (
    COMPUTES,
    DifferentNeurons,
    Neurons,
    in_numbers,
    kind,
    remembered,
)
from fdi.snn.network import Network

_DENSE_FROM = 0.45
"""Share of non-zero numbers from which frames are kept dense, see signal.signal; maps: never."""

_FEWEST, _MOST = 8, 32
"""Chunks that a batch with enough samples is cut into, so that threads have something to share."""

_WORTH = 64
"""How often the events of a chunk must touch each number of the first layer's weights for a table
of gradients of its own, which is cleared and added.
"""


class Program:
    """Where weights, gradients and scratch memory of a network lie. Raises ValueError, one line,
    for a network that these kernels do not compute.
    """

    def __init__(self, network: Network) -> None:
        check_neurons(network, COMPUTES)
        first, *others = (kind(layer[0].neuron, network.dt) for layer in network.layers)
        if any(type(a) is not type(b) for other in others for a, b in zip(first, other)):
            raise ValueError(
                "engine=cpu computes hidden layers of one kind of neuron, reset and surrogate; use "
                "engine=reference"
            )
        if conv_plan.depth(network) and remembered(network):
            raise ValueError(
                "engine=cpu computes neurons whose threshold adapts in fully connected layers "
                "only; use engine=reference"
            )
        self.network = network
        self.maps = lay_out_maps(network) if conv_plan.depth(network) else None
        self.layout = lay_out(network, self.maps)
        self.block = 1 if self.maps else work.BLOCK
        self.dense_from = math.inf if self.maps else _DENSE_FROM
        self._neurons: tuple = (), None

    def shapes(self, steps: int, span: int, gradients: bool) -> dict[str, tuple[int, ...]]:
        """The shape of each part of the scratch memory."""
        parts = work.shapes(self.layout.plan, steps, span, gradients, self.block)
        if self.maps:
            parts |= conv_work.shapes(self.maps.plan, steps, span, gradients)
        return parts

    def chunk(self, batch: int, events: float) -> int:
        """Samples of a chunk of a batch with so many events; threads have no say."""
        few, many = -(-batch // _FEWEST), -(-batch // _MOST)
        if self.maps:  # a map costs more than its gradients
            return max(1, min(few, max(4, many)))
        if not events:
            return max(self.block, few)
        touched = events / batch * int(self.layout.plan.layers["width"][0])
        least = max(many, _WORTH * self.layout.table_size / touched)
        return max(self.block, min(few, math.ceil(least / self.block) * self.block))

    def parameters(self, dtype: torch.dtype) -> Parameters:
        """The neurons and weights as they are now."""
        size, extent = self.layout.table_size, max(1, self.layout.natural_size)
        tables, natural = torch.zeros(size, dtype=dtype), torch.zeros(extent, dtype=dtype)
        if self.maps:
            conv_pack.pack(self.maps, tables, natural)
        flat, turned = tables.numpy(), natural.numpy()
        pack.pack(self.layout, flat, turned)
        return Parameters(self.layout.plan, self.neurons(flat.dtype), flat, turned)

    def neurons(self, dtype: np.dtype) -> Neurons | DifferentNeurons:
        """The neurons as they are now, counted again only where that is news."""
        network = self.network
        now = (dtype, network.dt, network.layers, network.readout)
        if self._neurons[0] != now:
            widths = self.layout.plan.layers["width"][:-1]
            self._neurons = now, in_numbers(network, widths, dtype)
        return self._neurons[1]

    def drive(self, values: np.ndarray, tables: np.ndarray) -> np.ndarray:
        """The dense current of the first layer that `values` cause."""
        if self.maps:
            return conv_pack.drive(self.maps, values, tables)
        return pack.drive(self.layout, values, tables)

    def set_gradients(self, tables: np.ndarray, values: np.ndarray, d_current: np.ndarray) -> None:
        """Set `.grad` of every weight from gradients laid out like the tables, and of `drive`."""
        if values.size and self.maps:
            conv_pack.drive_gradient(self.maps, values, d_current, tables)
        elif values.size:
            pack.drive_gradient(self.layout, values, d_current, tables)
        if self.maps:
            conv_pack.unpack(self.maps, torch.from_numpy(tables))
        pack.unpack(self.layout, tables)
