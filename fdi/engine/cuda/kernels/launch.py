"""The kernels as operators of torch, one launch each: fdi::scan, fdi::recur and their adjoints."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext

import torch
from torch import Tensor

from fdi.engine.cuda.kernels import recurrent, scan

BLOCK, SAMPLES, CHUNK = 128, 2, 16
"""Elements of a program of scan.py; samples of one of recurrent.py (a batch of 256 then has work
for 128 processors, and state and products fit into the registers of a thread), and the rows of its
weights that it holds at a time.
"""
OPTIONS = dict(num_warps=4, num_stages=1, enable_fp_fusion=False)


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
            x, u, s, counts, m, steps, *constants,
            CHANNELS=channels, SUBTRACT=subtract, KEEP=keep, SAME=given != steps - 2,
            BLOCK=BLOCK, **OPTIONS,
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
            u, d_counts, u if d_seen is None else d_seen, d_x, m, steps, *constants,
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
    with _on(x):
        recurrent.forward[(-(-batch // SAMPLES),)](
            x, w, u, s, counts, batch, n, steps, *constants,
            CHANNELS=channels, SUBTRACT=subtract, KEEP=keep, SAME=given != steps - 2,
            **blocks(n), **options(n),
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
            u, w, d_counts, u if d_seen is None else d_seen, d_x, batch, n, steps, *constants,
            CHANNELS=len(w), SUBTRACT=subtract, SURROGATE=surrogate, SEEN=d_seen is not None,
            **blocks(n), **options(n),
        )  # fmt: skip
    return d_x


def blocks(n: int) -> dict[str, int]:
    """Of a recurrent layer of n units."""
    padded = max(16, 1 << (n - 1).bit_length())
    return dict(BLOCK=SAMPLES, NP=padded, CHUNK=min(CHUNK, padded))


def options(n: int) -> dict[str, int | bool]:
    """More warps for a wider layer, so that its state stays in registers."""
    return OPTIONS | dict(num_warps=min(16, max(4, blocks(n)["NP"] // 32)))
