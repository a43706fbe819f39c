"""How a run is trained: its optimizer, schedule, phases and mirror, as the config says."""

from __future__ import annotations

import inspect
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig

from fdi.config.hydra_node import contents
from fdi.data.dataset import Dataset
from fdi.runner.build import made, untried
from fdi.snn.network import Network
from fdi.snn.objective import LowerBound, UpperBound
from fdi.train.homeostasis import Phase, phases
from fdi.train.optimizers import fuse
from fdi.train.schedule import Schedule


def optimizer(config: DictConfig, net: Network) -> torch.optim.Optimizer:
    """The optimizer of all that is trained. One that asks for the loss several times a step is
    refused.
    """
    if config.optimizer.get("precision") == "float64" and untried(config):
        raise ValueError(
            f"optimizer.precision=float64 does not run on device={config.device}; use device=cpu"
        )
    chosen = made(config, "optimizer", _groups(net))
    closure = inspect.signature(chosen.step).parameters.get("closure")
    if closure is not None and closure.default is closure.empty:
        raise ValueError(
            f"optimizer._target_ = {config.optimizer._target_} asks for the loss several times a "
            f"step; choose one that takes gradients alone"
        )
    return fuse(chosen)


def _groups(net: Network) -> Any:
    """The parameters. Learned time constants are a group of their own without weight decay."""
    if not net.leaks:
        return net.parameters()
    others = [p for name, p in net.named_parameters() if not name.startswith("leaks.")]
    return [{"params": others}, {"params": list(net.leaks.values()), "weight_decay": 0.0}]


def check_batches(config: DictConfig, net: Network, data: Dataset) -> None:
    """Raises ValueError where the last batch of an epoch is too small for the statistics of a
    normalization.
    """
    last = len(data.train) % config.trainer.batch_size or config.trainer.batch_size
    for norm in net.norms.values():
        norm.check(last)


def schedule(config: DictConfig, net: Network, data: Dataset) -> Schedule | None:
    """The schedule of the learning rate, or None. It is first tried on another optimizer, so that
    what torch refuses is refused before training.
    """
    if config.scheduler is None:
        return None
    target = config.scheduler._target_
    epoch = {}
    if target == "torch.optim.lr_scheduler.OneCycleLR" and not config.scheduler.get("total_steps"):
        epoch = {"steps_per_epoch": -(-len(data.train) // config.trainer.batch_size)}
    make = partial(made, config, "scheduler", **epoch)
    try:
        make(optimizer(config, net))
    except (TypeError, ValueError) as error:
        raise ValueError(f"scheduler._target_ = {target}: {error}") from None
    return Schedule(make)


def training_phases(config: DictConfig, data: Dataset) -> list[Phase]:
    """The phases of training. Bounds are rates in Hz; a trial has rate x duration spikes."""
    patience = config.trainer.patience
    if patience is not None and not len(data.valid):
        raise ValueError(
            f"trainer.patience = {patience} waits for a better validation accuracy, and there is "
            f"no validation split; hold samples out with dataset.valid, or set "
            f"trainer.patience=null"
        )
    bounds, duration = config.homeostasis, data.steps * data.dt
    upper, lower = bounds.upper, bounds.lower
    return phases(
        epochs=config.trainer.epochs,
        readout=config.trainer.readout,
        upper=UpperBound(upper.strength, upper.rate * duration) if upper.strength else None,
        lower=LowerBound(lower.strength, lower.rate * duration) if lower.strength else None,
        prime_epochs=bounds.prime_epochs,
        joint=bounds.joint,
        patience=patience,
        stop_at_loss=config.trainer.stop_at_loss,
        label_smoothing=config.trainer.label_smoothing or 0.0,
    )


def mirror(config: DictConfig, directory: Path, epoch: int) -> AbstractContextManager[Any]:
    """Where the learning curves go besides metrics.csv, an open mirror of fdi.track or None;
    `epoch`: the last one it has.
    """
    if config.logger.mirror is None:
        return nullcontext()
    return made(config, "logger.mirror", contents(config, resolve=False), directory, epoch)
