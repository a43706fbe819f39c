"""What a sweep did: one line per group of cells that differ in their seed only, and the
failures.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from statistics import mean, stdev
from typing import Any

from rich.console import Console
from rich.table import Table

from fdi.cli.cells import Cell
from fdi.layout import STATES
from fdi.track.state import finished, last_line, progress, whole_result

LABELS = ("dataset", "model", "init")
WIDTH = 160  # characters, where there is no terminal to fit
ELSEWHERE = "running elsewhere"


def print_states(cells: list[Cell]) -> int:
    """A line per cell, with its state and its directory, and how many there are of each state;
    returns 0.
    """
    states = [progress(cell.directory)["state"] for cell in cells]
    for cell, state in zip(cells, states):
        print(f"{state:<11}  {cell.directory}")
    print(_counted(states))
    return 0


def print_result(cell: Cell) -> None:
    """The table of one run, if it is done, and where to find it."""
    console = _console()
    if progress(cell.directory)["state"] == "done":
        console.print(_table([cell]))
    console.print(cell.directory)


def print_summary(cells: list[Cell]) -> int:
    """The table of what is done, a line for each cell that stopped, and how many there are of each
    state.

    Returns how many are not finished.
    """
    console = _console()
    found = [progress(cell.directory) for cell in cells]
    states = [ELSEWHERE if status["state"] == "running" else status["state"] for status in found]
    if "done" in states:
        console.print(_table(cells))
    for cell, state, status in zip(cells, states, found):
        if state not in ("done", "probed", "missing"):
            console.print(
                "  ".join(
                    filter(None, [state, str(cell.directory), last_line(status.get("error"))])
                )
            )
    console.print(_counted(states))
    if ELSEWHERE in states:
        console.print("when the other process has ended, the same command does what is left")
    return sum(not finished(cell.directory, cell.config.probe) for cell in cells)


def _console() -> Console:
    console = Console(highlight=False, markup=False, soft_wrap=True)
    if not console.is_terminal:
        console.width = WIDTH
    return console


def _table(cells: list[Cell]) -> Table:
    varied = _varied(cells)
    results: dict[tuple[str, ...], list[dict[str, Any]]] = defaultdict(list)
    for cell in cells:
        chosen = dict(override.split("=", 1) for override in cell.overrides if "=" in override)
        row = (
            *(str(cell.config.name[label]) for label in LABELS),
            *(chosen.get(key, "-") for key in varied),
        )
        result = whole_result(cell.directory)
        results[row] += [result] if result else []
    table = Table(caption="test accuracy in percent: mean and standard deviation over n seeds")
    for column in (*LABELS, *varied):
        table.add_column(column, overflow="fold")
    for column in ("n", "last epoch", "best validation", "rates (Hz)"):
        table.add_column(column, justify="right")
    for row, found in results.items():
        accuracies = (
            _spread([result[key] for result in found])
            for key in ("test_accuracy_last", "test_accuracy_best")
        )
        table.add_row(*row, str(len(found)), *accuracies, _rates(found))
    return table


def _varied(cells: list[Cell]) -> list[str]:
    """Keys of the overrides that take more than one value, without the seed and the labels."""
    values = defaultdict(set)
    for cell in cells:
        for override in cell.overrides:
            key, _, value = override.partition("=")
            values[key].add(value)
    return [key for key, found in values.items() if len(found) > 1 and key not in ("seed", *LABELS)]


def _spread(values: list[float]) -> str:
    if not values:
        return "-"
    return (
        f"{100 * mean(values):.1f} +- {100 * stdev(values):.1f}"
        if len(values) > 1
        else f"{100 * values[0]:.1f}"
    )


def _rates(results: list[dict[str, Any]]) -> str:
    """Mean rate of each population over `results`."""
    populations = results[0]["rates"] if results else {}
    return "  ".join(
        f"{name} {mean(result['rates'][name] for result in results):.1f}" for name in populations
    )


def _counted(states: Iterable[str]) -> str:
    counts = Counter(states)
    total = counts.total()
    each = ", ".join(f"{counts[state]} {state}" for state in (*STATES, ELSEWHERE) if counts[state])
    return f"{total} {'cell' if total == 1 else 'cells'}: {each}"
