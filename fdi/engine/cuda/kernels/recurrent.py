"""A recurrent layer over a whole trial, forward and adjoint: a program holds a block of samples
with all N units of the layer, and multiplies their spikes by the recurrent weights in every step.

Otherwise as scan.py. `w`: [C, N, N], what a spike of a source (first) delivers to a target (second)
through channel c, 0 where there is no synapse. Blocks are powers of 2, NP >= N and CHUNK of at
least 16.
"""

from __future__ import annotations

import triton
import triton.language as tl

from fdi.engine.cuda.kernels.scan import retreat, updated


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
    x, w, u, s, counts, B, N, T,
    beta_m, gain, theta, u_init, beta_0, beta_1, sign_0, sign_1,
    CHANNELS: tl.constexpr, SUBTRACT: tl.constexpr, KEEP: tl.constexpr, SAME: tl.constexpr,
    BLOCK: tl.constexpr, NP: tl.constexpr, CHUNK: tl.constexpr,
):  # fmt: skip
    b = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    n = tl.arange(0, NP)
    inside = (b[:, None] < B) & (n[None, :] < N)
    sources = tl.where(b < B, b, -1)
    i = b[:, None].to(tl.int64) * N + n[None, :]
    M = tl.cast(B, tl.int64) * N
    channel = M if SAME else (T - 2) * M
    potential = tl.zeros([BLOCK, NP], tl.float32) + u_init
    current_0 = tl.zeros([BLOCK, NP], tl.float32)
    current_1 = tl.zeros([BLOCK, NP], tl.float32)
    count = tl.zeros([BLOCK, NP], tl.float32)
    for t in range(T):
        spike = tl.where(inside, (potential > theta).to(tl.float32), 0.0)
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
        if (t >= 1) & (t <= T - 2):
            before = s + (t - 1) * M
            at = x + i if SAME else x + i + (t - 1) * M
            own = deliver(before, w, N, NP, CHUNK, sources, False)
            current_0 += tl.load(at, mask=inside, other=0.0) + own
            if CHANNELS == 2:
                own = deliver(before, w + N * N, N, NP, CHUNK, sources, False)
                current_1 += tl.load(at + channel, mask=inside, other=0.0) + own
        tl.debug_barrier()  # the spikes of this step are seen by all threads
    tl.store(counts + i, count, mask=inside)


@triton.jit(do_not_specialize=["B", "T"])
def backward(
    u, w, d_counts, d_seen, d_x, B, N, T,
    beta_m, gain, theta, beta, beta_0, beta_1, sign_0, sign_1,
    CHANNELS: tl.constexpr, SUBTRACT: tl.constexpr, SURROGATE: tl.constexpr, SEEN: tl.constexpr,
    BLOCK: tl.constexpr, NP: tl.constexpr, CHUNK: tl.constexpr,
):  # fmt: skip
    b = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    n = tl.arange(0, NP)
    inside = (b[:, None] < B) & (n[None, :] < N)
    sources = tl.where(b < B, b, -1)
    i = b[:, None].to(tl.int64) * N + n[None, :]
    M = tl.cast(B, tl.int64) * N
    channel = (T - 2) * M
    d_count = tl.load(d_counts + i, mask=inside, other=0.0)
    d_potential = tl.zeros([BLOCK, NP], tl.float32)
    d_current_0 = tl.zeros([BLOCK, NP], tl.float32)
    d_current_1 = tl.zeros([BLOCK, NP], tl.float32)
    for back in range(T):
        t = T - 1 - back
        potential = tl.load(u + t * M + i, mask=inside, other=0.0)
        d_spike = d_count
        if t <= T - 3:
            if SEEN:
                d_spike += tl.load(d_seen + t * M + i, mask=inside, other=0.0)
            d_spike += deliver(d_x + t * M, w, N, NP, CHUNK, sources, True)
            if CHANNELS == 2:
                after = d_x + channel + t * M
                d_spike += deliver(after, w + N * N, N, NP, CHUNK, sources, True)
        if (t >= 1) & (t <= T - 2):
            tl.store(d_x + (t - 1) * M + i, d_current_0, mask=inside)
            if CHANNELS == 2:
                tl.store(d_x + channel + (t - 1) * M + i, d_current_1, mask=inside)
        tl.debug_barrier()  # gX of this step is seen by all threads
        d_potential, d_current_0, d_current_1 = retreat(
            potential, d_spike, d_potential, d_current_0, d_current_1,
            beta_m, gain, theta, beta, beta_0, beta_1, sign_0, sign_1,
            CHANNELS, SUBTRACT, SURROGATE,
        )  # fmt: skip
