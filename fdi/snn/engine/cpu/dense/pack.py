"""Weights of dense projections in the order that the kernels read, their gradients back, and dense
currents of a whole batch.
"""

from __future__ import annotations

import numpy as np
import torch

from fdi.snn.engine.cpu.dense.plan import Layout, Place


def pack(layout: Layout, dtype: torch.dtype) -> tuple[np.ndarray, np.ndarray]:
    """(tables, natural) with the weights as they are now."""
    tables = torch.zeros(layout.table_size, dtype=dtype)
    natural = torch.zeros(max(1, layout.natural_size), dtype=dtype)
    for place in layout.places:
        weight = place.projection.weight.detach()
        _block(tables, place).copy_(weight.T)
        if place.natural_at >= 0:
            natural[place.natural_at : place.natural_at + weight.numel()] = weight.flatten()
    return tables.numpy(), natural.numpy()


def unpack(layout: Layout, tables: np.ndarray) -> None:
    """Set `.grad` of every projection from gradients laid out like `tables`."""
    flat = torch.from_numpy(tables)
    for place in layout.places:
        place.projection.weight.grad = _block(flat, place).T.contiguous()


def _block(tables: torch.Tensor, place: Place) -> torch.Tensor:
    """[source units, target units]: this projection's part of `tables`."""
    target, source = place.projection.weight.shape
    start = place.table_at + place.row * place.width + place.column
    return tables.as_strided((source, target), (place.width, 1), start)


def drive(layout: Layout, values: np.ndarray, tables: np.ndarray) -> np.ndarray:
    """The dense current [B, 0, 1 or T, width] of the first layer that `values` [B, 0, 1 or T, input
    units] cause.
    """
    return (torch.from_numpy(values) @ _input_rows(layout, tables)).numpy()


def drive_gradient(
    layout: Layout, values: np.ndarray, d_drive: np.ndarray, tables: np.ndarray
) -> None:
    """Add the gradient of the weights behind `drive` to `tables`."""
    flat = torch.from_numpy(values.reshape(-1, values.shape[-1]))
    _input_rows(layout, tables).addmm_(flat.T, torch.from_numpy(d_drive.reshape(len(flat), -1)))


def _input_rows(layout: Layout, tables: np.ndarray) -> torch.Tensor:
    """[input units, width]: the first layer's afferent rows."""
    rows, width = int(layout.plan.rows[0]), int(layout.plan.width[0])
    return torch.from_numpy(tables[: rows * width].reshape(rows, width))
