"""A step of the optimizer SMORMS3 in one pass over the memory of a weight."""

from __future__ import annotations

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

_MOST = 16  # numbers of a vector, at most


def update(p: Tensor, mem: Tensor, g: Tensor, g2: Tensor, lr: float, eps: float) -> None:
    """One step of fdi.train.rules for a weight with its gradient and running means, all of one
    precision and in order in memory; what the functions of torch give, but for the square root,
    which is rounded correctly here.
    """
    assert p.grad is not None
    flat = [part.numpy().reshape(-1) for part in (p.detach(), p.grad, mem, g, g2)]
    number = flat[0].dtype.type
    _step(*flat, number(lr), number(eps), np.zeros((len(flat), _MOST), flat[0].dtype))


@kernel
def _step(p, grad, mem, g, g2, lr, eps, rest):
    """All arrays are flat, and `rest` is memory for what is behind the last whole vector."""
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
