"""What a sweep is about to run, for `fdi-status`: it can tell what is missing only of what somebody
asked for.
"""

from __future__ import annotations

import hashlib
import os
import shlex
from argparse import Namespace
from pathlib import Path

from fdi.cli.cells import Cell
from fdi.track.files import write_json
from fdi.track.layout import SWEEPS


def write_plan(arguments: Namespace, cells: list[Cell]) -> Path:
    """results/sweeps/<experiment>-<id>.json: the command, and the overrides of each cell by its
    directory below results.

    The same cells make the same file.
    """
    results, experiment = cells[0].config.paths.results, cells[0].config.name.experiment
    folder = arguments.config_dir
    options = ["--config-dir", folder] if folder else []
    planned = {os.path.relpath(cell.directory, results): cell.overrides for cell in cells}
    name = hashlib.sha256("\n".join(sorted(planned)).encode()).hexdigest()[:8]
    path = Path(results) / SWEEPS / f"{experiment or 'sweep'}-{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(
        path,
        {
            "command": shlex.join(["fdi-run", "-m", *options, *arguments.overrides]),
            "experiment": experiment,
            "cells": planned,
        },
    )
    return path
