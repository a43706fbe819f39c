"""`fdi-status`: how far the sweeps and single runs below results/ are."""

from __future__ import annotations

import argparse
import shlex
import shutil
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from fdi.analysis.status import Group, groups, read_plans
from fdi.cli.arguments import add_results
from fdi.cli.pipe import command_line
from fdi.cli.tables import console, print_table
from fdi.track.files import printable
from fdi.track.layout import CHECKPOINT, OVERRIDES, STATES, STOPPED
from fdi.track.lock import lock
from fdi.track.state import command, last_line, progress

NAMES = ("dataset", "model", "init")
REFUSAL = "ValueError:"  # what a user must mend: the same command would be refused again
SHOWN = 20  # cells that stopped, listed one by one


@command_line("fdi-status")
def main(argv: Sequence[str] | None = None) -> int:
    """The console command; its exit code."""
    parser = argparse.ArgumentParser(
        "fdi-status",
        description="How many cells are done, running, failed, interrupted and missing.",
    )
    parser.add_argument(
        "experiments",
        nargs="*",
        metavar="experiment",
        help="only these (default: all sweeps and single runs)",
    )
    add_results(parser)
    parser.add_argument(
        "--failed",
        action="store_true",
        help="print the commands that run the failed and interrupted cells again, as far as they "
        "can succeed",
    )
    parser.add_argument(
        "--clean",
        action="store_true",
        help="show the cells that failed or stopped with nothing to go on from, and remove them",
    )
    parser.add_argument("--yes", action="store_true", help="with --clean: do not ask")
    arguments = parser.parse_args(argv)
    plans, broken = read_plans(arguments.results)
    found = [
        group
        for group in groups(arguments.results, plans)
        if not arguments.experiments or group.title in arguments.experiments
    ]
    for line in broken:
        print(f"broken: {printable(line)}", file=sys.stderr)
    if not found:
        what = " ".join(arguments.experiments) or "runs"
        raise ValueError(
            f"no {what} in {arguments.results}; fdi-run -m experiment=quickstart makes some"
        )
    states = {
        directory: progress(Path(directory))
        for directory in {directory for group in found for directory in group.cells}
    }
    if arguments.failed:
        for line in dict.fromkeys(line for group in found for line in _again(group, states)):
            print(line if line.isprintable() else f"# {line!a}: not a name of fdi's")
    elif arguments.clean:
        return _clean(found, states, arguments.yes)
    else:
        _show(found, states)
    return 0


def _again(group: Group, states: dict[str, dict[str, Any]]) -> Iterator[str]:
    """The commands of cells that stopped; of those that were refused the reason, as a comment: they
    would be refused again.
    """
    for directory, overrides in group.cells.items():
        status = states[directory]
        if status["state"] not in STOPPED:
            continue
        line = (
            command(Path(directory)) if overrides is None else shlex.join(["fdi-run", *overrides])
        )
        if str(status.get("error")).startswith(REFUSAL):
            yield f"# {printable(directory)}: {printable(last_line(status['error']))}"
        elif line is None:
            yield f"# {printable(directory)}: no {OVERRIDES}"
        elif line != printable(line):
            yield f"# {printable(directory)}: {printable(line)}"
        else:
            yield line


def _clean(found: list[Group], states: dict[str, dict[str, Any]], sure: bool) -> int:
    """Show the cells that failed, and those that stopped with nothing to go on from, and remove
    their folders if the user is `sure` or says so.
    """
    useless = [
        directory
        for directory in dict.fromkeys(d for group in found for d in group.cells)
        if states[directory]["state"] == "failed"
        or (states[directory]["state"] in STOPPED and not (Path(directory) / CHECKPOINT).exists())
    ]
    if not useless:
        print("no failed or stale cells")
        return 0
    for directory in useless:
        print(_stopped(directory, states[directory]))
    question = f"remove these {len(useless)} folders? [y/N] "
    if not sure and not (sys.stdin.isatty() and input(question).strip().lower() in ("y", "yes")):
        print("nothing removed; --yes removes them without a question")
        return 1
    for directory in useless:
        with lock(Path(directory)):
            shutil.rmtree(directory)
    print(f"{len(useless)} removed")
    return 0


def _stopped(directory: str, status: dict[str, Any]) -> str:
    reason = (
        last_line(status.get("error"))
        or f"after epoch {status.get('epoch')} of {status.get('epochs')}"
    )
    return printable(f"{status['state']}  {directory}  {reason}")


def _show(found: list[Group], states: dict[str, dict[str, Any]]) -> None:
    out = console()
    for group in found:
        title = f"{group.title}: {group.command}" if group.command else group.title
        out.print(printable(title))
        _print_table(out, group, states)
    stopped = [
        directory
        for directory in dict.fromkeys(d for group in found for d in group.cells)
        if states[directory]["state"] in STOPPED
    ]
    for directory in stopped[:SHOWN]:
        out.print(_stopped(directory, states[directory]))
    if stopped[SHOWN:]:
        out.print(f"and {len(stopped) - SHOWN} more")
    if stopped:
        out.print("fdi-status --failed prints the commands that run them again, --clean removes")


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
            columns[state] = [str(row[state] or "") for _, row in rows]
    print_table(out, columns, NAMES)
