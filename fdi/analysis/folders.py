"""Where the runs are: results/runs/<dataset>/<model>/<init>/seed=<n>-<id>."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

RUN = re.compile(r"seed=(\d+)-(\w+)")


def directories(root: Path) -> Iterator[tuple[str, ...]]:
    """(path, dataset, model, init, seed, id) of each run, in alphabetical order."""
    for dataset in _folders(root):
        for model in _folders(dataset.path):
            for init in _folders(model.path):
                for run in _folders(init.path):
                    if name := RUN.fullmatch(run.name):
                        yield run.path, dataset.name, model.name, init.name, *name.groups()


def _folders(path: str | Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(path) as entries:
            return sorted(
                (entry for entry in entries if entry.is_dir()), key=lambda entry: entry.name
            )
    except FileNotFoundError:
        return []
