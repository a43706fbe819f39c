"""What the chapters of a run share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from omegaconf import DictConfig
from rich.console import Console

from fdi.data.dataset import Dataset
from fdi.snn.engine import Engine
from fdi.snn.network import Network
from fdi.train.homeostasis import Phase


@dataclass(frozen=True)
class RunContext:
    """The objects of one run, as its config says."""

    config: DictConfig
    directory: Path
    console: Console
    data: Dataset
    network: Network
    engine: Engine
    optimizer: torch.optim.Optimizer
    phases: list[Phase]

    def say(self, text: str) -> None:
        """Print a line, as long as it is."""
        self.console.print(text, soft_wrap=True, highlight=False)
