"""The optimizers: one that torch lacks, and what is known about those of torch.optim without
importing it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal, TypedDict

from fdi.config.ranges import NotNegative, Positive, Share

if TYPE_CHECKING:
    from torch import Tensor
    from torch.optim import Optimizer

Precision = Literal["float32", "float64"]


def SMORMS3(
    params: Iterable[Tensor],
    lr: Positive = 5e-3,
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

    lr: Positive
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
