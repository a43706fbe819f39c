"""torch alone: one product of the sparse input of all steps with the first weights, then a loop."""

from __future__ import annotations

import math
import warnings

import numpy as np
import torch
from torch import Tensor, nn

from benchmark.libraries.stork import Spike
from benchmark.libraries.tools import TorchLearner, weights
from benchmark.workloads import ALPHA, BETA, network
from fdi.data.inputs import Events


class Sparse(TorchLearner):
    """Its input is a matrix in compressed rows, those of a step one after the other."""

    def put(self, x: Events, labels: np.ndarray) -> tuple[Tensor, Tensor]:
        rows = torch.from_numpy(x.dense()).flatten(0, 1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its sparse matrices are "in beta state"
            return rows.to_sparse_csr(), torch.from_numpy(labels)


def build(work: dict) -> Sparse:
    """A fully connected network of one hidden layer."""
    first, last = weights(work)
    own = [nn.Parameter(p.weight.detach().clone()) for p in network(work).projections]
    recurrent = own[1] if work.get("recurrent") else None
    slow = math.exp(-1 / work["steps"])

    def forward(rows: Tensor) -> Tensor:
        drive = torch.sparse.mm(rows, first.weight.T).unflatten(0, (work["steps"], -1))
        u = i = s = torch.zeros_like(drive[0])
        v = j = torch.zeros(len(u), len(last.weight))
        out = []
        for current in drive:
            i = ALPHA * i + (current if recurrent is None else current + s @ recurrent.T)
            u = (BETA * u + (1 - BETA) * i) * (1 - s.detach())
            s = Spike.apply(u - 1)
            j = ALPHA * j + s @ last.weight.T
            v = slow * v + (1 - slow) * j
            out.append(v)
        return torch.stack(out)

    model = nn.ModuleList([first, last])
    if recurrent is not None:
        model.register_parameter("recurrent", recurrent)
    return Sparse(work, model, forward)
