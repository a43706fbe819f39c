"""fdi, with its fast engine and with its reference engine."""

from __future__ import annotations

import numpy as np
import torch

from benchmark.workloads import Step, network
from fdi.data.inputs import Events
from fdi.engine.cpu import CpuEngine
from fdi.engine.reference import ReferenceEngine
from fdi.snn.objective import Objective
from fdi.train.optimizers import fuse


def fdi(
    work: dict, x: Events, labels: np.ndarray, engine: CpuEngine | ReferenceEngine | None = None
) -> Step:
    net = network(work).to(torch.get_default_device())
    engine, objective = engine or _cpu(), Objective()
    optimizer = fuse(torch.optim.Adam(net.parameters(), 1e-4))

    def step() -> float:
        outcome = engine.step(net, x, labels, objective)
        optimizer.step()
        net.constrain()
        return outcome.task / outcome.samples

    return step


def _cpu() -> CpuEngine:
    """As in a run of fdi: the threads are the engine's, and torch has one."""
    engine = CpuEngine()
    torch.set_num_threads(1)
    return engine


def reference(work: dict, x: Events, labels: np.ndarray) -> Step:
    return fdi(work, x, labels, ReferenceEngine())
