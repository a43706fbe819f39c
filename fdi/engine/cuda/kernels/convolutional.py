"""A layer whose recurrent projections are convolutions over a whole trial, forward and adjoint: a
program holds a few samples with all F filters and H W places of the layer, tile after tile of rows
(a place of a sample) and filters.

Otherwise as recurrent.py. State goes from one step to the next through two rows of memory, that of
this step and that of the next, since the tiles of a step do not fit into registers; a row that is
read in a step is not written in it. `w`: [C, F KH KW, F], source and tap of an odd kernel first.
"""

from __future__ import annotations

import triton
import triton.language as tl

from fdi.engine.cuda.kernels.scan import slope, updated


@triton.jit
def place(tile, B, H, W, N, ROWS: tl.constexpr, SAMPLES: tl.constexpr):
    """Of each row from `tile` on: where its sample starts, its place, and whether there is one."""
    row = tile + tl.arange(0, ROWS)
    b = tl.program_id(0).to(tl.int64) * SAMPLES + row // (H * W)
    return b * N, row % (H * W), (row < SAMPLES * H * W) & (b < B)


@triton.jit
def deliver(
    spikes, w, start, at, some, target, F, H, W,
    KH: tl.constexpr, KW: tl.constexpr, CHUNK: tl.constexpr,
):  # fmt: skip
    """spikes [B, F, H, W] (in memory, or their adjoint) convolved with w, at the rows of `place`
    and filters `target`, CHUNK sources and taps at a time, without TF32.
    """
    rows = F * (KH * KW)
    total = tl.zeros([at.shape[0], target.shape[0]], tl.float32)
    for chunk in range(0, rows, CHUNK):
        k = chunk + tl.arange(0, CHUNK)
        source, tap = k // (KH * KW), k % (KH * KW)
        y = (at // W)[:, None] + (tap // KW - KH // 2)[None, :]
        x = (at % W)[:, None] + (tap % KW - KW // 2)[None, :]
        on_map = (y >= 0) & (y < H) & (x >= 0) & (x < W)
        part = tl.load(
            spikes + start[:, None] + source[None, :] * (H * W) + y * W + x,
            mask=on_map & some[:, None] & (k < rows)[None, :],
            other=0.0,
        ).to(tl.float32)
        weight = tl.load(
            w + k[:, None] * F + target[None, :],
            mask=(k < rows)[:, None] & (target < F)[None, :],
            other=0.0,
        )
        total = tl.dot(part, weight, total, input_precision="ieee")
    return total


@triton.jit
def forward(
    x, w, u, currents, s, B, F, H, W, T, x_step, x_channel,
    beta_m, gain, theta, u_init, beta_0, beta_1, sign_0, sign_1,
    CHANNELS: tl.constexpr, SUBTRACT: tl.constexpr, KEEP: tl.constexpr,
    KH: tl.constexpr, KW: tl.constexpr,
    SAMPLES: tl.constexpr, ROWS: tl.constexpr, FILTERS: tl.constexpr, CHUNK: tl.constexpr,
):  # fmt: skip
    """`u`: [T, B, F H W], or without KEEP two rows; `currents`: [C, 2, B, F H W]."""
    N = tl.cast(F, tl.int64) * H * W
    M = N * B
    for t in range(T):
        now, after = (t % 2) * M, ((t + 1) % 2) * M
        for tile in range(0, SAMPLES * H * W, ROWS):
            start, at, some = place(tile, B, H, W, N, ROWS, SAMPLES)
            for part in range(0, F, FILTERS):
                target = part + tl.arange(0, FILTERS)
                inside = some[:, None] & (target < F)[None, :]
                step = tl.zeros([ROWS, FILTERS], tl.int32) + t
                begun = inside & (step > 0)
                i = start[:, None] + target[None, :] * (H * W) + at[:, None]
                u_now = u + i + (t * M if KEEP else now)
                potential = tl.load(u_now, mask=begun, other=u_init)
                current_0 = tl.load(currents + i + now, mask=begun, other=0.0)
                spike = tl.where(inside, (potential > theta).to(tl.float32), 0.0)
                tl.store(s + i + t * M, spike.to(tl.int8), mask=inside)
                total = sign_0 * current_0
                if CHANNELS == 2:
                    current_1 = tl.load(currents + 2 * M + i + now, mask=begun, other=0.0)
                    total += sign_1 * current_1
                if KEEP:
                    tl.store(u_now, potential, mask=inside & (step == 0))
                potential = updated(potential, spike, gain * total, beta_m, theta, SUBTRACT)
                u_after = u + i + ((t + 1) * M if KEEP else after)
                tl.store(u_after, potential, mask=inside & (step < T - 1))
                current_0 = beta_0 * current_0
                if CHANNELS == 2:
                    current_1 = beta_1 * current_1
                if (t >= 1) & (t <= T - 2):
                    before = s + (t - 1) * M
                    given = x + i + (t - 1) * tl.cast(x_step, tl.int64)
                    own = deliver(before, w, start, at, some, target, F, H, W, KH, KW, CHUNK)
                    current_0 += tl.load(given, mask=inside, other=0.0) + own
                    if CHANNELS == 2:
                        second = w + F * F * (KH * KW)
                        own = deliver(
                            before, second, start, at, some, target, F, H, W, KH, KW, CHUNK
                        )
                        current_1 += tl.load(given + x_channel, mask=inside, other=0.0) + own
                tl.store(currents + i + after, current_0, mask=inside)
                if CHANNELS == 2:
                    tl.store(currents + 2 * M + i + after, current_1, mask=inside)
        tl.debug_barrier()  # spikes and state of this step are seen by all threads


@triton.jit
def backward(
    u, w, d_counts, d_seen, d_x, state, B, F, H, W, T, x_channel,
    beta_m, gain, theta, beta, beta_0, beta_1, sign_0, sign_1,
    CHANNELS: tl.constexpr, SUBTRACT: tl.constexpr, SURROGATE: tl.constexpr, SEEN: tl.constexpr,
    KH: tl.constexpr, KW: tl.constexpr,
    SAMPLES: tl.constexpr, ROWS: tl.constexpr, FILTERS: tl.constexpr, CHUNK: tl.constexpr,
):  # fmt: skip
    """`w`: target and turned tap first; `state`: gU and gI_c, [1 + C, 2, B, F H W]."""
    N = tl.cast(F, tl.int64) * H * W
    M = N * B
    for back in range(T):
        t = T - 1 - back
        now, after = (t % 2) * M, ((t + 1) % 2) * M
        for tile in range(0, SAMPLES * H * W, ROWS):
            start, at, some = place(tile, B, H, W, N, ROWS, SAMPLES)
            for part in range(0, F, FILTERS):
                source = part + tl.arange(0, FILTERS)
                inside = some[:, None] & (source < F)[None, :]
                begun = inside & (tl.zeros([ROWS, FILTERS], tl.int32) + t < T - 1)
                i = start[:, None] + source[None, :] * (H * W) + at[:, None]
                potential = tl.load(u + i + t * M, mask=inside, other=0.0)
                d_potential = tl.load(state + i + after, mask=begun, other=0.0)
                d_current_0 = tl.load(state + 2 * M + i + after, mask=begun, other=0.0)
                if CHANNELS == 2:
                    d_current_1 = tl.load(state + 4 * M + i + after, mask=begun, other=0.0)
                d_spike = tl.load(d_counts + i, mask=inside, other=0.0)
                if t <= T - 3:
                    if SEEN:
                        d_spike += tl.load(d_seen + i + t * M, mask=inside, other=0.0)
                    arrived = d_x + t * M
                    d_spike += deliver(arrived, w, start, at, some, source, F, H, W, KH, KW, CHUNK)
                    if CHANNELS == 2:
                        second = w + F * F * (KH * KW)
                        arrived += x_channel
                        d_spike += deliver(
                            arrived, second, start, at, some, source, F, H, W, KH, KW, CHUNK
                        )
                if (t >= 1) & (t <= T - 2):
                    before = d_x + i + (t - 1) * M
                    tl.store(before, d_current_0, mask=inside)
                    if CHANNELS == 2:
                        tl.store(before + x_channel, d_current_1, mask=inside)
                d_drive = d_potential
                if not SUBTRACT:
                    d_drive = tl.where(potential > theta, 0.0, d_potential)
                d_potential = d_spike * slope(potential - theta, beta, SURROGATE) + beta_m * d_drive
                tl.store(state + i + now, d_potential, mask=inside)
                d_current_0 = gain * sign_0 * d_drive + beta_0 * d_current_0
                tl.store(state + 2 * M + i + now, d_current_0, mask=inside)
                if CHANNELS == 2:
                    d_current_1 = gain * sign_1 * d_drive + beta_1 * d_current_1
                    tl.store(state + 4 * M + i + now, d_current_1, mask=inside)
        tl.debug_barrier()  # gX and state of this step are seen by all threads
