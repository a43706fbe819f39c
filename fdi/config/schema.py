"""All keys of a run that are fixed: their types, least values and choices."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING

READOUT_INITS = {
    "normal": "fdi.init.baselines.Kaiming",
    "fluct": "fdi.init.fluct.Fluct",
    "xavier": "fdi.init.baselines.Xavier",
    "pytorch": "fdi.init.baselines.PyTorch",
    "orthogonal": "fdi.init.baselines.Orthogonal",
}
"""With its default values; normal is W ~ N(0, 1 / fan_in), the gain of 1 of init=kaiming."""


def _number(least: float) -> Any:
    return field(default=MISSING, metadata={"least": least})


def _one_of(*choices: str) -> Any:
    return field(default=MISSING, metadata={"choices": choices})


@dataclass
class Bound:
    strength: float = _number(0)
    rate: float = _number(0)


@dataclass
class Homeostasis:
    joint: bool = MISSING
    prime_epochs: int = _number(0)
    upper: Bound = field(default_factory=Bound)
    lower: Bound = field(default_factory=Bound)


@dataclass
class Trainer:
    epochs: int = _number(1)
    batch_size: int = _number(1)
    readout: str = _one_of("max", "mean", "last")
    patience: int | None = _number(1)
    stop_at_loss: float | None = _number(0)
    clip: float | None = _number(0)
    label_smoothing: float | None = _number(0)


@dataclass
class EngineOptions:
    name: str = _one_of("auto", "cpu", "cuda", "reference")
    checkpoint: str = _one_of("none", "auto")
    memory: float | None = _number(0)
    kernels: str = _one_of("auto", "on", "off")


@dataclass
class Logger:
    mirror: Any = MISSING


@dataclass
class Paths:
    results: str = MISSING
    data: str = MISSING
    modules: list[str] = MISSING


@dataclass
class Name:
    dataset: str = MISSING
    model: str = MISSING
    init: str = MISSING
    experiment: str | None = MISSING


@dataclass
class Identity:
    exclude: list[str] = MISSING


@dataclass
class Config:
    """All keys of a run. `dataset`, `model`, `neuron`, `init` and `optimizer` hold a `_target_` and
    its keyword arguments; `scheduler` does, or is None.
    """

    name: Name = field(default_factory=Name)
    dataset: Any = MISSING
    model: Any = MISSING
    neuron: Any = MISSING
    init: Any = MISSING
    optimizer: Any = MISSING
    scheduler: Any = MISSING
    homeostasis: Homeostasis = field(default_factory=Homeostasis)
    trainer: Trainer = field(default_factory=Trainer)
    engine: EngineOptions = field(default_factory=EngineOptions)
    logger: Logger = field(default_factory=Logger)
    paths: Paths = field(default_factory=Paths)
    identity: Identity = field(default_factory=Identity)
    seed: int = _number(0)
    readout_init: str = _one_of("same", *READOUT_INITS)
    device: str = _one_of("cpu", "cuda", "mps", "xpu", "auto")
    threads: int | None = _number(1)
    probe: str = _one_of("before", "only", "none")
    dry_run: bool = MISSING


ConfigStore.instance().store(name="schema", node=Config)
