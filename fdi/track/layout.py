"""Where a run keeps what: results/runs/<dataset>/<model>/<init>/seed=<n>-<id>/, the names of its
files, and the states it can be in.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

RUNS, SWEEPS = "runs", "sweeps"  # folders below results: the runs, the plans of sweeps

CONFIG, OVERRIDES = ".hydra/config.yaml", ".hydra/overrides.yaml"
RECORD, STATUS, PROBE, METRICS = "record.json", "status.json", "init.json", "metrics.csv"
CHECKPOINT, RESULT = "checkpoint/last.pt", "result.json"
LOG, OUTPUT = "run.log", "output.log"  # traceback of a failure; what a cell prints beside others
LOCK, RESERVE = ".lock", ".reserve"

STATES = ("done", "probed", "running", "queued", "failed", "interrupted", "missing", "broken")
SAID = {"missing": "not run yet"}  # what a person reads in place of a state
SETTLED = ("done", "probed", "failed")  # whoever is at work
STOPPED = ("failed", "interrupted", "broken")  # the same command goes on with them

_RUN = re.compile(r"seed=([0-9]+)-(\w+)")
_PLACE = re.compile(rf"{RUNS}/[^/]+/[^/]+/[^/]+/{_RUN.pattern}")


def is_place(path: str) -> bool:
    """Whether `path`, below results, is where a run may be: runs/<dataset>/<model>/<init>/
    seed=<n>-<id>, and nothing that leads elsewhere.
    """
    return bool(_PLACE.fullmatch(path)) and not {".", ".."} & set(path.split("/"))


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
