"""The gradient of the readout's weights and of the spikes it reads, in reverse time.

gU[t] = beta_m gU[t + 1] + dL/dreadout[t - 1]        gI[t - 1] = beta_s gI[t] + gain gU[t]
gS[t] = W^T gI[t + 2]                                gW = sum_t gI[t + 2] S[t]^T
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fdi.engine.cpu.kernels.jit import inlined, jit
from fdi.engine.cpu.kernels.rows import scatter
from fdi.engine.cpu.kernels.simd import bits, fill, lanes, like, load, select, store, times
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
        for j in range(first, behind, lanes(u)):
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


@inlined
def _add_row(out, at, slope, weight, k):
    """out[at:] += slope weight[k], each product rounded."""
    units, n, steep, j = weight.shape[1], lanes(out), fill(slope), 0
    while j + n <= units:
        store(out, (at + j,), load(out, (at + j,)) + times(steep, load(weight, (k, j))))
        j += n
    for i in range(j, units):
        out[at + i] += slope * weight[k, i]


@inlined
def pull_back(pull, s, t, c, weight, leak, before, g, row, width):
    """Puts W^T gI[t], the gS[t - 3] of one source, and what is at g[before:] into g[row:] [width];
    `weight` [classes, source units].

    The readout is linear and all its units have the same constants, so W^T is taken before the
    recursion in time: the loss pulls at few steps, and a row of weights is added there instead of a
    product in every step. g[leak:] [2, width]: gU and gI behind W^T, of t + 1 (0 at the end of the
    trial), become those of t.
    """
    u, slope, n = pull.u, pull.slope, lanes(g)
    counts = pull.mode != LAST or t == u.shape[1] - 1
    beta_m, gain, beta_s = fill(c.beta_m), fill(c.gain), fill(c.beta_s)
    for first in range(0, weight.shape[0] if counts else 0, n):
        steep = load(slope, (s, first))
        pulls = ~(steep == like(steep, 0))
        if pull.mode == MAX:
            pulls = pulls & (load(u, (s, t, first)) == load(pull.peak, (s, first)))
        some, k = bits(pulls), first
        while some != 0:
            if some & 1 != 0:
                _add_row(g, leak, slope[s, k], weight, k)
            some >>= 1
            k += 1
    for j in range(0, width, n):
        gu = load(g, (leak + j,))
        gi = beta_s * load(g, (leak + width + j,)) + gain * gu
        store(g, (leak + width + j,), gi)
        store(g, (leak + j,), beta_m * gu)
        store(g, (row + j,), load(g, (before + j,)) + gi)


@jit
def readout_to_source(pull, s, t0, t1, c, weight, leak, g, g_at, width):
    """Adds gS[t - 2] to row t - t0 of g[g_at:] [:, width] for t = t1 - 1 .. t0, see `pull_back`."""
    for t in range(t1, max(t0, 2), -1):
        row = g_at + (t - 1 - t0) * width
        pull_back(pull, s, t, c, weight, leak, row, g, row, width)
