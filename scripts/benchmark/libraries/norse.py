"""Norse: modules over whole sequences."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from benchmark.libraries.tools import TorchLearner, in_one, weights
from benchmark.workloads import DT, SLOPE, TAU_MEM, TAU_SYN


def build(work: dict) -> TorchLearner:
    import norse.torch as nt

    maps = nn.ModuleList(weights(work))
    constants = dict(tau_syn_inv=torch.tensor(1 / TAU_SYN), tau_mem_inv=torch.tensor(1 / TAU_MEM))
    p = nt.LIFParameters(alpha=torch.tensor(SLOPE), **constants)
    recurrent = work.get("recurrent")
    cells = nn.ModuleList(
        nt.LIFRecurrent(work["shape"][0], n, p, dt=DT) if recurrent else nt.LIF(p, dt=DT)
        for n in work["sizes"]
    )
    duration = torch.tensor(1 / (work["steps"] * DT))
    integrator = nt.LI(
        nt.LIParameters(tau_syn_inv=constants["tau_syn_inv"], tau_mem_inv=duration), dt=DT
    )
    if recurrent:
        cells[0].input_weights = nn.Parameter(maps[0].weight.detach().clone())

    def forward(s: Tensor) -> Tensor:
        for i, cell in enumerate(cells):
            s, _ = cell(s if recurrent else in_one(maps[i], s))
            s = in_one(lambda y: nn.functional.max_pool2d(y, 2), s) if s.ndim == 5 else s
        return integrator(maps[-1](s.flatten(2)))[0]

    return TorchLearner(work, nn.ModuleList([maps, cells]), forward)
