"""Adjoints in reverse time, written by hand from the equations of the layer (the reset is detached).

    gI_c[t] = beta_s,c gI_c[t + 1] + gain_c (1 - S[t]) gU[t + 1]
    gU[t] = beta_m (1 - S[t]) gU[t + 1] + gS[t] / (beta |U[t] - theta| + 1)^2
    gS[t] = W^T gI[t + 2] of all targets, and what the regularizers add
    gW = sum_t gI[t + 2] S_source[t]^T
"""

from __future__ import annotations

from fdi.snn.engine.cpu.product import add_product
from fdi.snn.engine.cpu.rows import add, add_scaled, jit, scatter
from fdi.snn.engine.cpu.loss import LAST, MAX, MEAN


@jit
def _adjoint(u, g, g_next, gu, c):
    """g holds gS[t] and becomes gI[t]; g_next = gI[t + 1]; gu = gU[t + 1] becomes gU[t]."""
    beta_m, gain, beta_s, theta, beta = c[0], c[1], c[3], c[5], c[6]
    one, zero = c.dtype.type(1), c.dtype.type(0)
    for j in range(u.size):
        v = u[j] - theta
        through = zero if v > zero else gu[j]
        x = beta * abs(v) + one
        gu[j] = beta_m * through + g[j] / (x * x)
        g[j] = beta_s * g_next[j] + gain * through


@jit
def _adjoint_two(u, g, g_next, h, h_next, gu, c):
    """The same for two channels: h becomes gI_1[t], h_next = gI_1[t + 1]."""
    beta_m, gain0, gain1, beta_0, beta_1, theta, beta = c[0], c[1], c[2], c[3], c[4], c[5], c[6]
    one, zero = c.dtype.type(1), c.dtype.type(0)
    for j in range(u.size):
        v = u[j] - theta
        through = zero if v > zero else gu[j]
        x = beta * abs(v) + one
        gu[j] = beta_m * through + g[j] / (x * x)
        g[j] = beta_0 * g_next[j] + gain0 * through
        h[j] = beta_1 * h_next[j] + gain1 * through


@jit
def hidden_backward(n, u, g, h, gu, channels, exc, recurrent_from, c, own_0, own_1, afferents, d_table, spikes, d_own, d_drive):
    """Backward through n samples of a layer, in step with each other.

    `g` [samples, T + 2, width]: gS, becomes gI_0 (rows T and T + 1 are zero); `h`: gI_1 of layers with two channels. `own_0`, `own_1`:
    recurrent weights [units, source units] of the units that arrive on channel 0 and 1. `afferents`, `spikes`: lists as in the forward
    pass, of all samples. Adds to `d_table`, `d_own` and `d_drive` [samples, 0, 1 or T, width].
    """
    indptr, units, counts = afferents
    spike_indptr, spike_units = spikes
    steps, size = u.shape[1] - 1, own_0.shape[0]
    ones = counts[:0]
    for s in range(n):
        gu[s] = 0
    for t in range(steps - 1, -1, -1):
        if t + 2 < steps:
            if recurrent_from < exc:
                add_product(g[:, t, :exc], g[:, t + 2], own_0)
            if exc < size:
                add_product(g[:, t, exc:size], h[:, t + 2], own_1)
        for s in range(n):
            row = g[s, t]
            if channels == 1:
                _adjoint(u[s, t], row, g[s, t + 1], gu[s], c)
            else:
                _adjoint_two(u[s, t], row, g[s, t + 1], h[s, t], h[s, t + 1], gu[s], c)
            if t < 2:
                continue
            start, stop = indptr[s, t - 2], indptr[s, t - 1]
            scatter(d_table, units, counts, start, stop, row)
            if d_drive.shape[1] > 0:
                add(d_drive[s, min(t - 2, d_drive.shape[1] - 1)], row)
            if recurrent_from < size:
                for e in range(spike_indptr[s, t - 2], spike_indptr[s, t - 1]):
                    unit = spike_units[s, e]
                    if unit >= exc:
                        add(d_own[unit], h[s, t])
                    elif unit >= recurrent_from:
                        add(d_own[unit], row)


@jit
def _readout_adjoint(readout, peak, slope, everywhere, gu, gi, c):
    """gU[t] = beta_m gU[t + 1] + gR, gI[t - 1] = beta_s gI[t] + gain gU[t]; gR = slope where the readout is at its peak, or everywhere."""
    beta_m, gain, beta_s = c[0], c[1], c[3]
    zero = c.dtype.type(0)
    for j in range(gu.size):
        gu[j] = beta_m * gu[j] + (slope[j] if everywhere or readout[j] == peak[j] else zero)
        gi[j] = beta_s * gi[j] + gain * gu[j]


@jit
def readout_backward(u, mode, peak, slope, gu, gi, c, afferents, d_table):
    """Adds the gradient of the readout's weight rows for one sample; `slope` is the gradient of the loss at each step that counts."""
    indptr, units, counts = afferents
    gu[:] = 0
    gi[:] = 0
    for t in range(u.shape[0] - 1, 2, -1):
        counting = mode != LAST or t == u.shape[0] - 1
        _readout_adjoint(u[t], peak, slope, counting and mode != MAX, gu, gi, c)
        scatter(d_table, units, counts, indptr[t - 3], indptr[t - 2], gi)


@jit
def _filter(q, p, g, c):
    """The readout's adjoint recursion behind its weights: p = gI[t - 1] from q = gU[t], added to g; then q decays."""
    beta_m, gain, beta_s = c[0], c[1], c[3]
    for j in range(q.size):
        p[j] = beta_s * p[j] + gain * q[j]
        g[j] += p[j]
        q[j] = beta_m * q[j]


@jit
def readout_to_source(u, mode, peak, slope, weight, q, p, g, c):
    """Adds W^T gI_readout[t + 2] to `g` [>= T, >= source units], the gS of one source; `weight` [classes, source units].

    The readout is linear and all its units have the same constants, so W^T is taken before the recursion in time: the loss reaches the
    readout in few steps, and a row of weights is added there instead of a product in every step.
    """
    last = u.shape[0] - 1
    q[:] = 0
    p[:] = 0
    for t in range(last, 2, -1):
        if mode == MEAN or t == last or mode == MAX:
            for k in range(weight.shape[0]):
                if slope[k] != 0 and (mode != MAX or u[t, k] == peak[k]):
                    add_scaled(q, weight[k], slope[k])
        _filter(q, p, g[t - 3, : q.size], c)
