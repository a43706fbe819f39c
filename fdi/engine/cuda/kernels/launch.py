"""The kernels of scan.py as operators of torch, one launch each."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext

import torch
from torch import Tensor

from fdi.engine.cuda.kernels import scan

BLOCK, CHUNK = 128, 16
"""Elements of a program of a layer without recurrence; rows of recurrent weights that a program
holds at a time.
"""
PROGRAMS, HELD = 128, 4
"""Programs of a recurrent layer among which a batch is spread before one gets several samples (an
H100 has 132 processors), and samples of one at most: more state spills from the registers of a
thread.
"""
OPTIONS = dict(num_warps=4, num_stages=1, enable_fp_fusion=False)


def on(x: Tensor):
    return torch.cuda.device(x.device) if x.is_cuda else nullcontext()


@torch.library.custom_op("fdi::scan", mutates_args=())
def forward(
    x: Tensor,
    w: Tensor | None,
    steps: int,
    constants: Sequence[float],
    subtract: bool,
    keep: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """(U [T, B, N] or nothing, S [T, B, N] int8, counts [B, N]) for X [C, T - 2 or 1, B, N], and
    recurrent weights [C, N, N], source first, if there are any.
    """
    channels, given, batch, n = x.shape
    u = x.new_empty(steps if keep else 0, batch, n)
    s, counts = x.new_empty(steps, batch, n, dtype=torch.int8), x.new_empty(batch, n)
    programs, shape, sizes = _programs(w, batch, n)
    with on(x):
        scan.forward[programs](
            x, x if w is None else w, u, s, counts, *shape, steps, tuple(constants),
            CHANNELS=channels, SUBTRACT=subtract, KEEP=keep, SAME=given != steps - 2, **sizes,
        )  # fmt: skip
    return u, s, counts


@torch.library.custom_op("fdi::scan_backward", mutates_args=())
def backward(
    u: Tensor,
    w: Tensor | None,
    d_counts: Tensor,
    d_seen: Tensor | None,
    given: int,
    channels: int,
    constants: Sequence[float],
    subtract: bool,
    surrogate: str,
) -> Tensor:
    """gX [C, `given`, B, N], `given` being T - 2, or, without `w`, 1 for the sum over time."""
    steps, batch, n = u.shape
    d_x = u.new_empty(channels, given, batch, n)
    programs, shape, sizes = _programs(w, batch, n)
    with on(u):
        scan.backward[programs](
            u, u if w is None else w, d_counts, u if d_seen is None else d_seen, d_x, *shape, steps,
            tuple(constants), CHANNELS=channels, SUBTRACT=subtract, SURROGATE=surrogate,
            SEEN=d_seen is not None, SUM=given != steps - 2, **sizes,
        )  # fmt: skip
    return d_x


def _programs(
    w: Tensor | None, batch: int, n: int
) -> tuple[tuple[int], tuple[int, int], dict[str, int | bool]]:
    """How many there are, how they see [B, N], and what each holds."""
    shape = (batch * n, 1) if w is None else (batch, n)
    sizes = OPTIONS | dict(BLOCK=BLOCK, NP=1, CHUNK=0) if w is None else blocks(n, batch)
    return (-(-shape[0] // sizes["BLOCK"]),), shape, sizes


def blocks(n: int, batch: int) -> dict[str, int | bool]:
    """What a program holds of a recurrent layer of n units; a wider one has more threads."""
    padded = max(16, 1 << (n - 1).bit_length())
    samples = min(HELD, max(1, batch // PROGRAMS))
    sizes = dict(BLOCK=1 << (samples.bit_length() - 1), NP=padded, CHUNK=min(CHUNK, padded))
    return OPTIONS | sizes | dict(num_warps=max(4, padded // 32))
