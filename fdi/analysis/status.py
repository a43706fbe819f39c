"""What was asked for below results/: the sweeps and single runs, and their cells."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fdi.analysis.folders import directories
from fdi.track.files import SWEEPS, read_json

ALONE = "single runs"


@dataclass(frozen=True)
class Group:
    """The cells that one command asked for: its experiment, and the overrides of each cell by its
    directory; None: not known.
    """

    title: str
    command: str | None
    cells: dict[str, list[str] | None]


def groups(results: Path) -> list[Group]:
    """The sweeps that were started, by experiment, and last the runs that belong to none."""
    plans = [
        plan for path in sorted((results / SWEEPS).glob("*.json")) if (plan := read_json(path))
    ]
    found = [
        Group(
            plan["experiment"] or "sweep",
            plan["command"],
            {str(results / path): words for path, words in plan["cells"].items()},
        )
        for plan in plans
    ]
    planned = {directory for group in found for directory in group.cells}
    alone = {path: None for path, *_ in directories(results / "runs") if path not in planned}
    return [*found, Group(ALONE, None, alone)] if alone else found
