"""Frames as the kernels take them: lists of what is not 0."""

from __future__ import annotations

import numpy as np

from fdi.engine.cpu.kernels.jit import kernel
from fdi.engine.cpu.kernels.rows import LANES, append
from fdi.engine.cpu.kernels.simd import bits, lanes, like, load


@kernel
def _list(
    x: np.ndarray, row: np.ndarray, starts: np.ndarray, units: np.ndarray, counts: np.ndarray
) -> bool:
    """Lists what is not 0 in one row of x after the other; whether all of it is 1. Stops where the
    lists end. `row` is zeros, with room for a row in vectors.
    """
    n, ones, size = 0, True, x.shape[1]
    for i in range(len(x)):
        for k in range(size):
            row[k] = x[i, k]
        begin = n
        for k in range(0, size if n + row.size <= counts.size else 0, lanes(row)):
            v = load(row, (k,))
            some = ~(v == like(v, 0))
            if bits(some) != 0:
                n = append(units, n, some, k)
        for e in range(begin, n):
            counts[e] = row[units[e]]
            ones = ones and counts[e] == 1
        starts[i + 1] = n if n + row.size <= counts.size else counts.size
    return ones


@kernel
def _by_sample(
    steps: int, starts: np.ndarray, units: np.ndarray, counts: np.ndarray, indptr: np.ndarray,
    own_units: np.ndarray, own_counts: np.ndarray,
) -> None:  # fmt: skip
    """The lists of rows that go step after step, sample after sample."""
    n, batch = 0, (len(starts) - 1) // steps
    for i in range(len(starts) - 1):
        row = i % steps * batch + i // steps
        for e in range(starts[row], starts[row + 1]):
            own_units[n] = units[e]
            if own_counts.size > 0:
                own_counts[n] = counts[e]
            n += 1
        indptr[i + 1] = n


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
    ones = _list(x.reshape(-1, size), row, indptr, units, counts)
    total = int(indptr[-1])
    if total > dense_from * x.size:
        return None
    weighted = 0 if ones else total
    if not time_major:
        return indptr, units[:total].copy(), counts[:weighted].copy()
    own = np.zeros_like(indptr), np.empty(total, np.int32), np.empty(weighted, dtype)
    _by_sample(steps, indptr, units, counts, *own)
    return own
