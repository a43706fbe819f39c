"""The optimizer Adam-atan2."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import torch
from torch import Tensor


class AdamAtan2(torch.optim.Optimizer):
    """Adam without eps: the step depends on the direction of (mean, spread) of a gradient, and not
    on its size (Everett et al. 2024, arXiv:2407.05872).

        m <- b1 m + (1 - b1) grad,    r <- sqrt(b2 r^2 + (1 - b2) grad^2)
        p <- p - lr (4 / pi) atan2(m / (1 - b1^t), r / sqrt(1 - b2^t))

    With 4 / pi a steady gradient moves its weight by lr, as in Adam. r is kept in place of its
    square, which would be 0 in float32 for gradients below 2.6e-23.
    """

    def __init__(self, params: Iterable[Tensor], lr: float, betas: tuple[float, float]) -> None:
        super().__init__(params, dict(lr=lr, betas=betas))

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override] # torch: two overloads of its own
        loss = None if closure is None else torch.enable_grad()(closure)()
        for group in self.param_groups:
            b1, b2 = group["betas"]
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                if not state:
                    state.update(t=0, m=torch.zeros_like(p), r=torch.zeros_like(p))
                state["t"] += 1
                m, r, t = state["m"], state["r"], state["t"]
                m.lerp_(p.grad, 1 - b1)
                torch.hypot(r * math.sqrt(b2), p.grad * math.sqrt(1 - b2), out=r)
                spread = r / math.sqrt(1 - b2**t)
                direction = torch.atan2(m / (1 - b1**t), spread)
                p.sub_(direction, alpha=group["lr"] * 4 / math.pi)
        return loss
