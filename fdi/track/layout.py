"""Where a run keeps what: results/runs/<dataset>/<model>/<init>/seed=<n>-<id>/, the names of its
files, and the states it can be in.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fdi.config.identity import run_name

if TYPE_CHECKING:
    from omegaconf import DictConfig

RUNS, SWEEPS = "runs", "sweeps"  # folders below results: the runs, the plans of sweeps

CONFIG, OVERRIDES = ".hydra/config.yaml", ".hydra/overrides.yaml"
RECORD, STATUS, PROBE, METRICS = "record.json", "status.json", "init.json", "metrics.csv"
CHECKPOINT, RESULT = "checkpoint/last.pt", "result.json"
LOG, OUTPUT = "run.log", "output.log"  # traceback of a failure; what a cell prints beside others
LOCK, RESERVE = ".lock", ".reserve"

STATES = ("done", "probed", "running", "failed", "interrupted", "missing", "broken")
STOPPED = ("failed", "interrupted", "broken")  # the same command goes on with them

_RUN = re.compile(r"seed=([0-9]+)-(\w+)")


def run_directory(config: DictConfig | Mapping[str, Any]) -> Path:
    """Where a run keeps its files."""
    return Path(config["paths"]["results"]) / RUNS / run_name(config)


def directories(results: Path) -> Iterator[tuple[str, ...]]:
    """(path, dataset, model, init, seed, id) of each run, in alphabetical order. Raises ValueError
    where `results` is not a folder.
    """
    if results.exists() and not results.is_dir():
        raise ValueError(f"{results} is not a folder; it must be one with {RUNS}/ in it")
    for dataset in _folders(results / RUNS):
        for model in _folders(dataset.path):
            for init in _folders(model.path):
                for run in _folders(init.path):
                    if name := _RUN.fullmatch(run.name):
                        yield run.path, dataset.name, model.name, init.name, *name.groups()


def _folders(path: str | Path) -> list[os.DirEntry[str]]:
    """The folders in `path`; none where it cannot be read."""
    try:
        with os.scandir(path) as entries:
            return sorted(filter(_is_folder, entries), key=lambda entry: entry.name)
    except OSError:
        return []


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False
