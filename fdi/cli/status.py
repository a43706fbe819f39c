"""`fdi-status`: how far the sweeps and single runs below results/ are."""

from __future__ import annotations

import argparse
import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from rich.console import Console

from fdi.analysis.status import Group, groups, read_plans, states
from fdi.cli.arguments import add_results
from fdi.cli.clean import clean, stopped_line, useless
from fdi.cli.pipe import command_line
from fdi.cli.tables import console, print_table
from fdi.config.schema import Config
from fdi.track.files import printable
from fdi.track.layout import OVERRIDES, SAID, STATES, STOPPED
from fdi.track.state import command, last_line, overrides

NAMES = ("dataset", "model", "init")
REFUSAL = "ValueError:"  # what a user must mend: the same command would be refused again
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
    parser.add_argument("--yes", action="store_true", help="with --clean: do not ask")
    arguments = parser.parse_args(argv)
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
        if str(status.get("error")).startswith(REFUSAL):
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
