"""What runs and experiments cost: an epoch, in the file that `dry_run` reads; a budget, in the head
of its experiment in conf/experiment.
"""

from __future__ import annotations

import csv
import re
from pathlib import Path

from fdi.cli.cells import Cell, compose_cells
from fdi.cli.compose import parse
from fdi.cli.cost import measured, write_shipped
from fdi.cli.sweep import duration

EXPERIMENTS = Path("conf/experiment")
REFERENCE = Path("results/reference")
LINE = re.compile(r"^# (laptop|paper): \d+ cells, ([^;\n]*)", re.MULTILINE)


def ship() -> None:
    """Write the costs of the runs in results/reference where `dry_run` finds them."""
    with (REFERENCE / "provenance.csv").open() as file:
        threads = {row["provenance"]: int(row["threads"]) for row in csv.DictReader(file)}
    with (REFERENCE / "runs.csv").open() as file:
        write_shipped(csv.DictReader(file), threads)


def head(experiment: str, text: str) -> str:
    """The text of a file with the number of cells, and the time they take where runs of all their
    kinds were measured: of a laptop's budget on two cores, else in core-hours. Other costs stay as
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
