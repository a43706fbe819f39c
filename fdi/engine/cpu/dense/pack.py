"""Weights in the order that the kernels read, their gradients back, and dense currents of a whole
batch.
"""

from __future__ import annotations

import numpy as np
import torch

from fdi.engine.cpu.conv.plan import MapsOut
from fdi.engine.cpu.dense.plan import Layout, Place
from fdi.engine.cpu.kernels.turn import turn


def pack(layout: Layout, tables: np.ndarray, natural: np.ndarray) -> None:
    """Fill `tables` and `natural` with the weights as they are now."""
    for place in layout.places:
        weight = place.projection.weight.detach()
        if place.maps:
            by_position = _by_position(place.maps, weight)
            _rows(tables, place, place.maps).copy_(by_position)
            _columns(natural, place, place.maps).copy_(by_position.permute(2, 0, 1))
            continue
        (target, source), flat = weight.shape, weight.numpy().reshape(-1)
        turn(flat, 0, source, target, source, tables, _start(place), place.width)
        if place.natural_at >= 0:
            natural[place.natural_at : place.natural_at + flat.size] = flat


def unpack(layout: Layout, tables: np.ndarray) -> None:
    """Set `.grad` of every projection from gradients laid out like `tables`."""
    for place in layout.places:
        weight = place.projection.weight
        if place.maps:
            rows = _rows(tables, place, place.maps)
            weight.grad = rows.permute(2, 1, 0).reshape(weight.shape).contiguous()
            continue
        (target, source), grad = weight.shape, torch.empty(weight.shape, dtype=weight.dtype)
        flat = grad.numpy().reshape(-1)
        turn(tables, _start(place), place.width, source, target, flat, 0, source)
        weight.grad = grad


def _start(place: Place) -> int:
    """Of this projection's part of `tables`."""
    return place.table_at + place.row * place.width + place.column


def _by_position(maps: MapsOut, weight: torch.Tensor) -> torch.Tensor:
    """[positions, channels, target units]."""
    return weight.view(len(weight), maps.channels, -1).permute(2, 1, 0)


def _rows(tables: np.ndarray, place: Place, maps: MapsOut) -> torch.Tensor:
    """This projection's part of `tables`, as `_by_position`."""
    shape = (maps.positions, maps.channels, len(place.projection.weight))
    strides = (place.width << maps.shift, place.width, 1)
    return torch.from_numpy(tables).as_strided(shape, strides, _start(place))


def _columns(natural: np.ndarray, place: Place, maps: MapsOut) -> torch.Tensor:
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


def _input_rows(layout: Layout, tables: np.ndarray) -> torch.Tensor:
    """[input units, width]: the first layer's afferent rows."""
    rows, width = int(layout.plan.layers["rows"][0]), int(layout.plan.layers["width"][0])
    start = int(layout.plan.layers["table_at"][0])
    return torch.from_numpy(tables[start : start + rows * width].reshape(rows, width))
