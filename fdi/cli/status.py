"""`fdi-status`: how far the sweeps and single runs below results/ are; with --clean it removes what
failed or stopped with nothing to resume.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from fdi.analysis.choice import decisions
from fdi.cli.command import Parser, add_results, command_line
from fdi.cli.terminal import console, print_table
from fdi.config.identity import LABELS
from fdi.config.settings import Config
from fdi.track import plans
from fdi.track.files import CHECKPOINT, METRICS, directories, is_below, printable
from fdi.track.plans import Plan
from fdi.track.process import Busy, lock
from fdi.track.record import SAID, STATES, STOPPED, Run, command, look

if TYPE_CHECKING:
    import pandas as pd

ALONE = "single runs"


def groups(results: Path, known: list[Plan]) -> list[Plan]:
    """The sweeps and, as a last plan without a command, the runs that belong to none."""
    there = [os.path.relpath(path, results) for path, *_ in directories(results)]
    planned = {place for plan in known for place in plan.cells}
    alone: dict[str, list[str]] = {place: [] for place in there if place not in planned}
    return [*known, Plan("", ALONE, alone)] if alone else known


def clean(results: Path, runs: Mapping[str, Run], sure: bool) -> int:
    """Show those of these cells that are `useless`, and remove them if the user is `sure` or says
    so; returns the exit code. A cell that somebody has gone on with meanwhile stays.
    """
    cells = {results / place: run for place, run in runs.items()}
    paths = [path for path, run in cells.items() if useless(path, run) and is_below(results, path)]
    if not paths:
        print("no cells that failed or stopped without a checkpoint")
        return 0
    for path in paths:
        print(stopped_line(path, cells[path]))
    question = f"remove these {len(paths)} folders? [y/N] "
    if not sure and not (sys.stdin.isatty() and input(question).strip().lower() in ("y", "yes")):
        print("nothing removed; --yes removes them without a question")
        return 1
    return _remove(results, paths)


def useless(path: Path, run: Run) -> bool:
    """Failed, or stopped without a checkpoint; or a folder that nothing was ever written to."""
    if run.state not in ("missing", *STOPPED):
        return False
    if run.state == "failed":
        return True
    there = (path / CHECKPOINT).exists()
    if run.state == "missing":
        return path.is_dir() and not there and not (path / METRICS).exists()
    return not there


def stopped_line(path: Path, run: Run) -> str:
    """A line about a cell that is not going on."""
    return printable(f"{run.state}  {path}  {run.reason or 'nothing in it'}")


def _remove(results: Path, paths: Sequence[Path]) -> int:
    removed = 0
    for path in paths:
        if not (path.is_dir() and is_below(results, path)):
            print(printable(f"{path}: gone, or no longer below {results}"))
            continue
        try:
            with lock(path):
                run = look(path)
                if run.state == "running":  # by this lock, and nobody else
                    run = replace(run, state="interrupted")
                if not useless(path, run):
                    print(printable(f"{path} is {run.state} now, so it stays"))
                    continue
                shutil.rmtree(path)
                removed += 1
        except Busy as error:
            print(printable(f"{error}; it stays"))
    print(f"{removed} removed")
    return int(removed < len(paths))


LISTED = 20  # cells that stopped, listed one by one
OWN = {*(field.name for field in fields(Config)), "experiment", "budget", "debug"}
OVERRIDE = re.compile(r"(\+\+?|~)?(?P<key>[A-Za-z_][\w./@-]*)(=(?P<value>.*))?", re.DOTALL)


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
        "--failed",
        action="store_true",
        help="print the commands that run failed and interrupted cells again",
    )
    parser.add_argument(
        "--clean",
        action="store_true",
        help="list the cells that failed or stopped without a checkpoint, and ask whether to "
        "remove them",
    )
    parser.add_argument(
        "--explain",
        nargs="+",
        metavar="RUN",
        help="say which other runs are in one row with this one and why the rest is not, or "
        "compare two; RUN: a folder, or the id at its end",
    )
    parser.add_argument("--yes", action="store_true", help="with --clean: do not ask")
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
    if arguments.failed:
        lines = (line for plan in wanted for line in _again(plan, runs, results))
        for line in dict.fromkeys(lines):
            print(line if line.isprintable() else f"# {line!a}: not a name of fdi's")
    elif arguments.clean:
        return clean(results, runs, arguments.yes)
    else:
        _show(wanted, runs, results)
    return 0


def _again(plan: Plan, runs: Mapping[str, Run], results: Path) -> Iterator[str]:
    """The commands of cells that stopped. Those that were refused would be refused again, and those
    that somebody else wrote may do anything: they are comments.
    """
    for place, planned in plan.cells.items():
        run = runs[place]
        if run.state not in STOPPED:
            continue
        words = planned if plan.command else run.words
        if run.refused:
            yield f"# {printable(f'{results / place}: {run.reason}')}"
        elif strange := next((word for word in words if not _is_own(word, results)), None):
            line = f"{command(words)}: look at {strange} before you run that"
            yield f"# {printable(f'{results / place}: {line}')}"
        else:
            yield command(words)


def _is_own(word: str, results: Path) -> bool:
    """Whether an override sets a key of fdi's own, to a value that is all in it, and leads to no
    code or results elsewhere.
    """
    match = OVERRIDE.fullmatch(word)
    if not match or not word.isprintable():
        return False
    key, value = match["key"], match["value"] or ""
    if re.split("[./@]", key)[0] not in OWN or "${" in value or key in ("paths", "paths.modules"):
        return False
    return key != "paths.results" or Path(value.strip("'\"")).resolve() == results.resolve()


def _show(wanted: list[Plan], runs: Mapping[str, Run], results: Path) -> None:
    out = console()
    for plan in wanted:
        out.print(printable(f"{plan.title}: {plan.command}" if plan.command else plan.title))
        _print_table(out, plan, runs)
    stopped = {results / at: run for at, run in runs.items() if run.state in (*STOPPED, "broken")}
    for path, run in islice(stopped.items(), LISTED):
        out.print(stopped_line(path, run))
    if len(stopped) > LISTED:
        out.print(f"and {len(stopped) - LISTED} more")
    if any(run.state in STOPPED for run in stopped.values()):
        line = "fdi-status --failed prints the commands that run them again"
        if any(useless(path, run) for path, run in stopped.items()):
            line += "; --clean removes those that failed or have no checkpoint"
        out.print(line)


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
