"""How much memory of a GPU a run needs, by count: its data, and a training step, in how many parts
of the batch. Both come out of one budget, engine.memory; a step comes first.
"""

from __future__ import annotations

import math
from copy import deepcopy

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from fdi.engine.reference.simulation import simulate
from fdi.snn.network import Network

SHARE = 0.8  # of what is free on a GPU; the rest is for workspaces of cuBLAS and cuDNN
_BATCH = 2  # samples of the trial that is counted: a normalization needs two
_MORE = 4  # steps more than a trial has: what is computed at a time


def need(network: Network, steps: int) -> int:
    """Bytes of a training step for one sample: what autograd keeps of a trial on the CPU, beside
    weights, and some steps more.
    """
    network = deepcopy(network).cpu()
    sizes: dict[int, int] = {}

    def noted(x: Tensor) -> Tensor:
        storage = x.untyped_storage()
        sizes[storage.data_ptr()] = storage.nbytes()
        return x

    x = network.projections[0].weight.new_zeros(steps, _BATCH, *network.input_shape)
    with (
        torch.enable_grad(),
        torch.random.fork_rng(devices=()),
        saved_tensors_hooks(noted, lambda x: x),
    ):
        activity = simulate(network, x, learn=True)
    del activity  # which kept all of it alive: no two had the same address
    for weight in network.parameters():
        sizes.pop(weight.untyped_storage().data_ptr(), None)
    of_a_sample = max(sum(sizes.values()), x.nbytes) / _BATCH
    return math.ceil(of_a_sample * (steps + _MORE) / steps)


def usable_memory(memory: float, device: torch.device) -> float:
    """`memory` in GiB, or what SHARE allows if that is less."""
    if device.type != "cuda":
        return memory
    free, _ = torch.cuda.mem_get_info(device)
    return min(memory, SHARE * free / 2**30)
