"""Frames as the kernels take them: lists of what is not 0."""

from __future__ import annotations

import numpy as np

from fdi.engine.cpu.kernels.jit import kernel
from fdi.engine.cpu.kernels.rows import LANES, append
from fdi.engine.cpu.kernels.simd import bits, lanes, like, load


@kernel
def _list(
    x: np.ndarray, by_sample: int, by_step: int, steps: int, row: np.ndarray, indptr: np.ndarray,
    units: np.ndarray, counts: np.ndarray,
) -> bool:  # fmt: skip
    """Lists what is not 0 in rows of x, sample after sample; whether all of it is 1. Stops where
    the lists end. `row` is zeros, with room for a row in vectors.
    """
    n, ones = 0, True
    for i in range(indptr.size - 1):
        at, size = i // steps * by_sample + i % steps * by_step, x.shape[1]
        for k in range(size):
            row[k] = x[at, k]
        begin = n
        for k in range(0, size if n + row.size <= counts.size else 0, lanes(row)):
            v = load(row, (k,))
            some = ~(v == like(v, 0))
            if bits(some) != 0:
                n = append(units, n, some, k)
        for e in range(begin, n):
            counts[e] = row[units[e]]
            ones = ones and counts[e] == 1
        indptr[i + 1] = n if n + row.size <= counts.size else counts.size
    return ones


def listed(
    values: np.ndarray, dtype: np.dtype, dense_from: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """`indptr` [B T + 1], `units` and `counts` (empty if all are 1) of `values` [B, T, units],
    sample-major or time-major in memory; None if more than the share `dense_from` is not 0.
    """
    batch, steps, size = values.shape
    time_major = values.swapaxes(0, 1).flags.c_contiguous
    x = values.swapaxes(0, 1) if time_major else np.ascontiguousarray(values)
    if x.dtype not in (np.uint8, bool, dtype):
        x = x.astype(dtype)
    row = np.zeros(-(-size // LANES) * LANES, dtype)
    room = int(min(1, dense_from) * x.size) + 1 + row.size
    units, counts = np.empty(room + LANES, np.int32), np.empty(room, dtype)
    indptr = np.zeros(batch * steps + 1, np.int64)
    pace = (1, batch) if time_major else (steps, 1)
    ones = _list(x.reshape(-1, size), *pace, steps, row, indptr, units, counts)
    total = int(indptr[-1])
    if total > dense_from * x.size:
        return None
    return indptr, units[:total].copy(), counts[: 0 if ones else total].copy()
