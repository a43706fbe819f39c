"""The running means of the optimizer SMORMS3 in one pass over the memory of a weight."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from fdi.engine.cpu.kernels.jit import inlined, kernel
from fdi.engine.cpu.kernels.simd import fill, fused, lanes, like, load, select, store, times

_MOST = 16  # numbers of a vector, at most


def update(p: Tensor, mem: Tensor, g: Tensor, g2: Tensor, lr: float, eps: float) -> None:
    """One step of fdi.train.rules for a weight with its gradient and running means, all of one
    precision and in order in memory; to the last bit what the functions of torch give, whose square
    root is not rounded as that of the processor is.
    """
    assert p.grad is not None
    step = p.grad.detach().clone()
    flat = [part.view(-1).numpy() for part in (step, mem, g, g2)]
    number = flat[0].dtype.type
    _means(*flat, number(lr), number(eps), np.zeros((len(flat), _MOST), flat[0].dtype))
    p.sub_(step.div_(g2.sqrt().add_(eps)))


@kernel
def _means(step, mem, g, g2, lr, eps, rest):
    """The gradient `step` becomes that times min(lr, g^2 / (g2 + eps)); all arrays are flat, and
    `rest` is memory for what is behind the last whole vector.
    """
    n, i = lanes(g), 0
    while i + n <= g.size:
        new = _updated(load(step, (i,)), load(mem, (i,)), load(g, (i,)), load(g2, (i,)), lr, eps)
        store(step, (i,), new[0]), store(mem, (i,), new[1])
        store(g, (i,), new[2]), store(g2, (i,), new[3])
        i += n
    for k in range(g.size - i):
        rest[0, k], rest[1, k], rest[2, k], rest[3, k] = (
            step[i + k],
            mem[i + k],
            g[i + k],
            g2[i + k],
        )
    new = _updated(
        load(rest, (0, 0)), load(rest, (1, 0)), load(rest, (2, 0)), load(rest, (3, 0)), lr, eps
    )
    store(rest, (0, 0), new[0]), store(rest, (1, 0), new[1])
    store(rest, (2, 0), new[2]), store(rest, (3, 0), new[3])
    for k in range(g.size - i):
        step[i + k], mem[i + k], g[i + k], g2[i + k] = (
            rest[0, k],
            rest[1, k],
            rest[2, k],
            rest[3, k],
        )


@inlined
def _updated(grad, mem, g, g2, lr, eps):
    one, most = like(grad, 1), fill(lr)
    r = one / (mem + one)
    g, g2 = _towards(g, grad, r), _towards(g2, times(grad, grad), r)
    ratio = g * g / (g2 + fill(eps))
    step = select(ratio > most, most, ratio) * grad
    return step, times(mem, one - ratio) + one, g, g2


@inlined
def _towards(a, b, share):
    """(1 - share) a + share b, as torch.lerp."""
    near = like(a, 1) > share + share
    return fused(select(near, share, share - like(a, 1)), b - a, select(near, a, b))
