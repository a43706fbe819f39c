"""Weights in the order that the kernels read, their gradients back, and dense currents of a whole
batch.
"""

from __future__ import annotations

import numpy as np
import torch

from fdi.engine.cpu.dense.plan import Layout, Place


def pack(layout: Layout, tables: torch.Tensor, natural: torch.Tensor) -> None:
    """Fill `tables` and `natural` with the weights as they are now."""
    for place in layout.places:
        weight = place.projection.weight.detach()
        _rows(tables, place).copy_(_by_position(place, weight))
        if place.natural_at >= 0:
            _columns(natural, place).copy_(_by_position(place, weight).permute(-1, *_order(place)))


def unpack(layout: Layout, tables: torch.Tensor) -> None:
    """Set `.grad` of every projection from gradients laid out like `tables`."""
    for place in layout.places:
        weight = place.projection.weight
        rows = _rows(tables, place)
        if place.maps:
            rows = rows.permute(2, 1, 0).reshape(weight.shape)
        else:
            rows = rows.T
        weight.grad = rows.contiguous()


def _order(place: Place) -> tuple[int, ...]:
    return (0, 1) if place.maps else (0,)


def _by_position(place: Place, weight: torch.Tensor) -> torch.Tensor:
    """[source units, target units], or [positions, channels, target units] of maps."""
    if not place.maps:
        return weight.T
    return weight.view(len(weight), place.maps.channels, -1).permute(2, 1, 0)


def _rows(tables: torch.Tensor, place: Place) -> torch.Tensor:
    """This projection's part of `tables`, as `_by_position`."""
    target, source = place.projection.weight.shape
    start = place.table_at + place.row * place.width + place.column
    if not place.maps:
        return tables.as_strided((source, target), (place.width, 1), start)
    maps = place.maps
    shape = (maps.positions, maps.channels, target)
    return tables.as_strided(shape, (place.width << maps.shift, place.width, 1), start)


def _columns(natural: torch.Tensor, place: Place) -> torch.Tensor:
    """This projection's part of `natural`, [target units, source units], or [target units,
    positions, channels] of maps.
    """
    target, source = place.projection.weight.shape
    if not place.maps:
        return natural.as_strided((target, source), (source, 1), place.natural_at)
    maps = place.maps
    shape = (target, maps.positions, maps.channels)
    return natural.as_strided(shape, (maps.size, maps.padded, 1), place.natural_at)


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
