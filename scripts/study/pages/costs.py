"""What the budgets of experiments cost, in the head of each in conf/experiment."""

from __future__ import annotations

import re
from pathlib import Path

from fdi.cli.cells import Cell, compose_cells
from fdi.cli.cost import measured
from fdi.cli.run import parse
from fdi.cli.terminal import duration

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
    known, hours = measured(cells)
    if known == len(cells):
        laptop = f"about {duration(3600 * hours / 2)} on 2 cores"
        cost = f"{laptop if budget == 'laptop' else f'{hours:.2g} core-hours'} (measured)"
    return f"# {budget}: {len(cells)} cells, {cost}"
