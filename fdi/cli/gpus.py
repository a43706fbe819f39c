"""How the cells of a sweep or a search share the GPUs of this machine: each process of a cell takes
the first that is free, when it has its first cell, and keeps it until it ends.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Collection
from functools import cache
from pathlib import Path
from typing import IO, NamedTuple

from omegaconf import DictConfig

from fdi.config import devices


class Gpus(NamedTuple):
    """What a sweep shares: its process, how many cards, processes on each, and what
    CUDA_VISIBLE_DEVICES was where the command was given.
    """

    sweep: int
    cards: int
    each: int
    visible: str | None

    def take(self) -> str:
        """The device of this process, cuda:0 or another."""
        if self.visible is None:  # submitit counts from 0, whatever is visible
            os.environ.pop("CUDA_VISIBLE_DEVICES", None)
        else:
            os.environ["CUDA_VISIBLE_DEVICES"] = self.visible
        gpu, _ = _taken(self.sweep, self.cards, self.each)
        return f"cuda:{gpu}"

    def end(self) -> None:
        shutil.rmtree(_folder(self.sweep), ignore_errors=True)


def share(used: Collection[str], launcher: DictConfig) -> Gpus | None:
    """What cells on the devices `used` share beside each other on this machine, None if they need
    no GPU or have one by other means; `launcher` learns how many may start at once.

    Raises ValueError for a launcher that would give them no GPU, and for cells_per_gpu where it
    says nothing.
    """
    each = launcher.pop("cells_per_gpu") if "cells_per_gpu" in launcher else 1
    wanted = "cuda" in used
    if wanted:
        _refuse_none(launcher)
    here = "n_jobs" in launcher or launcher._target_.endswith(".LocalLauncher")
    count = devices.gpus() if wanted and here else 0
    if each > 1 and not count:
        raise ValueError(
            f"hydra.launcher.cells_per_gpu = {each}: no cell of this sweep shares a GPU; give "
            f"device=cuda on a machine with one, or leave it out"
        )
    if each > 1 and launcher.n_jobs > 0:
        raise ValueError(
            f"hydra.launcher.cells_per_gpu = {each}: hydra.launcher.n_jobs = {launcher.n_jobs} "
            f"says already how many cells run at once; leave out one of them"
        )
    if not count:
        return None
    if "n_jobs" not in launcher:
        launcher.gpus_per_node = count  # all are visible
    elif launcher.n_jobs < 0:
        launcher.n_jobs = count * each
    else:
        each = -(-launcher.n_jobs // count)
    return Gpus(os.getpid(), count, each, os.environ.get("CUDA_VISIBLE_DEVICES"))


def _refuse_none(launcher: DictConfig) -> None:
    """ValueError for a launcher of other machines that asks for no GPU."""
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


def _folder(sweep: int) -> Path:
    return Path(tempfile.gettempdir()) / f"fdi-gpus-{os.getuid()}-{sweep}"


@cache
def _taken(sweep: int, count: int, each: int) -> tuple[int, IO[str]]:
    """A GPU of this process, and the file whose lock the system releases however it ends."""
    folder = _folder(sweep)
    folder.mkdir(mode=0o700, exist_ok=True)
    while True:
        for place in range(each):
            for gpu in range(count):
                file = (folder / f"{gpu}-{place}").open("w")
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    return gpu, file
                except BlockingIOError:
                    file.close()
        time.sleep(0.1)
