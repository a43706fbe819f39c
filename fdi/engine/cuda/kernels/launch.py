"""The kernels as operators of torch, one launch each: fdi::scan, fdi::recur and their adjoints."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext

import torch
from torch import Tensor

from fdi.engine.cuda.kernels import recurrent, scan

BLOCK, CHUNK = 128, 16
"""Elements of a program of scan.py; rows of weights that one of recurrent.py holds at a time."""
PROGRAMS, HELD = 128, 4
"""Programs of recurrent.py among which a batch is spread before one gets several samples (an H100
has 132 processors), and samples of one at most: more state spills from the registers of a thread.
"""
OPTIONS = dict(num_warps=4, num_stages=1, enable_fp_fusion=False)


def on(x: Tensor):
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
    with on(x):
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
    with on(u):
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
    sizes = blocks(n, batch)
    with on(x):
        recurrent.forward[(-(-batch // sizes["BLOCK"]),)](
            x, w, u, s, counts, batch, n, steps, *constants,
            CHANNELS=channels, SUBTRACT=subtract, KEEP=keep, SAME=given != steps - 2,
            **sizes,
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
    sizes = blocks(n, batch)
    with on(u):
        recurrent.backward[(-(-batch // sizes["BLOCK"]),)](
            u, w, d_counts, u if d_seen is None else d_seen, d_x, batch, n, steps, *constants,
            CHANNELS=len(w), SUBTRACT=subtract, SURROGATE=surrogate, SEEN=d_seen is not None,
            **sizes,
        )  # fmt: skip
    return d_x


def blocks(n: int, batch: int) -> dict[str, int | bool]:
    """What a program holds of a recurrent layer of n units; a wider one has more threads."""
    padded = max(16, 1 << (n - 1).bit_length())
    samples = min(HELD, max(1, batch // PROGRAMS))
    sizes = dict(BLOCK=1 << (samples.bit_length() - 1), NP=padded, CHUNK=min(CHUNK, padded))
    return OPTIONS | sizes | dict(num_warps=max(4, padded // 32))
