"""A sweep: runs what is left of its cells, and says what became of all of them."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping
from functools import cache, partial
from typing import Any

from fdi.cli.budget import announce
from fdi.cli.cells import Cell
from fdi.cli.launch import launch
from fdi.cli.leftovers import abandoned, leave_nothing
from fdi.cli.plan import drop_plan, write_plan
from fdi.cli.summary import print_summary
from fdi.cli.task import FAILED, check_done, complain, interrupted, run_cell
from fdi.cli.watch import watching
from fdi.track.origin import fingerprint
from fdi.track.state import finished, progress


def run_sweep(arguments: Namespace, cells: list[Cell]) -> int:
    """Run the cells that are not finished, and say what became of all of them; returns the exit
    code.
    """
    before = [cell for cell in cells if finished(cell.directory, cell.values["probe"])]
    new = [cell for cell in cells if not cell.directory.exists()]
    fingerprints = cache(lambda texts: fingerprint(dict(texts)))
    for cell in before:
        check_done(cell.config, cell.directory, lambda dataset: fingerprints(_texts(dataset)))
    if before:
        print(f"{len(before)} of {len(cells)} already done, skipped")
    code = 0
    try:
        if len(before) < len(cells):
            announce(arguments, cells, [cell for cell in cells if cell not in before])
            _launch(arguments, cells)
    except KeyboardInterrupt:
        code = interrupted()
    except ValueError:  # of Hydra, which has made folders
        for cell in filter(abandoned, new):
            leave_nothing(cell)
        drop_plan(cells)
        raise
    unfinished = print_summary(cells)
    for cell in new:
        if progress(cell.directory).get("refused") or (code and abandoned(cell)):
            leave_nothing(cell)
    return code or (FAILED if unfinished else 0)


def _texts(values: Mapping[str, Any]) -> frozenset[tuple[str, str]]:
    return frozenset((key, value) for key, value in values.items() if isinstance(value, str))


def _launch(arguments: Namespace, cells: list[Cell]) -> None:
    """Launch what is left, and again where a launcher gives up because it lost a worker: as long as
    that brings some cell further, and once where it does not.
    """
    before, again = None, True
    while left := [cell for cell in cells if not finished(cell.directory, cell.values["probe"])]:
        states = [progress(cell.directory) for cell in left]
        now = [
            (cell.directory, status["state"], status.get("epoch"))
            for cell, status in zip(left, states)
        ]
        if now == before and not again:
            return
        again = now != before
        if before:
            print("starting the remaining cells again", flush=True)
        before = now
        try:
            with watching(cells, left):
                launch(arguments, left, run_cell, partial(write_plan, arguments, cells))
                return
        except ValueError:
            raise
        except Exception as error:
            complain(f"{type(error).__name__}: {str(error).partition('. ')[0]}", FAILED)
