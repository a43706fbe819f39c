"""A layer without recurrence over a whole trial, forward and adjoint; each element of [B, N] is on
its own.

The equations are those of fdi.snn.neuron, in the order in which the reference engine adds, with
fused multiply-adds off: a rounding more or less may move a spike at threshold. Memory is
time-first, [T, B N]; `M` = B N.
"""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def slope(v, beta, SURROGATE: tl.constexpr):
    """dS/dU for v = U - theta, as in fdi.snn.surrogate.SURROGATES."""
    if SURROGATE == "superspike":
        edge = beta * tl.abs(v) + 1.0
        return 1.0 / (edge * edge)
    elif SURROGATE == "triangle":
        return tl.maximum(1.0 - beta * tl.abs(v), 0.0)
    elif SURROGATE == "sigmoid":
        below = tl.exp(-beta * tl.abs(v))
        return beta * below / ((1.0 + below) * (1.0 + below))
    elif SURROGATE == "gaussian":
        return 0.3989422804014327 * beta * tl.exp(-0.5 * (beta * v) * (beta * v))  # 1/sqrt(2 pi)
    else:
        tl.static_assert(SURROGATE == "boxcar", "this surrogate has no kernel")
        return tl.where(beta * tl.abs(v) <= 0.5, beta, 0.0)


@triton.jit
def updated(u, s, drive, beta_m, theta, SUBTRACT: tl.constexpr):
    """U[t+1]."""
    if SUBTRACT:
        return beta_m * (u - theta * s) + drive
    else:
        return (beta_m * u + drive) * (1.0 - s)


@triton.jit
def retreat(
    potential, d_spike, d_potential, d_current_0, d_current_1,
    beta_m, gain, theta, beta, beta_0, beta_1, sign_0, sign_1,
    CHANNELS: tl.constexpr, SUBTRACT: tl.constexpr, SURROGATE: tl.constexpr,
):  # fmt: skip
    """gU[t] and gI_c[t], from those of step t + 1 and gS[t]."""
    d_drive = d_potential
    if not SUBTRACT:
        d_drive = tl.where(potential > theta, 0.0, d_potential)
    d_potential = d_spike * slope(potential - theta, beta, SURROGATE) + beta_m * d_drive
    d_current_0 = gain * sign_0 * d_drive + beta_0 * d_current_0
    if CHANNELS == 2:
        d_current_1 = gain * sign_1 * d_drive + beta_1 * d_current_1
    return d_potential, d_current_0, d_current_1


@triton.jit(do_not_specialize=["M", "T"])
def forward(
    x, u, s, counts, M, T,
    beta_m, gain, theta, u_init, beta_0, beta_1, sign_0, sign_1,
    CHANNELS: tl.constexpr, SUBTRACT: tl.constexpr, KEEP: tl.constexpr, SAME: tl.constexpr,
    BLOCK: tl.constexpr,
):  # fmt: skip
    """`x`: X_c[t], [C, T - 2, M], or with SAME [C, 1, M], the same in every step. Fills `s` [T, M],
    `counts` [M], and, with KEEP, `u` [T, M], the potential that spikes in step t.
    """
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = i < M
    step = tl.cast(M, tl.int64)
    channel = step if SAME else (T - 2) * step
    potential = tl.zeros([BLOCK], tl.float32) + u_init
    current_0 = tl.zeros([BLOCK], tl.float32)
    current_1 = tl.zeros([BLOCK], tl.float32)
    count = tl.zeros([BLOCK], tl.float32)
    row = i
    for t in range(T):
        spike = (potential > theta).to(tl.float32)
        count += spike
        tl.store(s + row, spike.to(tl.int8), mask=inside)
        if KEEP:
            tl.store(u + row, potential, mask=inside)
        total = sign_0 * current_0
        if CHANNELS == 2:
            total += sign_1 * current_1
        potential = updated(potential, spike, gain * total, beta_m, theta, SUBTRACT)
        now = tl.zeros([BLOCK], tl.int32) + t
        arrives = inside & (now >= 1) & (now <= T - 2)
        at = x + i if SAME else x + row - step
        current_0 = beta_0 * current_0 + tl.load(at, mask=arrives, other=0.0)
        if CHANNELS == 2:
            current_1 = beta_1 * current_1 + tl.load(at + channel, mask=arrives, other=0.0)
        row += step
    tl.store(counts + i, count, mask=inside)


@triton.jit(do_not_specialize=["M", "T"])
def backward(
    u, d_counts, d_seen, d_x, M, T,
    beta_m, gain, theta, beta, beta_0, beta_1, sign_0, sign_1,
    CHANNELS: tl.constexpr, SUBTRACT: tl.constexpr, SURROGATE: tl.constexpr,
    SEEN: tl.constexpr, SUM: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """From gS = `d_counts` [M] + `d_seen` [T - 2, M] (if SEEN): gX_c in `d_x` [C, T - 2, M], or,
    with SUM, its sum over time [C, 1, M].
    """
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = i < M
    step = tl.cast(M, tl.int64)
    channel = step if SUM else (T - 2) * step
    d_count = tl.load(d_counts + i, mask=inside, other=0.0)
    d_potential = tl.zeros([BLOCK], tl.float32)
    d_current_0 = tl.zeros([BLOCK], tl.float32)
    d_current_1 = tl.zeros([BLOCK], tl.float32)
    sum_0 = tl.zeros([BLOCK], tl.float32)
    sum_1 = tl.zeros([BLOCK], tl.float32)
    for back in range(T):
        t = T - 1 - back
        now = tl.zeros([BLOCK], tl.int32) + t
        row = i + t * step
        potential = tl.load(u + row, mask=inside, other=0.0)
        arrived = (now >= 1) & (now <= T - 2)
        if SUM:
            sum_0 += tl.where(arrived, d_current_0, 0.0)
            sum_1 += tl.where(arrived, d_current_1, 0.0)
        else:
            tl.store(d_x + row - step, d_current_0, mask=inside & arrived)
            if CHANNELS == 2:
                tl.store(d_x + channel + row - step, d_current_1, mask=inside & arrived)
        d_spike = d_count
        if SEEN:
            d_spike += tl.load(d_seen + row, mask=inside & (now <= T - 3), other=0.0)
        d_potential, d_current_0, d_current_1 = retreat(
            potential, d_spike, d_potential, d_current_0, d_current_1,
            beta_m, gain, theta, beta, beta_0, beta_1, sign_0, sign_1,
            CHANNELS, SUBTRACT, SURROGATE,
        )  # fmt: skip
    if SUM:
        tl.store(d_x + i, sum_0, mask=inside)
        if CHANNELS == 2:
            tl.store(d_x + channel + i, sum_1, mask=inside)
