"""fdi, with its fast engine and with its reference engine."""

from __future__ import annotations

import numpy as np
import torch

from benchmark.libraries.tools import Learner
from benchmark.workloads import LR, network
from fdi.data.inputs import Events
from fdi.engine.cpu import CpuEngine
from fdi.engine.reference import ReferenceEngine
from fdi.snn.objective import Objective
from fdi.train.optimizers import fuse


class Fdi(Learner):
    def __init__(self, work: dict, engine: CpuEngine | ReferenceEngine) -> None:
        self.network, self.engine = network(work).to(torch.get_default_device()), engine
        self.objective = Objective()
        adam = torch.optim.Adam(self.network.parameters(), work.get("lr", LR))
        self.optimizer = fuse(adam)

    def put(self, x: Events, labels: np.ndarray) -> tuple[Events, np.ndarray]:
        return x, labels

    def step(self, batch: tuple[Events, np.ndarray]) -> float:
        outcome = self.engine.step(self.network, *batch, self.objective)
        self.optimizer.step()
        self.network.constrain()
        return outcome.task / outcome.samples

    def correct(self, batch: tuple[Events, np.ndarray]) -> int:
        return int(self.engine.evaluate(self.network, *batch, self.objective).sums[0])


def fdi(work: dict) -> Fdi:
    """As in a run of fdi: the threads are the engine's, and torch has one."""
    engine = CpuEngine()
    torch.set_num_threads(1)
    return Fdi(work, engine)


def reference(work: dict) -> Fdi:
    return Fdi(work, ReferenceEngine())
