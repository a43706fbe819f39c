"""Hands the cells of a sweep to the launcher that `hydra/launcher` chooses."""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Callable, Collection
from functools import partial
from importlib import import_module
from typing import Any, NamedTuple

from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn
from hydra.experimental.callback import Callback
from hydra.types import HydraContext
from omegaconf import DictConfig, open_dict, read_write

from fdi.cli.cells import Cell, compose_sweep, is_hydras
from fdi.cli.compose import composed, extra_of, source, told
from fdi.cli.cost import cores
from fdi.config.settings import prepare
from fdi.track.process import end_with


def check_gpus(used: Collection[str], launcher: DictConfig) -> None:
    """Cells on the devices `used` need a GPU: a `launcher` of this machine runs them on the same
    one, one at a time unless n_jobs says more. Raises ValueError for one that would give them none.
    """
    if not any(device.startswith("cuda") for device in used):
        return
    if "n_jobs" in launcher:
        launcher.n_jobs = max(1, launcher.n_jobs)
    if launcher._target_.endswith(".LocalLauncher"):
        raise ValueError(
            "hydra/launcher=isolated hides the GPUs from its cells; take hydra/launcher=local"
        )
    if "ray" in launcher and not launcher.ray.remote.get("num_gpus"):
        raise ValueError(
            "hydra.launcher.ray.remote.num_gpus = 0: Ray would hide the GPUs from cells with "
            "device=cuda; give 1, or 0.25 for four cells on one"
        )
    asked = ("gpus_per_node", "gpus_per_task", "gres", "additional_parameters")
    if launcher._target_.endswith(".SlurmLauncher") and not any(map(launcher.get, asked)):
        raise ValueError(
            "hydra.launcher.gpus_per_node = null: the jobs of cells with device=cuda would have no "
            "GPU; give hydra.launcher.gpus_per_node=1"
        )


def launch(
    arguments: Namespace,
    cells: list[Cell],
    task: Callable[..., Any],
    ready: Callable[[], Any] = lambda: None,
) -> None:
    """Run `task` on each of the cells, hydra.sweeper.max_batch_size at a time, once the launcher is
    found and `ready` called; returns when all are through. hydra/launcher=basic, one after another
    here, needs no job of Hydra's, which costs as much as a short run.

    Raises what the launcher raises when it loses a worker, what `task` raises, and ValueError for a
    launcher that cannot start.
    """
    config = compose_sweep(arguments)
    node = config.hydra.launcher
    with read_write(config), open_dict(config):
        check_gpus({cell.values["device"] for cell in cells}, node)
    if node._target_.endswith(".BasicLauncher"):
        ready()
        for cell in cells:
            task(cell.config, cell.overrides, sweep=True)
        return
    here = node._target_.endswith(".LocalLauncher")
    job: Any = partial(_job, os.getcwd(), os.getpid() if here else None, task)
    loader: Any = _Compose(source(arguments), tuple(filter(is_hydras, arguments.overrides)))
    callbacks: Any = _Brief()
    with told(config):
        try:
            context = HydraContext(loader, callbacks)
            launcher: Any = Plugins.instance().instantiate_launcher(context, job, config)
            if "n_jobs" in node:
                import_module("joblib")  # the plugin imports it late
                launcher.joblib |= {"initializer": end_with, "initargs": (os.getpid(),)}
        except (RuntimeError, ModuleNotFoundError):  # its file is here, the plugin or joblib is not
            extra = extra_of(node._target_)
            raise ValueError(f"{node._target_} is not installed{extra}") from None
        ready()
        threads, together = _room(node)
        given = [_with_room(cell, threads) for cell in cells]
        size = config.hydra.sweeper.get("max_batch_size") or together or len(cells)
        for start in range(0, len(cells), size):
            for done in launcher.launch(given[start : start + size], start):
                _ = done.return_value  # raises what went wrong


class _Brief(Callback):
    """Leaves the configurations out of what a launcher returns, 0.15 MB a cell."""

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **_: Any) -> None:
        job_return.cfg = job_return.hydra_cfg = job_return.overrides = None


class _Compose(NamedTuple):
    """What launchers take of Hydra's ConfigLoader: the configuration of a cell, with the words of
    the command that are Hydra's own.
    """

    source: str
    hydras: tuple[str, ...]

    def load_sweep_config(self, master: DictConfig, words: list[str]) -> DictConfig:
        config = composed(self.source, (*self.hydras, *words))
        config.hydra.overrides.task = words
        return config


def _job(folder: str, parent: int | None, task: Callable[..., Any], config: DictConfig) -> Any:
    """`task` on a cell in a process of the launcher's: in the folder of the command, to which its
    paths are relative, and no longer than `parent` lives.
    """
    os.chdir(folder)
    if parent:
        end_with(parent)
    return task(prepare(config), HydraConfig.get().overrides.task, sweep=True)


def _room(launcher: DictConfig) -> tuple[int | None, int | None]:
    """CPU threads of one cell, None where one cell runs at a time; and how many may start together,
    None where the launcher knows: the local executor of submitit starts all that it gets.
    """
    if "n_jobs" in launcher:
        return 1 if launcher.n_jobs < 0 else max(1, cores() // launcher.n_jobs), None
    if "ray" in launcher:
        return max(1, int(launcher.ray.remote.get("num_cpus", 1))), None
    threads = launcher.get("cpus_per_task")
    here = launcher._target_.endswith(".LocalLauncher")
    return threads, max(1, cores() // (threads or 1)) if here else None


def _with_room(cell: Cell, threads: int | None) -> list[str]:
    """Those of a cell, with its `threads` unless they are given, and the device that auto became
    here.
    """
    words = [*cell.overrides]
    if threads is not None and cell.values["threads"] is None:
        words.append(f"threads={threads}")
    if "device=auto" in words:
        words.append(f"device={cell.values['device']}")
    return words
