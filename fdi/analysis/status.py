"""What was asked for below results/: the sweeps and single runs, and their cells."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fdi.analysis.index import index, stamp
from fdi.config.identity import DIGITS, FORMER_DIGITS
from fdi.track.files import parse_json
from fdi.track.layout import RESULT, SETTLED, STATUS, SWEEPS, directories, is_place
from fdi.track.state import progress

ALONE = "single runs"
STATE = "state"  # kind of entries of the index
SHOWN = ("state", "error", "epoch", "epochs")


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
    plans, broken = [], []
    for path in sorted((results / SWEEPS).glob("*.json")):
        try:
            plans.append(_group(results, parse_json(path)))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            broken.append(str(error) if str(path) in str(error) else f"{path}: not a plan")
    return plans, broken


def groups(results: Path, plans: list[Group]) -> list[Group]:
    """The sweeps, by experiment, and last the runs that belong to none."""
    there = {path for path, *_ in directories(results)}
    plans = [replace(plan, cells=_with_longer_ids(plan.cells, there)) for plan in plans]
    planned = {directory for group in plans for directory in group.cells}
    alone = dict.fromkeys(sorted(there - planned))
    return [*plans, Group(ALONE, None, alone)] if alone else plans


def states(results: Path, paths: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Path -> what is shown of `progress` of a run: state, error, epoch and epochs; from the index
    where its files are as they were, unless somebody may be at work on it.
    """
    known = {}
    with index(results) as kept:
        for path in paths:
            key = stamp(path, (STATUS, RESULT))
            if entry := kept.find(STATE, path, key):
                known[path] = json.loads(entry[0])
                continue
            status = progress(Path(path))
            known[path] = {name: status[name] for name in SHOWN if name in status}
            if status["state"] in SETTLED:
                kept.keep(STATE, path, key, json.dumps(known[path]))
    return known


def _with_longer_ids(cells: dict[str, Any], there: set[str]) -> dict[str, Any]:
    """`cells` that were planned with a short id and have run with a long one since."""
    more = DIGITS - FORMER_DIGITS
    longer = {path[:-more]: path for path in there if len(path.rpartition("-")[2]) == DIGITS}
    return {path if path in there else longer.get(path, path): cells[path] for path in cells}


def _group(results: Path, plan: Any) -> Group:
    title, line, cells = plan["experiment"] or "sweep", plan["command"], plan["cells"]
    words = [title, line, *(word for words in cells.values() for word in words)]
    if not (all(isinstance(word, str) for word in words) and all(map(is_place, cells))):
        raise TypeError
    return Group(title, line, {str(results / path): list(words) for path, words in cells.items()})
