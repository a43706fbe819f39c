"""What was asked for below results/: the sweeps and single runs, and their cells."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fdi.track.files import parse_json
from fdi.track.layout import SWEEPS, directories

ALONE = "single runs"


@dataclass(frozen=True)
class Group:
    """The cells that one command asked for: its experiment, and the overrides of each cell by its
    directory; None: not known.
    """

    title: str
    command: str | None
    cells: dict[str, list[str] | None]


def read_plans(results: Path) -> tuple[list[Group], list[str]]:
    """The sweeps that were started, and a line for each plan that cannot be read."""
    found, broken = [], []
    for path in sorted((results / SWEEPS).glob("*.json")):
        try:
            found.append(_group(results, parse_json(path)))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            broken.append(str(error) if str(path) in str(error) else f"{path}: not a plan")
    return found, broken


def groups(results: Path, plans: list[Group]) -> list[Group]:
    """The sweeps, by experiment, and last the runs that belong to none."""
    planned = {directory for group in plans for directory in group.cells}
    alone = dict.fromkeys(path for path, *_ in directories(results) if path not in planned)
    return [*plans, Group(ALONE, None, alone)] if alone else plans


def _group(results: Path, plan: Any) -> Group:
    title, line, cells = plan["experiment"] or "sweep", plan["command"], plan["cells"]
    words = [title, line, *(word for words in cells.values() for word in words)]
    if not all(isinstance(word, str) for word in words):
        raise TypeError
    return Group(title, line, {str(results / path): list(words) for path, words in cells.items()})
