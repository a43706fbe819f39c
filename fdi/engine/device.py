"""What torch does on the device of a network: no product is rounded to TF32, no sum changes its
order, input is sent without waiting, and the outcome of a batch is waited for once.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from fdi.data.inputs import Constant, Input
from fdi.snn.network import Activity, Network
from fdi.snn.objective import Objective, Outcome

_NUMPY: dict[torch.dtype, type[np.floating]] = {
    torch.float32: np.float32,
    torch.float64: np.float64,
}


def exact() -> None:
    """Full float32 products and convolutions, and deterministic algorithms, for this process."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS adds in one order
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = True, False
    torch.set_deterministic_debug_mode("error")  # imports no compiler
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined] # not in torch's own types


@contextmanager
def any_order() -> Iterator[None]:
    """For sums of small integers, which are exact in any order: a GPU need not sort for them."""
    before = torch.get_deterministic_debug_mode()
    torch.set_deterministic_debug_mode("default")
    try:
        yield
    finally:
        torch.set_deterministic_debug_mode(before)


MOST = 2**28


def send(array: np.ndarray, device: torch.device) -> Tensor:
    """`array` as a tensor on `device`; for a GPU from pinned memory, without waiting for it, unless
    it is more than MOST bytes.
    """
    x = torch.from_numpy(array)
    pinned = device.type == "cuda" and x.nbytes <= MOST
    return (x.pin_memory() if pinned else x).to(device, non_blocking=True)


def dense_input(network: Network, inputs: Input) -> Tensor:
    """The input as a tensor [T, B, *shape], with the device and precision of the network's
    weights.
    """
    weight = network.projections[0].weight
    dtype = _NUMPY[weight.dtype]
    array = inputs.image(dtype)[None] if isinstance(inputs, Constant) else inputs.dense(dtype)
    array = array.reshape(*array.shape[:2], *network.input_shape)
    x = torch.from_numpy(array).to(weight.device)
    return x.expand(inputs.steps, *x.shape[1:])


def score(activity: Activity, labels: np.ndarray, objective: Objective) -> tuple[Tensor, Outcome]:
    """Loss of a batch, to be differentiated, and its outcome."""
    task, judged = objective.judged(activity.readout, targets_like(labels, activity.readout))
    regularizer = objective.regularizer(activity.counts)
    sums = [x.detach().sum(dtype=task.dtype)[None] for x in (task, regularizer)]
    counts = [n.detach().sum(0).flatten() for n in activity.counts.values()]
    outcome = _outcome(activity, torch.cat([*sums, *counts, judged]))
    return (objective.task_weight * task + regularizer).mean(), outcome


def targets_like(labels: np.ndarray, like: Tensor) -> Tensor:
    """The targets as the loss reads them: numbers in the precision of `like`, on its device."""
    kind = _NUMPY[like.dtype] if labels.dtype.kind == "f" else np.int64
    return send(labels.astype(kind, copy=False), like.device)


def _outcome(activity: Activity, numbers: Tensor) -> Outcome:
    """Of what was added up on the device, which is waited for."""
    shapes = {name: n.shape[1:] for name, n in activity.counts.items()}
    sizes = [shape.numel() for shape in shapes.values()]
    sums, named, judged = numbers.cpu().tensor_split([2, 2 + sum(sizes)])
    task, regularizer = sums
    return Outcome(
        samples=activity.readout.shape[1],
        task=float(task),
        regularizer=float(regularizer),
        sums=judged.double().numpy(),
        counts={n: each.view(shapes[n]).numpy() for n, each in zip(shapes, named.split(sizes))},
    )
