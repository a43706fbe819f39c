"""`fdi-status`: how far the sweeps and single runs below results/ are."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from fdi.analysis.choice import decisions
from fdi.cli.command import Parser, add_results, command_line
from fdi.cli.terminal import console, print_table
from fdi.config.identity import LABELS
from fdi.track import plans
from fdi.track.files import directories, printable
from fdi.track.plans import Plan
from fdi.track.record import SAID, STATES, STOPPED, Run, look

if TYPE_CHECKING:
    import pandas as pd

ALONE = "single runs"


def groups(results: Path, known: list[Plan]) -> list[Plan]:
    """The sweeps and, as a last plan without a command, the runs that belong to none."""
    there = [os.path.relpath(path, results) for path, *_ in directories(results)]
    planned = {place for plan in known for place in plan.cells}
    alone: dict[str, list[str]] = {place: [] for place in there if place not in planned}
    return [*known, Plan("", ALONE, alone)] if alone else known


LISTED = 20  # cells that stopped, listed one by one


@command_line("fdi-status")
def main(argv: Sequence[str] | None = None) -> int:
    """The console command; its exit code."""
    parser = Parser(
        "fdi-status",
        description="Shows how many cells of each sweep are done, running, failed, interrupted or "
        "not run yet.",
    )
    parser.add_argument(
        "experiments",
        nargs="*",
        metavar="experiment",
        help="show only these (default: all sweeps and single runs)",
    )
    add_results(parser)
    parser.add_argument(
        "--explain",
        nargs="+",
        metavar="RUN",
        help="say which other runs are in one row with this one and why the rest is not, or "
        "compare two; RUN: a folder, or the id at its end",
    )
    arguments = parser.parse_args(argv)
    results = arguments.results
    if arguments.explain:
        return explain(results, arguments.explain)
    known, broken = plans.read(results)
    wanted = [
        plan
        for plan in groups(results, known)
        if not arguments.experiments or plan.title in arguments.experiments
    ]
    decisions(results)  # a line for what is none
    for line in broken:
        print(f"broken: {printable(line)}", file=sys.stderr)
    if not wanted:
        what = " ".join(arguments.experiments) or "runs"
        raise ValueError(f"no {what} in {results}; fdi-run -m experiment=quickstart makes some")
    places = dict.fromkeys(place for plan in wanted for place in plan.cells)
    runs = {place: look(results / place) for place in places}
    _show(wanted, runs, results)
    return 0


def _show(wanted: list[Plan], runs: Mapping[str, Run], results: Path) -> None:
    out = console()
    for plan in wanted:
        out.print(printable(f"{plan.title}: {plan.command}" if plan.command else plan.title))
        _print_table(out, plan, runs)
    stopped = {results / at: run for at, run in runs.items() if run.state in (*STOPPED, "broken")}
    for path, run in islice(stopped.items(), LISTED):
        out.print(printable(f"{run.state}  {path}  {run.reason}"))
    if len(stopped) > LISTED:
        out.print(f"and {len(stopped) - LISTED} more")
    if any(run.state in STOPPED for run in stopped.values()):
        out.print("the same command goes on with them; to give one up, delete its folder")


def _print_table(out: Console, plan: Plan, runs: Mapping[str, Run]) -> None:
    """A row per data set, model and init; columns of states that no cell of the plan is in are
    left out.
    """
    counts: dict[tuple[str, ...], Counter[str]] = {}
    for place in plan.cells:
        counts.setdefault(Path(place).parts[-4:-1], Counter())[runs[place].state] += 1
    total = sum(counts.values(), Counter())
    rows = list(counts.items())
    if len(rows) > 1:
        rows.append((("all", "", ""), total))
    columns = {name: [printable(labels[i]) for labels, _ in rows] for i, name in enumerate(LABELS)}
    columns["cells"] = [str(row.total()) for _, row in rows]
    for state in STATES:
        if total[state]:
            columns[SAID.get(state, state)] = [str(row[state] or "") for _, row in rows]
    print_table(out, columns, LABELS)


def explain(results: Path, names: Sequence[str]) -> int:
    """Print which runs share a row with the first of `names` and what keeps the others of its data
    set, model and initialization apart, or the same of two runs alone; returns the exit code.
    Raises ValueError for names that are those of no run, or of several.
    """
    from fdi.analysis.collect import SHARED, config_columns, runs  # pandas: only here

    table = runs(results)
    columns = sorted(config_columns(table), key=lambda name: name not in SHARED)
    if len(names) > 2:
        raise ValueError(f"--explain compares one run with all others, or two; got {len(names)}")
    mine, *given = (_named(table, name) for name in names)
    near = (table[[*LABELS]] == mine[[*LABELS]]).all(axis=1) & (table["path"] != mine["path"])
    others = given or [row for _, row in table[near].iterrows()]
    reasons: dict[str, list[str]] = {}
    for other in others:
        reasons.setdefault(_why(mine, other, columns), []).append(other["path"])
    print(printable(f"{mine['path']}:"))
    if not reasons:
        print("no other run of this data set, model and initialization")
    for reason, paths in sorted(reasons.items(), key=lambda item: -len(item[1])):
        rest = f" and {len(paths) - 3} more" if len(paths) > 3 else ""
        print(printable(f"{', '.join(Path(path).name for path in paths[:3])}{rest}: {reason}"))
    return 0


def _named(table: pd.DataFrame, name: str) -> pd.Series:
    """The run with this folder or id."""
    ends = name.rstrip("/")
    found = table[(table["path"] == ends) | (table["id"] == ends)]
    if found.empty:
        found = table[[str(path).endswith(f"/{ends}") for path in table["path"]]]
    if len(found) != 1:
        what = "no run" if found.empty else f"{len(found)} runs, of which one must be named whole"
        raise ValueError(f"{name}: {what}; fdi-table --csv lists the folders of all")
    return found.iloc[0]


def _why(one: pd.Series, other: pd.Series, columns: Sequence[str]) -> str:
    """Whether two runs share a row or are a pair, and what keeps them apart if they are neither."""
    from fdi.analysis.formats import shown

    broken = next((run for run in (one, other) if run["state"] == "broken"), None)
    if broken is not None:
        return f"broken: {broken['error']}"

    def text(value: Any) -> str:
        return "not recorded" if value is None or value != value else shown(value)

    same_init = one["init"] == other["init"]
    compared = [
        name for name in ("dataset", "model", *columns) if same_init or not name.startswith("init.")
    ]
    apart = [
        f"{name} {text(one[name])}, there {text(other[name])}"
        for name in compared
        if text(one[name]) != text(other[name])
    ]
    if apart:
        return f"apart: {'; '.join(apart)}"
    if one["seed"] != other["seed"]:
        return "in one row" if same_init else "in two rows that are compared, with other seeds"
    if text(one["data_checksum"]) != text(other["data_checksum"]):
        return "no pair: the same seed splits other data"
    return "the same cell twice" if same_init else "a pair"
