"""`fdi-status`: how far the sweeps and single runs below results/ are."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console

from fdi.analysis.choice import decisions
from fdi.cli.command import Parser, add_results, command_line
from fdi.cli.terminal import console, print_table
from fdi.config.identity import LABELS
from fdi.config.parts import choose
from fdi.track import plans
from fdi.track.files import directories, printable
from fdi.track.plans import SweepPlan
from fdi.track.record import REFUSED, STATE_WORDS, STATES, STOPPED, Run, look

ALONE = "single runs"


@command_line("fdi-status")
def main(argv: Sequence[str] | None = None) -> int:
    """The console command; its exit code."""
    parser = Parser(
        "fdi-status",
        description="Shows how many cells of each sweep are done, running, failed, refused, "
        "interrupted or not run yet.",
    )
    parser.add_argument(
        "experiments",
        nargs="*",
        metavar="experiment",
        help="show only these (default: all sweeps and single runs)",
    )
    add_results(parser)
    arguments = parser.parse_args(argv)
    results = arguments.results
    known, broken = plans.read_plans(results)
    there = [os.path.relpath(path, results) for path, *_ in directories(results)]
    planned = {place for plan in known for place in plan.cells}
    alone: dict[str, list[str]] = {place: [] for place in there if place not in planned}
    known += [SweepPlan("", ALONE, alone)] if alone else []  # a last one, without a command
    names = arguments.experiments
    wanted = [plan for plan in known if not names or plan.title in names]
    decisions(results)  # a line for what is none
    for line in broken:
        print(f"broken: {printable(line)}", file=sys.stderr)
    if not wanted:
        titles = {plan.title for plan in known if plan.command}
        hint = choose(names[0], titles) if titles else "fdi-run -m experiment=quickstart makes some"
        raise ValueError(f"no {' '.join(names) or 'runs'} in {results}; {hint}")
    places = dict.fromkeys(place for plan in wanted for place in plan.cells)
    runs = {place: look(results / place) for place in places}
    _print_all(wanted, runs, results)
    return 0


def _print_all(wanted: list[SweepPlan], runs: Mapping[str, Run], results: Path) -> None:
    out = console()
    for plan in wanted:
        out.print(f"{plan.title}: {plan.command}" if plan.command else plan.title)
        _print_table(out, plan, runs)
    stopped = {
        results / at: run for at, run in runs.items() if run.state in (*STOPPED, REFUSED, "broken")
    }
    for path, run in stopped.items():
        out.print(f"{run.state}  {path}  {run.reason}")
    if any(run.state in STOPPED for run in stopped.values()):
        out.print("the same command goes on with them; to give one up, delete its folder")


def _print_table(out: Console, plan: SweepPlan, runs: Mapping[str, Run]) -> None:
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
    columns = {name: [labels[i] for labels, _ in rows] for i, name in enumerate(LABELS)}
    columns["cells"] = [str(row.total()) for _, row in rows]
    for state in STATES:
        if total[state]:
            columns[STATE_WORDS.get(state, state)] = [str(row[state] or "") for _, row in rows]
    print_table(out, columns, LABELS)
