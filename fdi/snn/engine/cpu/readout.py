"""The gradient of the readout's weights and of the spikes it reads, in reverse time.

gU[t] = beta_m gU[t + 1] + dL/dreadout[t - 1]        gI[t - 1] = beta_s gI[t] + gain gU[t]
gS[t] = W^T gI[t + 2]                                gW = sum_t gI[t + 2] S[t]^T
"""

from __future__ import annotations

from fdi.snn.engine.cpu.kernels.rows import jit, scatter
from fdi.snn.engine.cpu.kernels.simd import BYTES, fill, load, select, store
from fdi.snn.engine.cpu.loss import LAST, MAX


@jit
def readout_backward(u, s, mode, peak, slope, rows, c, indptr, units, counts, d_table):
    """Adds the gradient of the readout's weight rows for sample s.

    `u` [S, T + 1, width] potentials; the loss pulls with `slope` [S, width] at every step that
    counts: where the readout is at its
    `peak`, at the last step, or everywhere. `rows` [2, width] is scratch.
    """
    last, width = u.shape[1] - 1, u.shape[2]
    beta_m, gain, beta_s, zero = fill(c[0]), fill(c[1]), fill(c[3]), fill(c[0] - c[0])
    rows[:2, :width] = 0
    for t in range(last, 2, -1):
        for j in range(0, width, BYTES // u.itemsize):
            pull = load(slope, (s, j))
            if mode == MAX:
                pull = select(load(u, (s, t, j)) == load(peak, (s, j)), pull, zero)
            elif mode == LAST and t < last:
                pull = zero
            gu = beta_m * load(rows, (0, j)) + pull
            store(rows, (0, j), gu)
            store(rows, (1, j), beta_s * load(rows, (1, j)) + gain * gu)
        scatter(d_table, units, counts, indptr[s, t - 3], indptr[s, t - 2], rows, (1,), width)


@jit
def readout_to_source(u, s, t0, t1, mode, peak, slope, weight, rows, g, width, c):
    """Adds W^T gI[t] to row t - t0 of g [S, :, width], the gS[t - 2] of one source, for t = t1 - 1
    .. t0; `weight` [classes, source units].

    The readout is linear and all its units have the same constants, so W^T is taken before the
    recursion in time: the loss pulls at few steps, and a row of weights is added there instead of a
    product in every step. `rows` [2, width]: gU and gI behind W^T, at t1 (0 at the end of the
    trial), become those at t0.
    """
    last, classes, units = u.shape[1] - 1, weight.shape[0], weight.shape[1]
    beta_m, gain, beta_s = fill(c[0]), fill(c[1]), fill(c[3])
    for t in range(t1, max(t0, 2), -1):
        if mode != LAST or t == last:
            for k in range(classes):
                if slope[s, k] != 0 and (mode != MAX or u[s, t, k] == peak[s, k]):
                    for j in range(units):
                        rows[0, j] += slope[s, k] * weight[k, j]
        for j in range(0, width, BYTES // u.itemsize):
            gu = load(rows, (0, j))
            gi = beta_s * load(rows, (1, j)) + gain * gu
            store(rows, (1, j), gi)
            store(rows, (0, j), beta_m * gu)
            store(g, (s, t - 1 - t0, j), load(g, (s, t - 1 - t0, j)) + gi)
