"""Launches a local sweep of cells that do nothing, and prints what its parent grows by with each of
them, in MB: `parent.py RESULTS CELLS JOBS`.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

from fdi.cli.cells import compose_cells, write_plan
from fdi.cli.compose import parse
from fdi.cli.launch import launch

MB = 2**20


def task(*_: object, **__: object) -> int:
    return 0


def resident() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / MB


def main(results: str, count: int, jobs: int) -> None:
    words = ["-m", "hydra/launcher=local", f"hydra.launcher.n_jobs={jobs}"]
    arguments = parse([*words, f"paths.results={results}", f"seed=range({count})"])
    cells = compose_cells(arguments)
    launch(arguments, cells[:20], task)  # what it takes whatever the number of cells
    before = resident()
    launch(arguments, cells[20:], task, partial(write_plan, arguments, cells))
    print((resident() - before) / (len(cells) - 20))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
