"""What is done with gradients in one pass over their memory: their norm, and a step of SMORMS3."""

from __future__ import annotations

import math

import numpy as np
from torch import Tensor

from fdi.engine.cpu.kernels.jit import inlined, kernel
from fdi.engine.cpu.kernels.simd import (
    fill,
    fused,
    lanes,
    like,
    load,
    select,
    square_root,
    store,
    times,
)


@kernel
def norm(x):
    """In float64, of flat numbers in float32, whose squares it holds exactly: the same bits as
    torch's, which has four sums as well.
    """
    a = b = c = d = 0.0
    whole = x.size - x.size % 4
    for i in range(0, whole, 4):
        a += np.float64(x[i]) * np.float64(x[i])
        b += np.float64(x[i + 1]) * np.float64(x[i + 1])
        c += np.float64(x[i + 2]) * np.float64(x[i + 2])
        d += np.float64(x[i + 3]) * np.float64(x[i + 3])
    total = a + b + c + d
    for i in range(whole, x.size):
        total += np.float64(x[i]) * np.float64(x[i])
    return math.sqrt(total)


_MOST = 16  # numbers of a vector, at most


def flat(*parts: Tensor) -> tuple[np.ndarray, ...]:
    """A weight and its running means for `smorms3_step`."""
    arrays = [part.numpy().reshape(-1) for part in parts]
    return *arrays, np.zeros((1 + len(arrays), _MOST), arrays[0].dtype)


@kernel
def smorms3_step(grad, lr, eps, p, mem, g, g2, rest):
    """One step of fdi.train.rules: what the functions of torch give, but for the square root, which
    is rounded correctly here. All arrays are flat, and `rest` is memory for what is behind the last
    whole vector.
    """
    lr, eps = p.dtype.type(lr), p.dtype.type(eps)
    n, i = lanes(g), 0
    while i + n <= g.size:
        _update(p, grad, mem, g, g2, lr, eps, i)
        i += n
    for k in range(g.size - i):
        rest[0, k], rest[1, k], rest[2, k] = p[i + k], grad[i + k], mem[i + k]
        rest[3, k], rest[4, k] = g[i + k], g2[i + k]
    _update(rest[0], rest[1], rest[2], rest[3], rest[4], lr, eps, 0)
    for k in range(g.size - i):
        p[i + k], mem[i + k], g[i + k], g2[i + k] = rest[0, k], rest[2, k], rest[3, k], rest[4, k]


@inlined
def _update(p, grad, mem, g, g2, lr, eps, i):
    """The vector at i."""
    x, gradient, memory = load(p, (i,)), load(grad, (i,)), load(mem, (i,))
    one, most, least = like(x, 1), fill(lr), fill(eps)
    r = one / (memory + one)
    mean = _towards(load(g, (i,)), gradient, r)
    square = _towards(load(g2, (i,)), times(gradient, gradient), r)
    ratio = mean * mean / (square + least)
    step = select(ratio > most, most, ratio) * gradient / (square_root(square) + least)
    store(p, (i,), x - step), store(mem, (i,), times(memory, one - ratio) + one)
    store(g, (i,), mean), store(g2, (i,), square)


@inlined
def _towards(a, b, share):
    """(1 - share) a + share b, as torch.lerp."""
    near = like(a, 1) > share + share
    return fused(select(near, share, share - like(a, 1)), b - a, select(near, a, b))
