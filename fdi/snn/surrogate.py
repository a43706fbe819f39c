"""The spike and its surrogate derivative."""

from __future__ import annotations

import torch
from torch import Tensor


class SuperSpike(torch.autograd.Function):
    """S = H(V), with the surrogate derivative dS/dV = 1 / (beta |V| + 1)^2; V = U - theta (Zenke &
    Ganguli 2018).
    """

    @staticmethod
    def forward(ctx, v: Tensor, beta: float) -> Tensor:
        ctx.save_for_backward(v)
        ctx.beta = beta
        return (v > 0).to(v.dtype)

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor, None]:
        (v,) = ctx.saved_tensors
        return grad / (ctx.beta * v.abs() + 1.0) ** 2, None
