"""The input of a batch as kernels take it: sparse events, or dense values whose current torch
computes for the whole batch.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from fdi.data.inputs import Constant, Events, Frames, Input
from fdi.snn.network import Network


class Signal(NamedTuple):
    """`indptr` [B T + 1], `units` and `counts` as in Events, and `values` [B, 0, 1 or T, input
    units]: what is not sparse.
    """

    indptr: np.ndarray
    units: np.ndarray
    counts: np.ndarray
    values: np.ndarray


def signal(network: Network, inputs: Input, dtype: np.dtype, dense_from: float) -> Signal:
    """The input as a Signal with the precision of the weights.

    `dense_from`: share of non-zero numbers from which frames are kept as they are.
    """
    size, batch, steps = math.prod(network.input_shape), len(inputs), inputs.steps
    if isinstance(inputs, Constant):
        return _silent(batch, steps, inputs.image(dtype.type).reshape(batch, 1, size))
    if isinstance(inputs, Frames):
        values = inputs.values.reshape(batch, steps, size)
        if np.count_nonzero(values) > dense_from * values.size:
            return _silent(batch, steps, values.astype(dtype))
        inputs = sparse(values)
    units = np.require(inputs.units, np.int32, ("C", "W"))
    counts = (
        np.empty(0, dtype)
        if inputs.counts is None
        else np.require(inputs.counts, dtype, ("C", "W"))
    )
    return Signal(
        np.require(inputs.indptr, np.int64, ("C", "W")),
        units,
        counts,
        np.empty((batch, 0, size), dtype),
    )


def sparse(values: np.ndarray) -> Events:
    """The non-zero entries of frames [B, T, units]."""
    batch, steps, size = values.shape
    flat = np.flatnonzero(values)
    indptr = np.searchsorted(flat, np.arange(batch * steps + 1) * size)
    return Events(
        indptr,
        (flat % size).astype(np.int32),
        (size,),
        steps,
        values.reshape(-1)[flat].astype(np.float32),
    )


def _silent(batch: int, steps: int, values: np.ndarray) -> Signal:
    return Signal(
        np.zeros(batch * steps + 1, dtype=np.int64),
        np.empty(0, dtype=np.int32),
        np.empty(0, values.dtype),
        values,
    )
