"""What events and spikes deliver, by rows of the weights that they name, and the gradient of those
weights. `w`: [K, N], source first; a row of X or gX is a step of a sample, in the order [T, B, N].
"""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit(do_not_specialize=["B", "T", "R"])
def by_events(
    units, counts, starts, samples, w, x, R, B, T, N,
    COUNTED: tl.constexpr, BLOCK: tl.constexpr, NP: tl.constexpr,
):  # fmt: skip
    """X[t, b] = sum_e counts[e] w[units[e]] over the events e of step t of samples[b], which are
    those from starts[samples[b] T + t] on; `R` rows of X are wanted.
    """
    row = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    n = tl.program_id(1) * NP + tl.arange(0, NP)
    wanted = row < R
    at = starts + tl.load(samples + row % B, mask=wanted, other=0) * T + row // B
    event = tl.load(at, mask=wanted, other=0)
    end = tl.load(at + 1, mask=wanted, other=0)
    total = tl.zeros([BLOCK, NP], tl.float32)
    while tl.max(end - event) > 0:
        here = event < end
        unit = tl.load(units + event, mask=here, other=0).to(tl.int64)
        both = here[:, None] & (n[None, :] < N)
        part = tl.load(w + unit[:, None] * N + n[None, :], mask=both, other=0.0)
        if COUNTED:
            part *= tl.load(counts + event, mask=here, other=0.0)[:, None]
        total += part
        event += 1
    tl.store(x + row[:, None] * N + n[None, :], total, mask=wanted[:, None] & (n[None, :] < N))


@triton.jit(do_not_specialize=["R"])
def by_spikes(
    s, w, x, R, K, N, BLOCK: tl.constexpr, NP: tl.constexpr, CHUNK: tl.constexpr
):  # fmt: skip
    """X[r] = sum_k s[r, k] w[k] for spikes `s` [R, K], 0 or 1."""
    row = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    n = tl.program_id(1) * NP + tl.arange(0, NP)
    wanted = row < R
    total = tl.zeros([BLOCK, NP], tl.float32)
    for start in range(0, K, CHUNK):
        k = start + tl.arange(0, CHUNK)
        at = s + row[:, None] * K + k[None, :]
        spike = tl.load(at, mask=wanted[:, None] & (k[None, :] < K), other=0)
        left = tl.where(spike != 0, k[None, :], K)
        source = tl.min(left, 1)
        while tl.min(source) < K:
            both = (source < K)[:, None] & (n[None, :] < N)
            unit = source.to(tl.int64)
            total += tl.load(w + unit[:, None] * N + n[None, :], mask=both, other=0.0)
            left = tl.where(left == source[:, None], K, left)
            source = tl.min(left, 1)
    tl.store(x + row[:, None] * N + n[None, :], total, mask=wanted[:, None] & (n[None, :] < N))


@triton.jit(do_not_specialize=["M", "T"])
def when(s, times, counts, M, T, BLOCK: tl.constexpr, CHUNK: tl.constexpr):
    """The steps in which each of M neurons spikes, `times` [T, M], the first `counts` [M] of
    them, for spikes `s` [T, M].
    """
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = i < M
    found = tl.zeros([BLOCK], tl.int32)
    for start in range(0, T, CHUNK):
        t = start + tl.arange(0, CHUNK)
        at = t.to(tl.int64)[:, None] * M + i[None, :]
        spike = tl.load(s + at, mask=(t < T)[:, None] & inside[None, :], other=0) != 0
        place = found[None, :] + tl.cumsum(spike.to(tl.int32), 0) - 1
        step = tl.zeros([CHUNK, BLOCK], tl.int32) + t[:, None]
        tl.store(
            times + place.to(tl.int64) * M + i[None, :], step.to(times.dtype.element_ty), mask=spike
        )
        found += tl.sum(spike.to(tl.int32), 0)
    tl.store(counts + i, found, mask=inside)


@triton.jit(do_not_specialize=["B", "SHARE", "GIVEN"])
def gradient(
    times, counts, starts, samples, d_x, g, B, SHARE, GIVEN, K, N, D,
    LISTED: tl.constexpr, COUNTED: tl.constexpr,
    SOURCES: tl.constexpr, BLOCK: tl.constexpr, NP: tl.constexpr,
):  # fmt: skip
    """gW[n, k] = sum_b sum_e counts[e] gX[times[e], b, n] over the events e of source k that lie in
    the first `GIVEN` steps, in `g` [shares, N, K], a share being `SHARE` samples. Rows of gX are
    `D` numbers apart.

    With LISTED they are those from starts[samples[b] K + k] on; without it `times` and `starts` are
    what `when` found, [T, B, K] and [B, K].
    """
    place = tl.arange(0, SOURCES * BLOCK)
    k = tl.program_id(0) * SOURCES + place // BLOCK
    n = tl.program_id(1) * NP + tl.arange(0, NP)
    share = tl.program_id(2)
    total = tl.zeros([SOURCES * BLOCK, NP], tl.float32)
    last = tl.minimum(B, (share + 1) * SHARE)
    for first in range(share * SHARE, last, BLOCK):
        b = (first + place % BLOCK).to(tl.int64)
        inside = (b < last) & (k < K)
        if LISTED:
            own = starts + tl.load(samples + b, mask=inside, other=0) * K + k
            event = tl.load(own, mask=inside, other=0).to(tl.int64)
            end = tl.load(own + 1, mask=inside, other=0).to(tl.int64)
            further = tl.cast(1, tl.int64)
        else:
            further = tl.cast(B, tl.int64) * K
            event = b * K + k
            end = event + further * tl.load(starts + event, mask=inside, other=0)
        while tl.max(end - event) > 0:
            here = event < end
            t = tl.load(times + event, mask=here, other=0).to(tl.int64)
            both = (here & (t < GIVEN))[:, None] & (n[None, :] < N)
            part = tl.load(d_x + (t * B + b)[:, None] * D + n[None, :], mask=both, other=0.0)
            if COUNTED:
                part *= tl.load(counts + event, mask=here, other=0.0)[:, None]
            total += part
            event += further
    source = tl.program_id(0) * SOURCES + tl.arange(0, SOURCES)
    at = (tl.cast(share, tl.int64) * N + n[None, :]) * K + source[:, None]
    summed = tl.sum(tl.reshape(total, [SOURCES, BLOCK, NP]), 1)
    tl.store(g + at, summed, mask=(source[:, None] < K) & (n[None, :] < N))
