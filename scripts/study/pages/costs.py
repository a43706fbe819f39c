"""What the budgets of experiments cost, in the head of each in conf/experiment."""

from __future__ import annotations

import csv
import re
from itertools import islice
from pathlib import Path
from statistics import median

from fdi.cli.cells import Cell, compose_cells
from fdi.cli.cost import same_cost, total
from fdi.cli.run import parse
from fdi.cli.terminal import duration
from fdi.track.files import METRICS, read
from fdi.track.record import Run, look

SHOWN = 20  # own runs of a data set and model that are read
EXPERIMENTS = Path("conf/experiment")
LINE = re.compile(r"^# (laptop|paper): \d+ cells, ([^;\n]*)", re.MULTILINE)


def head(experiment: str, text: str) -> str:
    """The text of a file with the number of cells, and the time they take where own runs of all
    their kinds are done: of a laptop's budget on two cores, else in core-hours. Other costs stay as
    they are.
    """
    return LINE.sub(lambda line: _line(cells(experiment, line[1]), *line.groups()), text)


def cells(experiment: str, budget: str) -> list[Cell]:
    """Those of the experiment on one core of this machine."""
    words = [f"experiment={experiment}", f"budget={budget}", "device=cpu", "threads=1"]
    return compose_cells(parse(["-m", *words]))


def _line(cells: list[Cell], budget: str, cost: str) -> str:
    known, seconds = total(cells, _measured(cells))
    hours = seconds / 3600
    if known == len(cells):
        laptop = f"about {duration(3600 * hours / 2)} on 2 cores"
        cost = f"{laptop if budget == 'laptop' else f'{hours:.2g} core-hours'} (measured)"
    return f"# {budget}: {len(cells)} cells, {cost}"


def _measured(cells: list[Cell]) -> dict[str, float]:
    """Core-seconds of an epoch of the kinds of own runs in results/runs/<dataset>/<model>: medians
    over runs.
    """
    found: dict[str, list[float]] = {}
    for folder in {cell.directory.parents[1] for cell in cells}:
        for directory in islice(folder.glob("*/seed=*"), SHOWN):
            run = look(directory)
            if run.ended and (cost := _epoch(directory, run)):
                found.setdefault(same_cost(run.config), []).append(cost)
    return {kind: median(costs) for kind, costs in found.items()}


def _epoch(directory: Path, run: Run) -> float | None:
    """Core-seconds of an epoch of a run: the median over those after the first, which may compile
    kernels.
    """
    rows = list(csv.DictReader(read(directory / METRICS).splitlines()))[1:]
    seconds = [float(row["seconds"]) + float(row["seconds_valid"]) for row in rows]
    return median(seconds) * run.origin["threads"] if seconds else None
