"""What a cell that came to nothing leaves behind."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from fdi.cli.cells import Cell
from fdi.track.layout import METRICS
from fdi.track.lock import holder
from fdi.track.state import finished

ENDING = 3.0  # s, in which the workers of an interrupted sweep are gone


def leave_nothing(cell: Cell) -> None:
    """Remove the folder of a cell that ended before its first epoch, and the folders above that are
    empty then.
    """
    if (cell.directory / METRICS).exists():
        return
    shutil.rmtree(cell.directory, ignore_errors=True)
    results = Path(cell.values["paths"]["results"])
    for folder in cell.directory.parents:
        if not folder.is_relative_to(results) or not folder.is_dir() or any(folder.iterdir()):
            return
        folder.rmdir()


def abandoned(cell: Cell) -> bool:
    """Whether the worker of an interrupted cell left it unfinished; waits for one that is
    ending.
    """
    end = time.monotonic() + ENDING
    while holder(cell.directory) and time.monotonic() < end:
        time.sleep(0.1)
    return not (holder(cell.directory) or finished(cell.directory, cell.values["probe"]))
