"""`fdi-status`: how far the sweeps and single runs below results/ are; with --clean it removes what
failed or stopped with nothing to resume, with --merge it adds the runs of another machine.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from fdi.analysis.index import index, stamp
from fdi.cli.command import add_results, command_line
from fdi.cli.terminal import console, print_table
from fdi.config.settings import Config
from fdi.track.files import (
    CHECKPOINT,
    METRICS,
    OVERRIDES,
    RECORD,
    RESULT,
    SAID,
    SETTLED,
    STATES,
    STATUS,
    STOPPED,
    SWEEPS,
    directories,
    is_below,
    is_place,
    parse_json,
    printable,
)
from fdi.track.state import Busy, command, last_line, lock, overrides, progress

if TYPE_CHECKING:
    import pandas as pd

ALONE = "single runs"
STATE = "state"  # kind of entries of the index
SHOWN = ("state", "error", "refused", "epoch", "epochs")


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
            key = stamp(path, (STATUS, RESULT, RECORD))
            if entry := kept.find(STATE, path, key):
                known[path] = json.loads(entry[0])
                continue
            status = progress(Path(path))
            known[path] = {name: status[name] for name in SHOWN if name in status}
            if status["state"] in SETTLED:
                kept.keep(STATE, path, key, json.dumps(known[path]))
    return known


def _group(results: Path, plan: Any) -> Group:
    title, line, cells = plan["experiment"] or "sweep", plan["command"], plan["cells"]
    words = [title, line, *(word for words in cells.values() for word in words)]
    if not (all(isinstance(word, str) for word in words) and all(map(is_place, cells))):
        raise TypeError
    return Group(title, line, {str(results / path): list(words) for path, words in cells.items()})


def clean(results: Path, states: dict[str, dict[str, Any]], sure: bool) -> int:
    """Show these cells, of those with the `states`, and remove them if the user is `sure` or says
    so; returns the exit code. A cell that somebody has gone on with meanwhile stays.
    """
    paths = [path for path, status in states.items() if useless(Path(path), status["state"])]
    paths = [path for path in paths if is_below(results, Path(path))]
    if not paths:
        print("no cells that failed or stopped without a checkpoint")
        return 0
    for path in paths:
        print(stopped_line(path, states[path]))
    question = f"remove these {len(paths)} folders? [y/N] "
    if not sure and not (sys.stdin.isatty() and input(question).strip().lower() in ("y", "yes")):
        print("nothing removed; --yes removes them without a question")
        return 1
    return _remove(results, paths)


def useless(path: Path, state: str) -> bool:
    """Failed, or stopped without a checkpoint; or a folder that nothing was ever written to."""
    if state == "failed":
        return True
    if state == "missing":
        kept = (RESULT, CHECKPOINT, METRICS)
        return path.is_dir() and not any((path / name).exists() for name in kept)
    return state in STOPPED and not (path / CHECKPOINT).exists()


def stopped_line(path: str, status: dict[str, Any]) -> str:
    """A line about a cell that is not going on."""
    reason = last_line(status.get("error"))
    if not reason and status["state"] != "missing":
        reason = f"after epoch {status.get('epoch')} of {status.get('epochs')}"
    return printable(f"{status['state']}  {path}  {reason or 'nothing in it'}")


def _remove(results: Path, paths: Sequence[str]) -> int:
    removed = 0
    for path in map(Path, paths):
        if not (path.is_dir() and is_below(results, path)):
            print(printable(f"{path}: gone, or no longer below {results}"))
            continue
        try:
            with lock(path):
                state = progress(path)["state"]
                if state == "running":  # by this lock, and nobody else
                    state = "interrupted"
                if not useless(path, state):
                    print(printable(f"{path} is {state} now, so it stays"))
                    continue
                shutil.rmtree(path)
                removed += 1
        except Busy as error:
            print(printable(f"{error}; it stays"))
    print(f"{removed} removed")
    return int(removed < len(paths))


NAMES = ("dataset", "model", "init")
LISTED = 20  # cells that stopped, listed one by one
OWN = {*(field.name for field in fields(Config)), "experiment", "budget", "debug"}
OVERRIDE = re.compile(r"(\+\+?|~)?(?P<key>[A-Za-z_][\w./@-]*)(=(?P<value>.*))?", re.DOTALL)


@command_line("fdi-status")
def main(argv: Sequence[str] | None = None) -> int:
    """The console command; its exit code."""
    parser = argparse.ArgumentParser(
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
    parser.add_argument(
        "--merge",
        nargs="+",
        type=Path,
        metavar="FOLDER",
        help="copy the runs of other folders of results into this one; nothing is overwritten, and "
        "a cell that is in two of them with different results is named",
    )
    parser.add_argument("--yes", action="store_true", help="with --clean: do not ask")
    arguments = parser.parse_args(argv)
    if arguments.merge:
        from fdi.cli.merge import merge  # only here

        return max(merge(arguments.results, folder) for folder in arguments.merge)
    if arguments.explain:
        return explain(arguments.results, arguments.explain)
    plans, broken = read_plans(arguments.results)
    wanted = [
        group
        for group in groups(arguments.results, plans)
        if not arguments.experiments or group.title in arguments.experiments
    ]
    for line in broken:
        print(f"broken: {printable(line)}", file=sys.stderr)
    if not wanted:
        what = " ".join(arguments.experiments) or "runs"
        raise ValueError(
            f"no {what} in {arguments.results}; fdi-run -m experiment=quickstart makes some"
        )
    paths = dict.fromkeys(directory for group in wanted for directory in group.cells)
    known = states(arguments.results, paths)
    if arguments.failed:
        lines = (line for group in wanted for line in _again(group, known, arguments.results))
        for line in dict.fromkeys(lines):
            print(line if line.isprintable() else f"# {line!a}: not a name of fdi's")
    elif arguments.clean:
        return clean(arguments.results, known, arguments.yes)
    else:
        _show(wanted, known)
    return 0


def _again(group: Group, states: dict[str, dict[str, Any]], results: Path) -> Iterator[str]:
    """The commands of cells that stopped. Those that were refused would be refused again, and those
    that somebody else wrote may do anything: they are comments.
    """
    for directory, planned in group.cells.items():
        status = states[directory]
        if status["state"] not in STOPPED:
            continue
        words = overrides(Path(directory)) if planned is None else planned
        if status.get("refused"):
            yield f"# {printable(directory)}: {printable(last_line(status['error']))}"
        elif words is None:
            yield f"# {printable(directory)}: no {OVERRIDES}"
        elif strange := next((word for word in words if not _is_own(word, results)), None):
            line = f"{command(words)}: look at {strange} before you run that"
            yield f"# {printable(directory)}: {printable(line)}"
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


def _show(groups: list[Group], states: dict[str, dict[str, Any]]) -> None:
    out = console()
    for group in groups:
        title = f"{group.title}: {group.command}" if group.command else group.title
        out.print(printable(title))
        _print_table(out, group, states)
    stopped = [
        directory
        for directory in dict.fromkeys(d for group in groups for d in group.cells)
        if states[directory]["state"] in STOPPED
    ]
    for directory in stopped[:LISTED]:
        out.print(stopped_line(directory, states[directory]))
    if stopped[LISTED:]:
        out.print(f"and {len(stopped) - LISTED} more")
    if stopped:
        line = "fdi-status --failed prints the commands that run them again"
        if any(useless(Path(directory), states[directory]["state"]) for directory in stopped):
            line += "; --clean removes those that failed or have no checkpoint"
        out.print(line)


def _print_table(out: Console, group: Group, states: dict[str, dict[str, Any]]) -> None:
    """A row per data set, model and init; columns of states that no cell of the group is in are
    left out.
    """
    counts: dict[tuple[str, ...], Counter[str]] = {}
    for directory in group.cells:
        counts.setdefault(Path(directory).parts[-4:-1], Counter())[states[directory]["state"]] += 1
    total = sum(counts.values(), Counter())
    rows = list(counts.items())
    if len(rows) > 1:
        rows.append((("all", "", ""), total))
    columns = {name: [printable(labels[i]) for labels, _ in rows] for i, name in enumerate(NAMES)}
    columns["cells"] = [str(row.total()) for _, row in rows]
    for state in STATES:
        if total[state]:
            columns[SAID.get(state, state)] = [str(row[state] or "") for _, row in rows]
    print_table(out, columns, NAMES)


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
    same = ["dataset", "model", "init"]
    near = (table[same] == mine[same]).all(axis=1) & (table["path"] != mine["path"])
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
    found = table[(table["path"] == ends) | (table["id"] == ends) | (table["path"] + "/" == name)]
    if found.empty:
        found = table[[path.endswith(f"/{ends}") for path in table["path"]]]
    if len(found) != 1:
        what = "no run" if found.empty else f"{len(found)} runs, of which one must be named whole"
        raise ValueError(f"{name}: {what}; fdi-table --csv lists the folders of all")
    return found.iloc[0]


def _why(one: pd.Series, other: pd.Series, columns: Sequence[str]) -> str:
    """Whether two runs share a row or are a pair, and what keeps them apart if they are neither."""

    def text(value: Any) -> str:
        return "not recorded" if value is None or value != value else str(value)

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
