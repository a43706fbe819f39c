"""What a sweep is about to run, for `fdi-status`: it can tell what is missing only of what somebody
asked for.
"""

from __future__ import annotations

import hashlib
import os
import shlex
from argparse import Namespace
from contextlib import suppress
from pathlib import Path

from fdi.cli.cells import Cell
from fdi.track.files import write_json
from fdi.track.layout import SWEEPS


def write_plan(arguments: Namespace, cells: list[Cell]) -> None:
    """results/sweeps/<experiment>-<id>.json: the command, and the overrides of each cell by its
    directory below results.

    The same cells make the same file.
    """
    folder = arguments.config_dir
    options = ["--config-dir", folder] if folder else []
    path = _path(cells)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(
        path,
        {
            "command": shlex.join(["fdi-run", "-m", *options, *arguments.overrides]),
            "experiment": cells[0].values["name"]["experiment"],
            "cells": {_place(cell): cell.overrides for cell in cells},
        },
    )


def drop_plan(cells: list[Cell]) -> None:
    """Remove the plan of cells of which none has begun, and folders that are empty then."""
    path = _path(cells)
    if any(cell.directory.exists() for cell in cells):
        return
    path.unlink(missing_ok=True)
    with suppress(OSError):  # not empty
        path.parent.rmdir()
        path.parent.parent.rmdir()


def _path(cells: list[Cell]) -> Path:
    experiment = cells[0].values["name"]["experiment"]
    name = hashlib.sha256("\n".join(sorted(map(_place, cells))).encode()).hexdigest()[:8]
    return (
        Path(cells[0].values["paths"]["results"]) / SWEEPS / f"{experiment or 'sweep'}-{name}.json"
    )


def _place(cell: Cell) -> str:
    return os.path.relpath(cell.directory, cell.values["paths"]["results"])
