"""The gradient of the readout's weights and of the spikes it reads, in reverse time.

gU[t] = beta_m gU[t + 1] + dL/dreadout[t - 1]        gI[t - 1] = beta_s gI[t] + gain gU[t]
gS[t] = W^T gI[t + 2]                                gW = sum_t gI[t + 2] S[t]^T
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fdi.engine.cpu.kernels.jit import jit
from fdi.engine.cpu.kernels.rows import scatter
from fdi.engine.cpu.kernels.simd import BYTES, fill, load, select, store
from fdi.engine.cpu.loss import LAST, MAX


class Pull(NamedTuple):
    """The loss pulls at potentials `u` [S, T + 1, width] with `slope` [S, width] at every step that
    counts by `mode`: where the readout is at its `peak` [S, width], at the last step, or
    everywhere.
    """

    mode: int
    u: np.ndarray
    peak: np.ndarray
    slope: np.ndarray


@jit
def readout_gradients(pull, s, c, arriving, d_table, columns, work):
    """Adds the gradient of the `columns` (first, behind the last) of the readout's weight rows for
    sample s.
    """
    u, rows, gu_at = pull.u, work.numbers, work.at[0].rows
    last, width, none = u.shape[1] - 1, u.shape[2], arriving.counts[:0]
    gi_at, indptr = gu_at + width, arriving.indptr
    beta_m, gain, beta_s = fill(c.beta_m), fill(c.gain), fill(c.beta_s)
    zero = fill(c.beta_m - c.beta_m)
    first, behind = columns
    rows[gu_at + first : gu_at + behind] = 0
    rows[gi_at + first : gi_at + behind] = 0
    for t in range(last, 2, -1):
        for j in range(first, behind, BYTES // u.itemsize):
            x = load(pull.slope, (s, j))
            if pull.mode == MAX:
                x = select(load(u, (s, t, j)) == load(pull.peak, (s, j)), x, zero)
            elif pull.mode == LAST and t < last:
                x = zero
            gu = beta_m * load(rows, (gu_at + j,)) + x
            store(rows, (gu_at + j,), gu)
            store(rows, (gi_at + j,), beta_s * load(rows, (gi_at + j,)) + gain * gu)
        start, stop = indptr[s, t - 3], indptr[s, t - 2]
        scatter(d_table, arriving.units, none, start, stop, rows, gi_at, columns)


@jit
def readout_to_source(pull, s, t0, t1, c, weight, rows, g, g_at, width):
    """Adds W^T gI[t] to row t - t0 of g[g_at:] [:, width], the gS[t - 2] of one source, for t = t1
    - 1 .. t0; `weight` [classes, source units].

    The readout is linear and all its units have the same constants, so W^T is taken before the
    recursion in time: the loss pulls at few steps, and a row of weights is added there instead of a
    product in every step. `rows` [2, width]: gU and gI behind W^T, at t1 (0 at the end of the
    trial), become those at t0.
    """
    u, slope = pull.u, pull.slope
    last, classes, units = u.shape[1] - 1, weight.shape[0], weight.shape[1]
    beta_m, gain, beta_s = fill(c.beta_m), fill(c.gain), fill(c.beta_s)
    for t in range(t1, max(t0, 2), -1):
        if pull.mode != LAST or t == last:
            for k in range(classes):
                if slope[s, k] != 0 and (pull.mode != MAX or u[s, t, k] == pull.peak[s, k]):
                    for j in range(units):
                        rows[0, j] += slope[s, k] * weight[k, j]
        for j in range(0, width, BYTES // u.itemsize):
            gu = load(rows, (0, j))
            gi = beta_s * load(rows, (1, j)) + gain * gu
            store(rows, (1, j), gi)
            store(rows, (0, j), beta_m * gu)
            at = g_at + (t - 1 - t0) * width + j
            store(g, (at,), load(g, (at,)) + gi)
