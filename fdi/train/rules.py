"""The optimizers SMORMS3 and Adam-atan2."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fdi.config import Mistake


class SMORMS3(torch.optim.Optimizer):
    """RMSprop whose memory and step follow the signal-to-noise ratio of each gradient (Funk 2015),
    the optimizer of Rossbroich et al. 2022.

        r = 1 / (mem + 1)
        g <- (1 - r) g + r grad,    g2 <- (1 - r) g2 + r grad^2
        mem <- 1 + mem (1 - g^2 / (g2 + eps))
        p <- p - grad min(lr, g^2 / (g2 + eps)) / (sqrt(g2) + eps)

    mem starts at 1, g and g2 at 0. In float32, g2 is 0 for gradients below 2.6e-23, whatever eps
    is; with `precision="float64"` the three of them and the step are computed in that precision.
    """

    # without what torch wraps them in: it imports a compiler, which takes longer than a small run
    add_param_group = inspect.unwrap(torch.optim.Optimizer.add_param_group)
    state_dict = inspect.unwrap(torch.optim.Optimizer.state_dict)
    _load_state_dict = inspect.unwrap(torch.optim.Optimizer.load_state_dict)

    def __init__(self, params: Iterable[Tensor], lr: float, eps: float, precision: str) -> None:
        if eps < (least := torch.finfo(getattr(torch, precision)).tiny):
            raise Mistake(
                f"optimizer.eps = {eps} is below {least:.2g}, the least number of {precision}; "
                + ("use optimizer.precision=float64" if precision == "float32" else "raise it")
            )
        super().__init__(params, dict(lr=lr, eps=eps))
        self.precision = getattr(torch, precision)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """As torch does, but keep the state's own precision: torch converts it to that of the
        weights.
        """
        self._load_state_dict(state_dict)
        weights = [p for group in self.param_groups for p in group["params"]]
        for index, kept in state_dict["state"].items():
            p = weights[index]
            self.state[p] = {name: value.to(p.device) for name, value in kept.items()}

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override] # torch: two overloads of its own
        loss = None if closure is None else torch.enable_grad()(closure)()
        self.prepared()()
        return loss

    def prepared(self) -> Callable[[], None]:
        """A step, for as long as weights and state stay where they are, without what torch wraps
        `step` in, which takes longer than that of a small network.
        """
        groups = [(g, [(p, self._in_one_pass(p)) for p in g["params"]]) for g in self.param_groups]

        def step() -> None:
            for group, weights in groups:
                lr, eps, rest = float(group["lr"]), float(group["eps"]), []
                for p, in_one_pass in weights:
                    if in_one_pass and p.grad is not None and p.grad.is_contiguous():
                        in_one_pass(p.grad.numpy().reshape(-1), lr, eps)
                    elif p.grad is not None:
                        rest.append(p)
                if rest:
                    self._by_torch(rest, lr, eps)

        return step

    def _in_one_pass(self, p: Tensor) -> Callable[[np.ndarray, float, float], None] | None:
        """A step of one weight, whose state begins here, for its gradient, lr and eps; None where
        they are not contiguous in the CPU's memory, in one precision.
        """
        state = self.state[p]
        if not state:
            dtype = torch.promote_types(p.dtype, self.precision)
            state["mem"] = torch.ones_like(p, dtype=dtype)
            state["g"], state["g2"] = (torch.zeros_like(p, dtype=dtype) for _ in range(2))
        parts = p.detach(), state["mem"], state["g"], state["g2"]
        if all(x.device.type == "cpu" and x.dtype == p.dtype and x.is_contiguous() for x in parts):
            from fdi.engine import updates  # what it needs is slow to import

            arrays = updates.flat(*parts)
            return lambda gradient, lr, eps: updates.smorms3_step(gradient, lr, eps, *arrays)
        return None

    @torch.no_grad()
    def _by_torch(self, params: list[Tensor], lr: float, eps: float) -> None:
        """All weights at once, so that a GPU has few kernels to launch."""
        mem, g, g2 = ([self.state[p][name] for p in params] for name in ("mem", "g", "g2"))
        grads = [p.grad.to(state.dtype) for p, state in zip(params, g2) if p.grad is not None]
        r = torch._foreach_add(mem, 1)
        torch._foreach_reciprocal_(r)
        torch._foreach_lerp_(g, grads, r)
        torch._foreach_lerp_(g2, torch._foreach_mul(grads, grads), r)
        ratio = torch._foreach_mul(g, g)
        torch._foreach_div_(ratio, torch._foreach_add(g2, eps))
        kept = torch._foreach_neg(ratio)
        torch._foreach_add_(kept, 1)
        torch._foreach_mul_(mem, kept)
        torch._foreach_add_(mem, 1)
        torch._foreach_clamp_max_(ratio, lr)
        torch._foreach_mul_(ratio, grads)
        root = torch._foreach_sqrt(g2)
        torch._foreach_add_(root, eps)
        torch._foreach_div_(ratio, root)
        torch._foreach_sub_(params, ratio)


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


def prepared(optimizer: torch.optim.Optimizer) -> Callable[[], object]:
    """A step of the optimizer, for as long as weights and state stay where they are, in which each
    group has `factor` times its step size. The factor is no part of `lr`, which a schedule sets.
    """
    update: Callable[[], object] = optimizer.step
    if type(optimizer) is SMORMS3 and "step" not in vars(optimizer):  # a schedule puts one there
        update = optimizer.prepared()
    scaled = [group for group in optimizer.param_groups if "factor" in group]

    def step() -> None:
        before = [group["lr"] for group in scaled]
        for group in scaled:
            group["lr"] *= group["factor"]
        update()
        for group, lr in zip(scaled, before):
            group["lr"] = lr

    return step
