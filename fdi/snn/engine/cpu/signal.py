"""The input of a batch in the two forms that kernels take: sparse events, or a dense current that torch computes for the whole batch."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch

from fdi.inputs import Constant, Events, Frames, Input
from fdi.snn.network import Network

_DENSE_FROM = 0.45
"""Share of non-zero inputs from which a product is faster than events."""


class Signal(NamedTuple):
    """`indptr` [B T + 1], `units` and `counts` as in Events, and `values` [B, 0, 1 or T, input units]: what is not sparse."""

    indptr: np.ndarray
    units: np.ndarray
    counts: np.ndarray
    values: np.ndarray


def signal(network: Network, inputs: Input, dtype: np.dtype) -> Signal:
    """The input as a Signal with the precision of the weights; ValueError if it does not fit the network."""
    size, batch, steps = math.prod(network.input_shape), len(inputs), inputs.steps
    if math.prod(inputs.shape) != size:
        raise ValueError(f"the input has shape {tuple(inputs.shape)}, but the network takes {network.input_shape}")
    if batch < 1 or steps < 1:
        raise ValueError(f"the input has {batch} samples of {steps} steps; both must be at least 1")
    if isinstance(inputs, Constant):
        return _silent(batch, steps, inputs.image(dtype.type).reshape(batch, 1, size))
    if isinstance(inputs, Frames):
        values = inputs.values.reshape(batch, steps, size)
        if np.count_nonzero(values) > _DENSE_FROM * values.size:
            return _silent(batch, steps, values.astype(dtype))
        inputs = sparse(values)
    units = np.require(inputs.units, np.int32, ("C", "W"))
    if units.size and not 0 <= units.min() <= units.max() < size:
        raise ValueError(f"event units {units.min()} to {units.max()} do not fit into {size} input units")
    counts = np.empty(0, dtype) if inputs.counts is None else np.require(inputs.counts, dtype, ("C", "W"))
    return Signal(np.require(inputs.indptr, np.int64, ("C", "W")), units, counts, np.empty((batch, 0, size), dtype))


def sparse(values: np.ndarray) -> Events:
    """The non-zero entries of frames [B, T, units]."""
    batch, steps, size = values.shape
    flat = np.flatnonzero(values)
    indptr = np.searchsorted(flat, np.arange(batch * steps + 1) * size)
    return Events(indptr, (flat % size).astype(np.int32), (size,), steps, values.reshape(-1)[flat].astype(np.float32))


def drive(values: np.ndarray, table: np.ndarray) -> np.ndarray:
    """The dense current [B, 0, 1 or T, width] that `values` cause through weight rows `table` [input units, width]."""
    return (torch.from_numpy(values) @ torch.from_numpy(table)).numpy()


def drive_gradient(values: np.ndarray, d_drive: np.ndarray) -> np.ndarray:
    """The gradient [input units, width] of the weight rows behind `drive`."""
    flat = torch.from_numpy(values.reshape(-1, values.shape[-1]))
    return (flat.T @ torch.from_numpy(d_drive.reshape(-1, d_drive.shape[-1]))).numpy()


def _silent(batch: int, steps: int, values: np.ndarray) -> Signal:
    return Signal(np.zeros(batch * steps + 1, dtype=np.int64), np.empty(0, dtype=np.int32), np.empty(0, values.dtype), values)
