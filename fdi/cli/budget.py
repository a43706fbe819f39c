"""What a large sweep costs, said before it starts, and the smaller edition of its experiment."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from copy import copy
from pathlib import Path

from fdi.cli.cells import Cell, compose_cells
from fdi.cli.cost import estimate, measured

LARGE = 1.0  # core-hours
SMALLER = "budget=laptop"


def announce(arguments: Namespace, cells: Sequence[Cell], left: Sequence[Cell]) -> None:
    """Print the cost of the cells that are `left` where it is high, and see `offer_smaller`."""
    if measured(left)[1] >= LARGE:
        print(f"to run: {estimate(left)}", flush=True)
        offer_smaller(arguments, cells)


def offer_smaller(arguments: Namespace, cells: Sequence[Cell]) -> None:
    """Print what the experiment's edition for a laptop costs, if it has one and no budget was
    chosen.
    """
    given = any(word.startswith("budget=") for word in arguments.overrides)
    if not given and has_smaller(cells[0].values["name"]["experiment"]):
        other = copy(arguments)
        other.overrides = [*arguments.overrides, SMALLER]
        print(f"{SMALLER}: {estimate(compose_cells(other))}", flush=True)


def has_smaller(experiment: str | None) -> bool:
    """Whether the experiment has an edition for a laptop."""
    import fdi.conf

    folder = Path(fdi.conf.__path__[0]) / "experiment"
    return bool(experiment) and (folder / str(experiment) / "laptop.yaml").exists()
