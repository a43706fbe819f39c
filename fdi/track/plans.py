"""Which runs belong to a sweep: its plan, results/sweeps/<name>.json, says so."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from fdi.track.files import SWEEPS, is_place, parse_json, write_json

SWEEP = "sweep"  # the title of one by hand


@dataclass(frozen=True)
class SweepPlan:
    """The runs that one command asks for: its experiment, and the overrides of each run by its
    folder below results. The same runs make the same plan.
    """

    command: str
    experiment: str | None
    cells: dict[str, list[str]]

    @property
    def name(self) -> str:
        """<experiment>-<id>, the name of its file."""
        runs = "\n".join(sorted(self.cells)).encode()
        return f"{self.experiment or SWEEP}-{hashlib.sha256(runs).hexdigest()[:8]}"

    @property
    def title(self) -> str:
        """The experiment, or the name of a sweep by hand."""
        return self.experiment or self.name


def write_plan(results: Path, plan: SweepPlan) -> None:
    """Write the plan of a sweep."""
    path = results / SWEEPS / f"{plan.name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, asdict(plan))


def read_plans(results: Path) -> tuple[list[SweepPlan], list[str]]:
    """The plans in a folder of results, and a line for each that cannot be read."""
    plans, broken = [], []
    for path in sorted((results / SWEEPS).glob("*.json")):
        try:
            plans.append(_plan(parse_json(path)))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            broken.append(str(error) if str(path) in str(error) else f"{path}: not a plan")
    return plans, broken


def titles(plans: Sequence[SweepPlan]) -> dict[str, list[str]]:
    """The folder of each run below results -> the titles of the sweeps that it belongs to."""
    titles_of: dict[str, list[str]] = {}
    for plan in plans:
        for place in plan.cells:
            known = titles_of.setdefault(place, [])
            known += [plan.title] if plan.title not in known else []
    return titles_of


def _plan(content: Any) -> SweepPlan:
    plan = SweepPlan(**{key: content[key] for key in ("command", "experiment", "cells")})
    texts = [plan.command, plan.experiment or "", *chain.from_iterable(plan.cells.values())]
    if not all(isinstance(text, str) for text in texts) or not all(map(is_place, plan.cells)):
        raise TypeError
    return plan
