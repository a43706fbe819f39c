"""`fdi-status`: how far the sweeps and single runs below results/ are."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from fdi.analysis.status import Group, groups, read_plans
from fdi.layout import OVERRIDES, STATES, STOPPED
from fdi.track.files import printable
from fdi.track.state import command, last_line, progress

WIDTH = 160  # characters, where there is no terminal to fit
SHOWN = 20  # cells that stopped, listed one by one


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
    parser.add_argument(
        "--results",
        type=Path,
        default=Path("results"),
        help="folder with runs/ in it (default: results)",
    )
    parser.add_argument(
        "--failed",
        action="store_true",
        help="print the commands that run the failed and interrupted cells again",
    )
    arguments = parser.parse_args(argv)
    try:
        plans, broken = read_plans(arguments.results)
        found = [
            group
            for group in groups(arguments.results, plans)
            if not arguments.experiments or group.title in arguments.experiments
        ]
    except ValueError as error:
        print(f"fdi-status: {error}", file=sys.stderr)
        return 1
    for line in broken:
        print(f"broken: {printable(line)}", file=sys.stderr)
    if not found:
        what = " ".join(arguments.experiments) or "runs"
        print(
            f"fdi-status: no {what} in {arguments.results}; fdi-run -m experiment=quickstart makes "
            f"some",
            file=sys.stderr,
        )
        return 1
    states = {
        directory: progress(Path(directory))
        for directory in {directory for group in found for directory in group.cells}
    }
    if arguments.failed:
        for line in dict.fromkeys(line for group in found for line in _again(group, states)):
            print(line)
    else:
        _show(found, states)
    return 0


def _again(group: Group, states: dict[str, dict[str, Any]]) -> Iterator[str]:
    for directory, overrides in group.cells.items():
        if states[directory]["state"] in STOPPED:
            line = (
                command(Path(directory))
                if overrides is None
                else shlex.join(["fdi-run", *overrides])
            )
            if line is None:
                yield f"# {printable(directory)}: no {OVERRIDES}"
            elif line != printable(line):
                yield f"# {printable(directory)}: {printable(line)}"
            else:
                yield line


def _show(found: list[Group], states: dict[str, dict[str, Any]]) -> None:
    console = Console(highlight=False, markup=False, soft_wrap=True)
    if not console.is_terminal:
        console.width = WIDTH
    for group in found:
        title = f"{group.title}: {group.command}" if group.command else group.title
        console.print(printable(title))
        console.print(_table(group, states))
    stopped = [
        directory
        for directory in dict.fromkeys(d for group in found for d in group.cells)
        if states[directory]["state"] in STOPPED
    ]
    for directory in stopped[:SHOWN]:
        status = states[directory]
        reason = (
            last_line(status.get("error"))
            or f"after epoch {status.get('epoch')} of {status.get('epochs')}"
        )
        console.print(printable(f"{status['state']}  {directory}  {reason}"))
    if stopped[SHOWN:]:
        console.print(f"and {len(stopped) - SHOWN} more")
    if stopped:
        console.print("fdi-status --failed prints the commands that run them again")


def _table(group: Group, states: dict[str, dict[str, Any]]) -> Table:
    """A row per data set, model and init; columns of states that no cell of the group is in are
    left out.
    """
    counts: dict[tuple[str, ...], Counter[str]] = {}
    for directory in group.cells:
        counts.setdefault(Path(directory).parts[-4:-1], Counter())[states[directory]["state"]] += 1
    total = sum(counts.values(), Counter())
    shown = [state for state in STATES if total[state]]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_footer=len(counts) > 1)
    for column in ("dataset", "model", "init"):
        table.add_column(column, overflow="fold")
    for column, count in (("cells", total.total()), *((state, total[state]) for state in shown)):
        table.add_column(column, str(count), justify="right")
    for labels, row in counts.items():
        table.add_row(
            *map(printable, labels), str(row.total()), *(str(row[state] or "") for state in shown)
        )
    return table
