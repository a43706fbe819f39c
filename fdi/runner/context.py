"""What the steps of a run share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from omegaconf import DictConfig

from fdi.data.dataset import Dataset
from fdi.engine import Engine
from fdi.runner.view import View
from fdi.snn.network import Network
from fdi.train.homeostasis import Phase
from fdi.train.schedule import Schedule
from fdi.train.trainer import Trainer


@dataclass(frozen=True)
class RunContext:
    """The objects of one run, as its config says."""

    config: DictConfig
    directory: Path
    view: View
    data: Dataset
    device: torch.device
    network: Network
    engine: Engine
    optimizer: torch.optim.Optimizer
    schedule: Schedule | None
    phases: list[Phase]

    @property
    def trainer(self) -> Trainer:
        trainer = self.config.trainer
        return Trainer(
            self.network,
            self.engine,
            self.optimizer,
            batch_size=trainer.batch_size,
            seed=self.config.seed,
            schedule=self.schedule,
            clip=trainer.clip,
        )
