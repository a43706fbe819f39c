"""The optimizers: one that torch lacks, and what is known about those of torch.optim without
importing it: the ranges of their values, and the floor, the gradient below which one hardly moves
a weight.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from fdi.config.parts import NotNegative, Positive, Share, StepSize

if TYPE_CHECKING:
    from torch import Tensor
    from torch.optim import Optimizer


Precision = Literal["float32", "float64"]


def SMORMS3(
    params: Iterable[Tensor],
    lr: StepSize = 5e-3,
    eps: Positive = 1e-16,
    precision: Precision = "float32",
) -> Optimizer:
    """The optimizer of Rossbroich et al. 2022 (Funk 2015); `lr`: upper limit of the step size,
    `eps`: floor, `precision`: of its running means. Equations: fdi.train.smorms3.
    """
    from fdi.train import smorms3

    return smorms3.SMORMS3(params, lr, eps, precision)


class TorchOptions(TypedDict, total=False):
    """Ranges of arguments that many classes of torch.optim take. Torch checks some of them itself,
    but only when it is called; the other arguments are left to it.
    """

    lr: StepSize
    betas: tuple[Share, Share]
    eps: Positive
    weight_decay: NotNegative
    amsgrad: bool
    momentum: Share
    dampening: Share
    nesterov: bool
    alpha: Share
    centered: bool


def fuse(optimizer: Optimizer) -> Optimizer:
    """Let an optimizer of torch update its weights in one pass over their memory, where it can on a
    CPU and the user has not chosen otherwise; sums are then rounded in another order.
    """
    for group in optimizer.param_groups:
        chosen = any(group.get(name) for name in ("foreach", "differentiable"))
        if "fused" in group and group["fused"] is None and not chosen:
            group["fused"] = all(p.device.type == "cpu" for p in group["params"]) or None
    if any(group.get("fused") and group.get("momentum") for group in optimizer.param_groups):
        optimizer.register_step_pre_hook(_start_momentum)
    return optimizer


def _start_momentum(optimizer: Optimizer, *_: object) -> None:
    """Give each weight with its first gradient a momentum with which its step is the first one:
    torch's fused SGD fails where others have theirs already, as when a silent layer wakes up.
    """
    for group in optimizer.param_groups:
        for p in group["params"] if group["momentum"] else ():
            if p.grad is not None and optimizer.state[p].get("momentum_buffer") is None:
                gradient = -p.grad if group["maximize"] else p.grad
                first = gradient.add(p.detach(), alpha=group["weight_decay"])
                start = first * (group["dampening"] / group["momentum"])
                optimizer.state[p]["momentum_buffer"] = start


SMORMS3_EPS, ADAM_EPS = 1e-16, 1e-8  # where a config does not say
LEAST_SQUARE = 2.0**-149  # the smallest float32
SQUARED = {"SMORMS3"}  # those that add eps to the mean square of a gradient
ADDED_TO_THE_ROOT = {"Adam", "AdamW", "NAdam", "RAdam", "RMSprop"}


def of_eps(optimizer: str, eps: float) -> float:
    """The gradient at which `eps` halves a step: sqrt(eps) where it is added to the mean square of
    the gradient, as in SMORMS3, eps where it is added to the root of that, as in Adam.
    """
    return math.sqrt(eps) if optimizer in SQUARED else float(eps)


def floor(run: Mapping[Any, Any]) -> float:
    """That of `optimizer.eps`, from the dotted keys of a config, but not below the root of the
    smallest float32 unless the optimizer is more precise; NaN for one without, like SGD.
    """
    name = str(run.get("optimizer._target_", "")).rpartition(".")[2]
    eps = run.get("optimizer.eps")
    if eps is not None and math.isnan(eps):  # of a table
        eps = None
    if name not in SQUARED | ADDED_TO_THE_ROOT:
        return math.nan
    if eps is None:
        eps = SMORMS3_EPS if name in SQUARED else ADAM_EPS
    precise = run.get("optimizer.precision") == "float64"
    return max(of_eps(name, eps), 0.0 if precise else math.sqrt(LEAST_SQUARE))
