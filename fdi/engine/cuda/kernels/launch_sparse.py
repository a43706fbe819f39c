"""The kernels of sparse.py as operators of torch, one launch each."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from fdi.engine.cuda.kernels import sparse
from fdi.engine.cuda.kernels.launch import BLOCK, OPTIONS, on

ROWS, TARGETS, LOOKED, SOURCES, SAMPLES, STEPS = 1, 128, 128, 1, 32, 16
"""Of a program: rows of a product, targets, and sources at a time that it looks for spikes in;
sources of a gradient, and samples of it at a time; steps at a time of neurons whose spikes are
listed.
"""
PROGRAMS = 512  # of a gradient, at least
ROW = OPTIONS | dict(num_warps=1)  # of 32 threads, which wait for no other


@torch.library.custom_op("fdi::by_events", mutates_args=())
def by_events(
    tables: Sequence[Tensor], samples: Tensor, w: Tensor, given: int, steps: int
) -> Tensor:
    """X [given, B, N] of the first steps of `samples` [B], for weights [K, N] and `tables` of
    kept.Lists: starts, units, and counts if they are not all 1.
    """
    starts, units, *counts = tables
    batch, n = len(samples), w.shape[1]
    x = w.new_empty(given, batch, n)
    with on(w):
        sparse.by_events[(-(-given * batch // ROWS), -(-n // TARGETS))](
            units, counts[0] if counts else w, starts, samples, w, x, given * batch, batch, steps,
            n, COUNTED=bool(counts), BLOCK=ROWS, NP=TARGETS, **ROW,
        )  # fmt: skip
    return x


@torch.library.custom_op("fdi::by_spikes", mutates_args=())
def by_spikes(s: Tensor, w: Tensor) -> Tensor:
    """X [T, B, N] for spikes [T, B, K], int8, and weights [K, N]."""
    steps, batch, k = s.shape
    n = w.shape[1]
    x = w.new_empty(steps, batch, n)
    with on(w):
        sparse.by_spikes[(-(-steps * batch // ROWS), -(-n // TARGETS))](
            s, w, x, steps * batch, k, n, BLOCK=ROWS, NP=TARGETS, CHUNK=LOOKED, **ROW
        )
    return x


@torch.library.custom_op("fdi::when", mutates_args=())
def when(s: Tensor) -> tuple[Tensor, Tensor]:
    """(the steps [T, B, K] in which neurons spike, int16, how many these are [B, K]) for spikes
    [T, B, K], int8.
    """
    steps, batch, k = s.shape
    times = s.new_empty(s.shape, dtype=torch.int16 if steps < 2**15 else torch.int32)
    counts = s.new_empty(batch, k, dtype=torch.int32)
    with on(s):
        sparse.when[(-(-batch * k // BLOCK),)](
            s, times, counts, batch * k, steps, BLOCK=BLOCK, CHUNK=STEPS, **OPTIONS
        )
    return times, counts


@torch.library.custom_op("fdi::gradient", mutates_args=())
def gradient(tables: Sequence[Tensor], samples: Tensor | None, d_x: Tensor, sources: int) -> Tensor:
    """gW [shares, N, K], to be summed over shares of the batch, for gX [T - 2, B, N] and what
    `when` found; or, of `samples` [B], for `tables` of kept.Lists: starts, times, and counts if
    they are not all 1.
    """
    first, second, *counts = tables
    times, starts = (first, second) if samples is None else (second, first)
    given, batch, n = d_x.shape
    apart = d_x.stride(1)
    if d_x.stride() != (batch * apart, apart, 1):
        d_x, apart = d_x.contiguous(), n
    beside = -(-n // TARGETS)
    share = -(-batch // max(1, PROGRAMS // (sources * beside)))
    share = -(-share // SAMPLES) * SAMPLES
    shares = -(-batch // share)
    g = d_x.new_empty(shares, n, sources)
    with on(d_x):
        sparse.gradient[(-(-sources // SOURCES), beside, shares)](
            times, counts[0] if counts else d_x, starts, times if samples is None else samples,
            d_x, g, batch, share, given, sources, n, apart, LISTED=samples is not None,
            COUNTED=bool(counts), SOURCES=SOURCES, BLOCK=SAMPLES, NP=TARGETS, **OPTIONS,
        )  # fmt: skip
    return g
