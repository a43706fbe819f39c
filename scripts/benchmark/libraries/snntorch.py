"""snnTorch: synaptic cells, step by step."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from benchmark.libraries.tools import TorchLearner, weights
from benchmark.workloads import ALPHA, BETA, SLOPE


def build(work: dict) -> TorchLearner:
    import snntorch as snn

    maps = nn.ModuleList(weights(work))
    options = dict(
        alpha=ALPHA,
        beta=BETA,
        reset_mechanism="zero",
        spike_grad=snn.surrogate.fast_sigmoid(slope=SLOPE),
    )
    if work.get("recurrent"):
        cells = nn.ModuleList(
            snn.RSynaptic(all_to_all=True, linear_features=n, **options) for n in work["sizes"]
        )
    else:
        cells = nn.ModuleList(snn.Synaptic(**options) for _ in work["sizes"])
    slow = math.exp(-1 / work["steps"])
    integrator = snn.Synaptic(alpha=ALPHA, beta=slow, reset_mechanism="none")

    def forward(x_TBN: Tensor) -> Tensor:
        states = [cell.reset_mem() for cell in cells]
        syn, mem, out = *integrator.reset_mem(), []
        for s in x_TBN:
            for i, cell in enumerate(cells):
                states[i] = cell((1 - BETA) * maps[i](s), *states[i])
                states[i], s = (
                    states[i][1:]
                    if len(states[i]) == 3 and not work.get("recurrent")
                    else states[i],
                    states[i][0],
                )
                if s.ndim == 4:
                    s = nn.functional.max_pool2d(s, 2)
            _, syn, mem = integrator((1 - slow) * maps[-1](s.flatten(1)), syn, mem)
            out.append(mem)
        return torch.stack(out)

    return TorchLearner(work, nn.ModuleList([maps, cells]), forward)
