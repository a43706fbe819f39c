"""What a sweep did: one line per group of cells that differ in their seed only, and the
failures.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from statistics import mean, stdev
from typing import Any

from rich.console import Console

from fdi.cli import tables
from fdi.cli.cells import Cell
from fdi.cli.labels import LABELS, varied
from fdi.cli.state_table import print_states
from fdi.cli.states import of_cells
from fdi.track.layout import SAID, STATES
from fdi.track.state import finished, last_line, progress, whole_result

NOTE = (
    "test accuracy in percent after the last epoch and with the weights of the best validation "
    "epoch: mean and standard deviation over n seeds"
)
NAMED = 3  # populations whose rates are shown one by one
ELSEWHERE, WRONG = "running elsewhere", "refused"


def print_result(cell: Cell) -> None:
    """The table of one run, if it was trained to its end, and where to find it."""
    console = tables.console()
    if cell.values["probe"] != "only" and progress(cell.directory)["state"] == "done":
        _print_table(console, [cell])
    console.print(cell.directory)


def print_summary(cells: list[Cell]) -> int:
    """The table of what is done, a line for each cell that stopped (those that were refused have
    had theirs), and how many there are of each state.

    Returns how many are not finished.
    """
    console = tables.console()
    statuses = [progress(cell.directory) for cell in cells]
    states = [_state(status) for status in statuses]
    if any(cell.values["probe"] == "only" for cell in cells):
        if measured := of_cells(cells):
            print_states(console, measured)
    elif "done" in states:
        _print_table(console, cells)
    for cell, state, status in zip(cells, states, statuses):
        if state not in ("done", "probed", "missing", WRONG):
            line = [state, str(cell.directory), last_line(status.get("error"))]
            console.print("  ".join(filter(None, line)))
    console.print(counted(states))
    if ELSEWHERE in states:
        console.print("when the other process has ended, give the same command again for the rest")
    return sum(not finished(cell.directory, cell.values["probe"]) for cell in cells)


def _state(status: dict[str, Any]) -> str:
    if status["state"] == "failed" and status.get("refused"):
        return WRONG
    return ELSEWHERE if status["state"] == "running" else str(status["state"])


def _print_table(out: Console, cells: list[Cell]) -> None:
    keys = [key for key in varied(cell.overrides for cell in cells) if key not in ("seed", *LABELS)]
    results: dict[tuple[str, ...], list[dict[str, Any]]] = defaultdict(list)
    for cell in cells:
        chosen = dict(override.split("=", 1) for override in cell.overrides if "=" in override)
        row = (
            *(str(cell.values["name"][name]) for name in LABELS),
            *(chosen.get(key, "-") for key in keys),
        )
        result = whole_result(cell.directory)
        results[row] += [result] if result else []
    names = [*LABELS, *keys]
    groups = list(results.values())
    columns = {name: [row[i] for row in results] for i, name in enumerate(names)}
    columns["n"] = [str(len(rows)) for rows in groups]
    for title, key in (("last", "test_accuracy_last"), ("best", "test_accuracy_best")):
        columns[title] = [_spread([row[key] for row in rows]) for rows in groups]
    columns["rates (Hz)"] = [_rates(rows) for rows in groups]
    tables.print_table(out, columns, names)
    tables.print_note(out, NOTE)


def _spread(values: list[float]) -> str:
    if not values:
        return "-"
    return (
        f"{100 * mean(values):.1f} +- {100 * stdev(values):.1f}"
        if len(values) > 1
        else f"{100 * values[0]:.1f}"
    )


def _rates(results: list[dict[str, Any]]) -> str:
    """Mean rate of each population over `results`; the range, where they are many."""
    populations = results[0]["rates"] if results else {}
    rates = {name: mean(result["rates"][name] for result in results) for name in populations}
    if len(rates) > NAMED:
        return f"{min(rates.values()):.1f}..{max(rates.values()):.1f} in {len(rates)}"
    return "  ".join(f"{name} {rate:.1f}" for name, rate in rates.items())


def counted(states: Iterable[str]) -> str:
    """How many cells are in which state, as text."""
    counts = Counter(states)
    total = counts.total()
    known = [state for state in (*STATES, WRONG, ELSEWHERE) if counts[state]]
    each = ", ".join(f"{counts[state]} {SAID.get(state, state)}" for state in known)
    return f"{total} {'cell' if total == 1 else 'cells'}: {each}"
