"""The spike and its surrogate derivative for autograd."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from fdi.snn.surrogate import SURROGATES


class Spike(torch.autograd.Function):
    """S = H(V), V = U - theta, with the derivative `SURROGATES[surrogate]` of steepness beta."""

    @staticmethod
    def forward(ctx: Any, v: Tensor, surrogate: str, beta: float) -> Tensor:
        ctx.save_for_backward(v)
        ctx.surrogate, ctx.beta = surrogate, beta
        return (v > 0).to(v.dtype)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        (v,) = ctx.saved_tensors
        return grad * SURROGATES[ctx.surrogate](v, ctx.beta), None, None
