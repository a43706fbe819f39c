"""The kernels as operators of torch, one launch each: fdi::scan, fdi::recur and fdi::convolve with
their adjoints.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import nullcontext

import torch
from torch import Tensor

from fdi.engine.cuda.kernels import convolutional, recurrent, scan

BLOCK, SAMPLES, CHUNK = 128, 16, 32
"""Elements of a program of scan.py; samples of one of recurrent.py, and the rows of its weights
that it, or one of convolutional.py, holds at a time.
"""
ROWS, FILTERS = 64, 64  # of a tile of convolutional.py
OPTIONS = dict(num_warps=4, enable_fp_fusion=False)
WIDE = OPTIONS | dict(num_warps=8)


def _on(x: Tensor):
    return torch.cuda.device(x.device) if x.is_cuda else nullcontext()


@torch.library.custom_op("fdi::scan", mutates_args=())
def scan_forward(
    x: Tensor, steps: int, constants: Sequence[float], subtract: bool, keep: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """(U [T, M] or nothing, S [T, M] int8, counts [M]) for X [C, T - 2 or 1, M]; `constants`:
    beta_m, gain, theta, u_init, beta_s and sign of two channels.
    """
    channels, given, m = x.shape
    u = x.new_empty(steps if keep else 0, m)
    s, counts = x.new_empty(steps, m, dtype=torch.int8), x.new_empty(m)
    with _on(x):
        scan.forward[(-(-m // BLOCK),)](
            x, u, s, counts, m, steps, m if given == steps - 2 else 0, given * m, *constants,
            CHANNELS=channels, SUBTRACT=subtract, KEEP=keep, BLOCK=BLOCK, **OPTIONS,
        )  # fmt: skip
    return u, s, counts


@torch.library.custom_op("fdi::scan_backward", mutates_args=())
def scan_backward(
    u: Tensor,
    d_counts: Tensor,
    d_seen: Tensor | None,
    given: int,
    channels: int,
    constants: Sequence[float],
    subtract: bool,
    surrogate: str,
) -> Tensor:
    """gX [C, `given`, M], `given` being T - 2, or 1 for the sum over time; of `constants` the
    fourth is the steepness of the surrogate.
    """
    steps, m = u.shape
    d_x = u.new_empty(channels, given, m)
    with _on(u):
        scan.backward[(-(-m // BLOCK),)](
            u, d_counts, u if d_seen is None else d_seen, d_x, m, steps, given * m, *constants,
            CHANNELS=channels, SUBTRACT=subtract, SURROGATE=surrogate, SEEN=d_seen is not None,
            SUM=given != steps - 2, BLOCK=BLOCK, **OPTIONS,
        )  # fmt: skip
    return d_x


@torch.library.custom_op("fdi::recur", mutates_args=())
def recur_forward(
    x: Tensor, w: Tensor, steps: int, constants: Sequence[float], subtract: bool, keep: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """As scan_forward, for X [C, T - 2 or 1, B, N] and recurrent weights [C, N, N], source
    first.
    """
    channels, given, batch, n = x.shape
    u = x.new_empty(steps if keep else 0, batch, n)
    s, counts = x.new_empty(steps, batch, n, dtype=torch.int8), x.new_empty(batch, n)
    step = batch * n if given == steps - 2 else 0
    with _on(x):
        recurrent.forward[(-(-batch // SAMPLES),)](
            x, w, u, s, counts, batch, n, steps, step, given * batch * n, *constants,
            CHANNELS=channels, SUBTRACT=subtract, KEEP=keep, **shape(n), **options(n),
        )  # fmt: skip
    return u, s, counts


@torch.library.custom_op("fdi::recur_backward", mutates_args=())
def recur_backward(
    u: Tensor,
    w: Tensor,
    d_counts: Tensor,
    d_seen: Tensor | None,
    constants: Sequence[float],
    subtract: bool,
    surrogate: str,
) -> Tensor:
    """gX [C, T - 2, B, N]; of `constants` the fourth is the steepness of the surrogate."""
    steps, batch, n = u.shape
    d_x = u.new_empty(len(w), max(0, steps - 2), batch, n)
    with _on(u):
        recurrent.backward[(-(-batch // SAMPLES),)](
            u, w, d_counts, u if d_seen is None else d_seen, d_x, batch, n, steps,
            d_x[0].numel(), *constants,
            CHANNELS=len(w), SUBTRACT=subtract, SURROGATE=surrogate, SEEN=d_seen is not None,
            **shape(n), **options(n),
        )  # fmt: skip
    return d_x


@torch.library.custom_op("fdi::convolve", mutates_args=())
def convolve_forward(
    x: Tensor,
    w: Tensor,
    edges: Sequence[int],
    kernel: Sequence[int],
    steps: int,
    constants: Sequence[float],
    subtract: bool,
    keep: bool,
) -> tuple[Tensor, Tensor]:
    """(U [T, B, N] or something shorter, S [T, B, N] int8) for X [C, T - 2 or 1, B, N], N places of
    maps of `edges`, and recurrent weights [C, F KH KW, F], source and tap first.
    """
    channels, given, batch, n = x.shape
    u = x.new_empty(steps if keep else 2, batch, n)
    s, currents = x.new_empty(steps, batch, n, dtype=torch.int8), x.new_empty(channels, 2, batch, n)
    step = batch * n if given == steps - 2 else 0
    blocks = tile(w.shape[-1], edges, kernel)
    with _on(x):
        convolutional.forward[(-(-batch // blocks["SAMPLES"]),)](
            x, w, u, currents, s, batch, w.shape[-1], *edges, steps, step, given * batch * n,
            *constants, CHANNELS=channels, SUBTRACT=subtract, KEEP=keep,
            **blocks, **WIDE,
        )  # fmt: skip
    return u, s


@torch.library.custom_op("fdi::convolve_backward", mutates_args=())
def convolve_backward(
    u: Tensor,
    w: Tensor,
    edges: Sequence[int],
    kernel: Sequence[int],
    d_counts: Tensor,
    d_seen: Tensor | None,
    constants: Sequence[float],
    subtract: bool,
    surrogate: str,
) -> Tensor:
    """gX [C, T - 2, B, N] for weights [C, F KH KW, F], target and turned tap first; of `constants`
    the fourth is the steepness of the surrogate.
    """
    steps, batch, n = u.shape
    d_x = u.new_empty(len(w), max(0, steps - 2), batch, n)
    state = u.new_empty(1 + len(w), 2, batch, n)
    blocks = tile(w.shape[-1], edges, kernel)
    with _on(u):
        convolutional.backward[(-(-batch // blocks["SAMPLES"]),)](
            u, w, d_counts, u if d_seen is None else d_seen, d_x, state, batch, w.shape[-1], *edges,
            steps, d_x[0].numel(), *constants,
            CHANNELS=len(w), SUBTRACT=subtract, SURROGATE=surrogate, SEEN=d_seen is not None,
            **blocks, **WIDE,
        )  # fmt: skip
    return d_x


def shape(n: int) -> dict[str, int]:
    """Blocks of a recurrent layer of n units."""
    padded = _padded(n)
    return dict(BLOCK=SAMPLES, NP=padded, CHUNK=min(CHUNK, padded))


def options(n: int) -> dict[str, int | bool]:
    """More warps for a wider layer, so that its state stays in registers."""
    return OPTIONS | dict(num_warps=min(16, max(4, shape(n)["NP"] // 32)))


def tile(filters: int, edges: Sequence[int], kernel: Sequence[int]) -> dict[str, int]:
    """Blocks of a layer with recurrent convolutions, powers of 2 of at least 16."""
    high, wide = kernel
    return dict(
        KH=high,
        KW=wide,
        SAMPLES=max(1, ROWS // math.prod(edges)),
        ROWS=ROWS,
        FILTERS=min(FILTERS, _padded(filters)),
        CHUNK=min(CHUNK, _padded(filters * high * wide)),
    )


def _padded(n: int) -> int:
    """The power of 2 that is at least 16 and n."""
    return max(16, 1 << (n - 1).bit_length())
