"""The optimizers: those that torch lacks, and step sizes of their own for some parameters."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal

from fdi.config.parts import Positive, Share, StepSize

if TYPE_CHECKING:
    from torch import Tensor
    from torch.optim import Optimizer

    from fdi.snn.network import Network


Precision = Literal["float32", "float64"]


def SMORMS3(
    params: Iterable[Tensor],
    lr: StepSize = 5e-3,
    eps: Positive = 1e-16,
    precision: Precision = "float32",
) -> Optimizer:
    """The optimizer of Rossbroich et al. 2022 (Funk 2015); `lr`: upper limit of the step size,
    `eps`: sets the effective floor, `precision`: of its running means. Equations: fdi.train.rules.
    """
    from fdi.train import rules

    return rules.SMORMS3(params, lr, eps, precision)


def AdamAtan2(
    params: Iterable[Tensor], lr: StepSize = 5e-3, betas: tuple[Share, Share] = (0.9, 0.999)
) -> Optimizer:
    """Adam without eps, and so without an effective floor (Everett et al. 2024, arXiv:2407.05872).
    Equations: fdi.train.rules.
    """
    from fdi.train import rules

    return rules.AdamAtan2(params, lr, betas)


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


LACKING = {
    "recurrent": "this network has no recurrent weights",
    "readout": "this network has no readout",
    "norm": "this network has no normalization",
    "tau": "this network learns no time constants",
}
KINDS = tuple(LACKING)
"""Kinds of parameters that may have a step size of their own, trainer.lr_KIND; the other weights
have optimizer.lr.
"""


def parameter_groups(
    network: Network,
    lr: float | None = None,
    steps: Mapping[str, float | None] | None = None,
    frozen: Collection[str] = (),
) -> list[dict[str, Any]]:
    """The parameters of a network in groups, those of learned time constants without weight decay,
    and without those of `frozen` populations. A group whose step size differs from the optimizer's
    `lr` has `factor`, the ratio of the two; `steps`: KIND -> step size.

    Raises ValueError for a kind of which the network has no parameter, and for an optimizer without
    lr.
    """
    kinds = dict.fromkeys(network.parameters(), "")
    for projection in network.projections:
        if projection.target == network.readout.name:
            kinds[projection.weight] = "readout"
        elif projection.recurrent:
            kinds[projection.weight] = "recurrent"
    kinds |= {p: "norm" for norm in network.norms.values() for p in norm.parameters()}
    kinds |= dict.fromkeys(network.leaks.values(), "tau")
    for name in frozen:
        parts = [
            *network.afferents(name),
            *(norm for at, norm in network.norms.items() if at == name),
        ]
        own = [p for part in parts for p in part.parameters()]
        for p in [*own, *(each[name] for each in (network.leaks, network.biases) if name in each)]:
            del kinds[p]
    given = {kind: step for kind, step in (steps or {}).items() if step is not None}
    for kind, step in given.items():
        if lr is None:
            raise ValueError(f"trainer.lr_{kind} = {step:g}: this optimizer has no step size lr")
        if kind not in kinds.values():
            raise ValueError(f"trainer.lr_{kind} = {step:g}: {LACKING[kind]}; leave it out")
    members_of: dict[tuple[bool, float], list[Any]] = {}
    for p, kind in kinds.items():
        factor = given[kind] / lr if kind in given and lr else 1.0
        members_of.setdefault((kind == "tau", factor), []).append(p)
    return [
        {
            "params": members,
            **({"weight_decay": 0.0} if tau else {}),
            **({} if factor == 1 else {"factor": factor}),
        }
        for (tau, factor), members in members_of.items()
    ]


def relative_to(optimizer: Optimizer, network: Network, initial: Network) -> None:
    """Give each weight of `network` a step size in units of the root mean square of its `initial`
    values, so that a step of lr changes weights of any size by the same share; those that are all 0
    keep it.
    """
    sizes = {
        own.weight: float(first.weight.detach().double().square().mean().sqrt()) or 1.0
        for own, first in zip(network.projections, initial.projections)
    }
    for group in optimizer.param_groups[:]:
        alone = [p for p in group["params"] if p in sizes]
        group["params"] = [p for p in group["params"] if p not in sizes]
        for p in alone:
            factor = group.get("factor", 1.0) * sizes[p]
            optimizer.param_groups.append({**group, "params": [p], "factor": factor})
    optimizer.param_groups[:] = [group for group in optimizer.param_groups if group["params"]]
