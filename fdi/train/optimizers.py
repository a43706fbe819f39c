"""Optimizers that torch lacks."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from fdi.ranges import Positive


class SMORMS3(torch.optim.Optimizer):
    """RMSprop whose memory and step follow the signal-to-noise ratio of each gradient (Funk 2015),
    the optimizer of Rossbroich et al. 2022.

        r = 1 / (mem + 1)
        g <- (1 - r) g + r grad,    g2 <- (1 - r) g2 + r grad^2
        mem <- 1 + mem (1 - g^2 / (g2 + eps))
        p <- p - grad min(lr, g^2 / (g2 + eps)) / (sqrt(g2) + eps)

    mem starts at 1, g and g2 at 0.
    """

    def __init__(
        self, params: Iterable[Tensor], lr: Positive = 5e-3, eps: Positive = 1e-16
    ) -> None:
        if not lr > 0:
            raise ValueError(f"optimizer.lr = {lr} must be positive")
        super().__init__(params, dict(lr=lr, eps=eps))

    @torch.no_grad()
    def step(self, closure: Callable[[], Tensor] | None = None) -> Tensor | None:
        loss = None if closure is None else torch.enable_grad()(closure)()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    self._update(p, p.grad, group["lr"], group["eps"])
        return loss

    def _update(self, p: Tensor, grad: Tensor, lr: float, eps: float) -> None:
        state = self.state[p]
        if not state:
            state.update(mem=torch.ones_like(p), g=torch.zeros_like(p), g2=torch.zeros_like(p))
        mem, g, g2 = state["mem"], state["g"], state["g2"]
        r = (mem + 1).reciprocal_()
        g.lerp_(grad, r)
        g2.lerp_(grad.square(), r)
        ratio = g.square().div_(g2 + eps)
        mem.mul_(1 - ratio).add_(1)
        p.sub_(ratio.clamp_(max=lr).mul_(grad).div_(g2.sqrt().add_(eps)))
