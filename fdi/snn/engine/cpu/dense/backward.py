"""Adjoints of a hidden layer in reverse time, written by hand from its equations (the reset is
detached).

gI_c[t] = beta_s,c gI_c[t + 1] + gain_c (1 - S[t]) gU[t + 1]
gU[t] = beta_m (1 - S[t]) gU[t + 1] + gS[t] / (beta |U[t] - theta| + 1)^2
gS[t] = W^T gI[t + 2] of all targets, and what the regularizers add
gW = sum_t gI[t + 2] S_source[t]^T
"""

from __future__ import annotations

from fdi.snn.engine.cpu.kernels.product import add_product
from fdi.snn.engine.cpu.kernels.rows import add, inlined, jit, scatter
from fdi.snn.engine.cpu.kernels.simd import BYTES, absolute, fill, load, select, store


@inlined
def _adjoint(u, s, t, g, h, gu, channels, c):
    """Row t + 2 of g[s] holds gS and becomes gI_0, that of h[s] becomes gI_1, gu[s] holds gU[t + 1]
    and becomes gU[t].
    """
    beta_m, theta, beta = fill(c[0]), fill(c[5]), fill(c[6])
    gain_0, gain_1, beta_0, beta_1 = fill(c[1]), fill(c[2]), fill(c[3]), fill(c[4])
    zero, one = fill(c.dtype.type(0)), fill(c.dtype.type(1))
    for j in range(0, u.shape[2], BYTES // u.itemsize):
        v = load(u, (s, t, j)) - theta
        through = select(v > zero, zero, load(gu, (s, j)))
        x = beta * absolute(v) + one
        store(gu, (s, j), beta_m * through + load(g, (s, t + 2, j)) / (x * x))
        store(g, (s, t + 2, j), beta_0 * load(g, (s, t + 3, j)) + gain_0 * through)
        if channels > 1:
            store(h, (s, t + 2, j), beta_1 * load(h, (s, t + 3, j)) + gain_1 * through)


@jit
def hidden_backward(
    samples, steps, t0, t1, size, u, g, h, gu, channels, exc, recurrent_from, c, natural, own_0, own_1,
    indptr, units, counts, d_table, spike_indptr, spikes, d_own, d_drive,
):  # fmt: skip
    """Backward from step t1 - 1 to t0 of a trial of `steps`, through the first `samples` samples of
    a layer in step with each other.

    Rows of `g` [S, :, width] belong to the steps from t0 - 2 on: gS becomes gI_0, of which t1 and
    t1 + 1 are given; `h`: gI_1 of layers with two channels; `gu` [S, width]: gU[t1] becomes gU[t0];
    `u` [S, :, width]: U[t0] and on. At `own_0` and `own_1` in `natural` are the recurrent weights
    [units, source units] from the units that arrive on channel 0 and 1. Lists as in the forward
    pass, of all samples [S, T + 1]. Adds to `d_table`, `d_own` and `d_drive` [S, 0, 1 or T, width].
    """
    block, width = u.shape[0], u.shape[2]
    flat, flat_1, pace, ones = g.reshape(-1), h.reshape(-1), g.shape[1] * width, counts[:0]
    for t in range(t1 - 1, t0 - 1, -1):
        row = t - t0 + 2
        if t + 2 < steps:
            here, later = row * width, (row + 2) * width
            if recurrent_from < exc:
                add_product(flat, here, pace, flat, later, pace, block, natural, own_0, size, exc)
            if exc < size:
                add_product(
                    flat,
                    here + exc,
                    pace,
                    flat_1,
                    later,
                    pace,
                    block,
                    natural,
                    own_1,
                    size,
                    size - exc,
                )
        for s in range(samples):
            _adjoint(u, s, t - t0, g, h, gu, channels, c)
            if t < 2:
                continue
            scatter(d_table, units, counts, indptr[s, t - 2], indptr[s, t - 1], g, (s, row), width)
            if d_drive.shape[1] > 0:
                add(d_drive, (s, min(t - 2, d_drive.shape[1] - 1)), g, (s, row), width)
            if recurrent_from < size:
                start, stop = spike_indptr[s, t - 2], spike_indptr[s, t - 1]
                while start < stop and spikes[start] < recurrent_from:
                    start += 1
                border = start
                while border < stop and spikes[border] < exc:
                    border += 1
                scatter(d_own, spikes, ones, start, border, g, (s, row), width)
                if border < stop:
                    scatter(d_own, spikes, ones, border, stop, h, (s, row), width)
