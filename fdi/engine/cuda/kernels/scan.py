"""A layer over a whole trial, forward and adjoint. A program holds a block of samples with all N
units of the layer, and multiplies their spikes by the recurrent weights in every step; without
recurrence (CHUNK = 0) each element of [B, N] is a sample of one unit.

The equations are those of fdi.snn.neuron, in the order in which the reference engine adds, with
fused multiply-adds off: a rounding more or less may move a spike at threshold. Memory is
time-first, [T, B, N]. `w`: [C, N, N], what a spike of a source (first) delivers to a target
(second) through channel c, 0 where there is no synapse. Blocks are powers of 2, NP >= N and CHUNK
of at least 16. `constants`: beta_m, gain, theta, u_init or the steepness of the surrogate, beta_s
and sign of two channels.
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
    potential, d_spike, d_potential, d_current_0, d_current_1, constants,
    CHANNELS: tl.constexpr, SUBTRACT: tl.constexpr, SURROGATE: tl.constexpr,
):  # fmt: skip
    """gU[t] and gI_c[t], from those of step t + 1 and gS[t]."""
    beta_m, gain, theta, beta, beta_0, beta_1, sign_0, sign_1 = constants
    d_drive = d_potential
    if not SUBTRACT:
        d_drive = tl.where(potential > theta, 0.0, d_potential)
    d_potential = d_spike * slope(potential - theta, beta, SURROGATE) + beta_m * d_drive
    d_current_0 = gain * sign_0 * d_drive + beta_0 * d_current_0
    if CHANNELS == 2:
        d_current_1 = gain * sign_1 * d_drive + beta_1 * d_current_1
    return d_potential, d_current_0, d_current_1


@triton.jit
def places(B, N, BLOCK: tl.constexpr, NP: tl.constexpr):
    """Of a program: the samples of its block, -1 beyond the last; where its elements of [B, N] are,
    and which of them exist; how far the next step is.
    """
    b = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    n = tl.arange(0, NP)
    sources = tl.where(b < B, b, -1).to(tl.int32)
    inside = (b[:, None] < B) & (n[None, :] < N)
    return sources, b[:, None] * N + n[None, :], inside, tl.cast(B, tl.int64) * N


@triton.jit
def deliver(spikes, w, N, NP: tl.constexpr, CHUNK: tl.constexpr, sources, TURN: tl.constexpr):
    """spikes [B, N] (in memory, or their adjoint) times w [N, N], or with TURN its transpose,
    CHUNK rows at a time, without TF32.
    """
    n = tl.arange(0, NP)
    k = tl.arange(0, CHUNK)
    total = tl.zeros([sources.shape[0], NP], tl.float32)
    for start in range(0, NP, CHUNK):
        row = start + k
        part = tl.load(
            spikes + sources[:, None] * N + row[None, :],
            mask=(sources[:, None] >= 0) & (row[None, :] < N),
            other=0.0,
        ).to(tl.float32)
        if TURN:
            at = n[None, :] * N + row[:, None]
        else:
            at = row[:, None] * N + n[None, :]
        weight = tl.load(w + at, mask=(row[:, None] < N) & (n[None, :] < N), other=0.0)
        total = tl.dot(part, weight, total, input_precision="ieee")
    return total


@triton.jit(do_not_specialize=["B", "T"])
def forward(
    x, w, u, s, counts, B, N, T, constants,
    CHANNELS: tl.constexpr, SUBTRACT: tl.constexpr, KEEP: tl.constexpr, SAME: tl.constexpr,
    BLOCK: tl.constexpr, NP: tl.constexpr, CHUNK: tl.constexpr,
):  # fmt: skip
    """`x`: X_c[t], [C, T - 2, B, N], or with SAME [C, 1, B, N], the same in every step. Fills `s`
    [T, B, N], `counts` [B, N], and, with KEEP, `u` [T, B, N], the potential that spikes in step t.
    """
    beta_m, gain, theta, u_init, beta_0, beta_1, sign_0, sign_1 = constants
    sources, i, inside, M = places(B, N, BLOCK, NP)
    channel = M if SAME else (T - 2) * M
    potential = tl.zeros([BLOCK, NP], tl.float32) + u_init
    current_0 = tl.zeros([BLOCK, NP], tl.float32)
    current_1 = tl.zeros([BLOCK, NP], tl.float32)
    count = tl.zeros([BLOCK, NP], tl.float32)
    for t in range(T):
        spike = (potential > theta).to(tl.float32)
        count += spike
        tl.store(s + t * M + i, spike.to(tl.int8), mask=inside)
        if KEEP:
            tl.store(u + t * M + i, potential, mask=inside)
        total = sign_0 * current_0
        if CHANNELS == 2:
            total += sign_1 * current_1
        potential = updated(potential, spike, gain * total, beta_m, theta, SUBTRACT)
        current_0 = beta_0 * current_0
        if CHANNELS == 2:
            current_1 = beta_1 * current_1
        at = x + i if SAME else x + (t - 1) * M + i
        if not CHUNK:
            now = tl.zeros([BLOCK, NP], tl.int32) + t
            arrives = inside & (now >= 1) & (now <= T - 2)
            current_0 += tl.load(at, mask=arrives, other=0.0)
            if CHANNELS == 2:
                current_1 += tl.load(at + channel, mask=arrives, other=0.0)
        elif (t >= 1) & (t <= T - 2):
            before = s + (t - 1) * M
            own = deliver(before, w, N, NP, CHUNK, sources, False)
            current_0 += tl.load(at, mask=inside, other=0.0) + own
            if CHANNELS == 2:
                own = deliver(before, w + N * N, N, NP, CHUNK, sources, False)
                current_1 += tl.load(at + channel, mask=inside, other=0.0) + own
        if CHUNK:
            tl.debug_barrier()  # the spikes of this step are seen by all threads
    tl.store(counts + i, count, mask=inside)


@triton.jit(do_not_specialize=["B", "T"])
def backward(
    u, w, d_counts, d_seen, d_x, B, N, T, constants,
    CHANNELS: tl.constexpr, SUBTRACT: tl.constexpr, SURROGATE: tl.constexpr,
    SEEN: tl.constexpr, SUM: tl.constexpr,
    BLOCK: tl.constexpr, NP: tl.constexpr, CHUNK: tl.constexpr,
):  # fmt: skip
    """From gS = `d_counts` [B, N] + `d_seen` [T - 2, B, N] (if SEEN): gX_c in `d_x` [C, T - 2, B,
    N], or, with SUM and without recurrence, its sum over time [C, 1, B, N].
    """
    sources, i, inside, M = places(B, N, BLOCK, NP)
    channel = M if SUM else (T - 2) * M
    d_count = tl.load(d_counts + i, mask=inside, other=0.0)
    d_potential = tl.zeros([BLOCK, NP], tl.float32)
    d_current_0 = tl.zeros([BLOCK, NP], tl.float32)
    d_current_1 = tl.zeros([BLOCK, NP], tl.float32)
    sum_0 = tl.zeros([BLOCK, NP], tl.float32)
    sum_1 = tl.zeros([BLOCK, NP], tl.float32)
    for back in range(T):
        t = T - 1 - back
        now = tl.zeros([BLOCK, NP], tl.int32) + t
        row = i + t * M
        potential = tl.load(u + row, mask=inside, other=0.0)
        arrived = (now >= 1) & (now <= T - 2)
        d_spike = d_count
        if SEEN:
            d_spike += tl.load(d_seen + row, mask=inside & (now <= T - 3), other=0.0)
        if CHUNK and t <= T - 3:
            after = d_x + t * M
            d_spike += deliver(after, w, N, NP, CHUNK, sources, True)
            if CHANNELS == 2:
                d_spike += deliver(after + channel, w + N * N, N, NP, CHUNK, sources, True)
        if SUM:
            sum_0 += tl.where(arrived, d_current_0, 0.0)
            sum_1 += tl.where(arrived, d_current_1, 0.0)
        else:
            tl.store(d_x + row - M, d_current_0, mask=inside & arrived)
            if CHANNELS == 2:
                tl.store(d_x + channel + row - M, d_current_1, mask=inside & arrived)
        if CHUNK:
            tl.debug_barrier()  # gX of this step is seen by all threads
        d_potential, d_current_0, d_current_1 = retreat(
            potential, d_spike, d_potential, d_current_0, d_current_1, constants,
            CHANNELS, SUBTRACT, SURROGATE,
        )  # fmt: skip
    if SUM:
        tl.store(d_x + i, sum_0, mask=inside)
        if CHANNELS == 2:
            tl.store(d_x + channel + i, sum_1, mask=inside)
