"""What a sweep did: initial states beside each other, one line per group of cells that differ in
their seed only, and the failures.
"""

from __future__ import annotations

import textwrap
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median
from typing import TYPE_CHECKING, Any

from rich.console import Console

from fdi.analysis.formats import number
from fdi.cli.cells import LABELS, Cell
from fdi.cli.terminal import colour, console, print_note, print_table
from fdi.init.verdict import CLOSE, NEAR, Row, is_lost, verdict
from fdi.track.record import SAID, STATES, TRAINED, Run, finished, is_number, look

if TYPE_CHECKING:
    import pandas as pd


Measured = tuple[Mapping[str, str], Sequence[Sequence[Row]]]


@dataclass(frozen=True)
class InitialState:
    """The probes of one initial state, one for each seed, without their readouts; `settings`: what
    else tells it apart; `floors`: of the optimizer, for each seed.
    """

    dataset: str
    model: str
    init: str
    settings: Mapping[str, str]
    seeds: Sequence[Sequence[Row]]

    @property
    def n(self) -> int:
        return len(self.seeds)

    def rows(self) -> list[Row]:
        """One for each layer: medians over the seeds of gradients, means of everything else, as far
        as it was measured; `verdict`, and how many seeds have the same one; `gradient`, that of the
        task where it was measured alone; `lost`: no element of it reaches the
        floor of the optimizer.
        """
        layers = []
        for layer in zip(*self.seeds):
            row: Row = {"population": layer[0]["population"]}
            for key in layer[0]:
                values = [value for one in layer if is_number(value := one.get(key))]
                middle = median if key.startswith("grad") else mean
                row.setdefault(key, middle(values) if values else None)
            word = verdict(row)
            lost = [is_lost(one) for one in layer]
            gradient = row.get("grad_task")
            layers.append(
                row
                | {
                    "verdict": word,
                    "agree": sum(verdict(one) == word for one in layer),
                    "gradient": row.get("grad") if gradient is None else gradient,
                    "lost": sum(lost) * 2 > len(lost),
                }
            )
        return layers


def of_runs(measured: Iterable[Measured]) -> list[InitialState]:
    """The states of `fdi.analysis.initial.measured`."""
    from fdi.analysis.formats import short_names  # pandas: only where runs are in a table

    states = []
    for labels, seeds in measured:
        names = short_names([key for key in labels if key not in LABELS])
        settings = {name: labels[key] for key, name in names.items()}
        dataset, model, init = (labels[name] for name in LABELS)
        states.append(InitialState(dataset, model, init, settings, [hidden(one) for one in seeds]))
    return states


def hidden(rows: Sequence[Row]) -> list[Row]:
    """The rows of a probe without that of the readout."""
    return [row for row in rows if is_number(row.get("rate"))]


def records(states: Iterable[InitialState]) -> list[dict[str, Any]]:
    """A row for each state and layer, for files."""
    return [
        {
            **{name: getattr(state, name) for name in LABELS},
            **state.settings,
            "n": state.n,
            "layer": row["population"],
            "measured_sigma_u": row["free_sigma"],
            "target_sigma_u": row["target_sigma_u"],
            "rate": row["rate"],
            "silent": row["silent"],
            "gradient": row["gradient"],
            "below_floor": row["lost"],
            "verdict": row["verdict"],
        }
        for state in states
        for row in state.rows()
    ]


LABEL = "initial state"
LOST = "*"


def print_states(out: Console, states: Sequence[InitialState]) -> None:
    """A table for each data set and model, a line for each state and layer; then what the columns
    mean.
    """
    groups: dict[tuple[str, str], list[InitialState]] = defaultdict(list)
    for state in states:
        groups[state.dataset, state.model].append(state)
    lost = bounded = differ = False
    for (dataset, model), members in groups.items():
        counts = {state.n for state in members}
        n = f"n = {min(counts)}" if len(counts) == 1 else f"n = {min(counts)} to {max(counts)}"
        out.print(f"initial states: {dataset}, {model}, {n} {'seed' if counts == {1} else 'seeds'}")
        rows = [(state, state.rows()) for state in members]
        lost |= any(row["lost"] for _, layers in rows for row in layers)
        bounded |= any(row.get("grad_task") is None for _, layers in rows for row in layers)
        differ |= any(row["agree"] < state.n for state, layers in rows for row in layers)
        _print_group(out, rows, several=len(counts) > 1)
    several = any(state.n > 1 for state in states)
    print_note(out, _notes(several, differ, lost, bounded))


def _print_group(out: Console, states: list[tuple[InitialState, list[Row]]], several: bool) -> None:
    rows = [row for _, layers in states for row in layers]
    columns = {
        "layer": [row["population"] for row in rows],
        "sigma U": [format(row["free_sigma"], ".2f") for row in rows],
        "target": [number(row["target_sigma_u"], ".2f") for row in rows],
        "Hz": [format(row["rate"], ".1f") for row in rows],
        "gradient": [_gradient(row) for row in rows],
        "verdict": [_verdict(state, row) for state, layers in states for row in layers],
    }
    others = sum(max(map(len, [name, *cells])) + 2 for name, cells in columns.items())
    room = max(out.width - others, max(len(state.init) for state, _ in states), len(LABEL))
    labels: list[str] = []
    order: list[int | None] = []
    for state, layers in states:
        parts = [state.init, *(f"{key}={value}" for key, value in state.settings.items())]
        if several:
            parts.append(f"n={state.n}")
        lines = textwrap.wrap(" ".join(parts), room, break_long_words=False, break_on_hyphens=False)
        start, size = sum(place is not None for place in order), max(len(lines), len(layers))
        order += [start + i if i < len(layers) else None for i in range(size)]
        labels += lines + [""] * (size - len(lines))
    shown = {
        name: [cells[place] if place is not None else "" for place in order]
        for name, cells in columns.items()
    }
    styles = [colour(rows[place]) if place is not None else "" for place in order]
    print_table(out, {LABEL: labels, **shown}, [LABEL, "layer"], {"verdict": styles})


def _gradient(row: Row) -> str:
    text = number(row["gradient"], ".2g")
    return text + LOST if row["lost"] else text


def _verdict(state: InitialState, row: Row) -> str:
    return row["verdict"] + (f" ({row['agree']}/{state.n})" if row["agree"] < state.n else "")


def _notes(several: bool, differ: bool, lost: bool, bounded: bool) -> str:
    parts = [
        "means over n seeds, of gradients medians" if several else "",
        "(3/5): 3 of 5 seeds have this verdict" if differ else "",
        f"sigma U in units of the threshold; within {CLOSE} or {NEAR}: by which factor it differs "
        f"from the target at most; gradient: norm of that of the task"
        + (", with the bounds where it was not measured alone" if bounded else ""),
        f"{LOST} every element is below the optimizer's floor" if lost else "",
    ]
    return "; ".join(filter(None, parts))


ELSEWHERE, WRONG = "running elsewhere", "refused"


def print_summary(cells: list[Cell], table: bool = True) -> int:
    """The `table` of what is done, a line for each cell that stopped (those that were refused have
    had theirs), and how many there are of each state.

    Returns how many are not finished.
    """
    out = console()
    runs = [look(cell.directory) for cell in cells]
    states = [_state(run) for run in runs]
    if table and {"done", "probed"} & set(states):  # accuracies are those on the test set
        _print_what_is_done(out, cells)
    for cell, state, run in zip(cells, states, runs):
        if state not in (*TRAINED, "probed", "missing", WRONG):
            out.print("  ".join(filter(None, [state, str(cell.directory), run.reason])))
    out.print(counted(states))
    if ELSEWHERE in states:
        out.print("when the other process has ended, give the same command again for the rest")
    return sum(not finished(cell.directory, cell.values["probe"]) for cell in cells)


def _print_what_is_done(out: Console, cells: Sequence[Cell]) -> None:
    """The initial states of cells that are only probed, else what they learned, as fdi-table shows
    them.
    """
    from fdi.analysis import collect, initial, results, summary

    folder = Path(cells[0].values["paths"]["results"])
    table = collect.table(folder, [str(cell.directory) for cell in cells])
    if any(cell.values["probe"] == "only" for cell in cells):
        print_states(out, of_runs(initial.measured(results.of_runs(table, folder))))
    elif (table["state"] == "done").any():
        print_comparison(summary.summarize(table))


def print_best(table: pd.DataFrame) -> None:
    """What fdi.analysis.best.each_at_its_best found, and what its columns are."""
    from fdi.analysis.best import CAPTION, readable

    out, rows = console(), readable(table)
    print_table(out, rows, ["network", "init"])
    print_note(out, CAPTION)


def print_zoo(table: pd.DataFrame) -> None:
    """What fdi.analysis.zoo says of random networks."""
    from fdi.analysis import zoo

    out = console()
    for title, shown in zoo.tables(table).items():
        out.print(title)
        print_table(out, shown, [str(shown.columns[0])])
    for line in zoo.said(table):
        print_note(out, line)


def _state(run: Run) -> str:
    if run.state == "failed" and run.refused:
        return WRONG
    return ELSEWHERE if run.state == "running" else run.state


def counted(states: Iterable[str]) -> str:
    """How many cells are in which state, as text."""
    counts = Counter(states)
    total = counts.total()
    known = [state for state in (*STATES, WRONG, ELSEWHERE) if counts[state]]
    each = ", ".join(f"{counts[state]} {SAID.get(state, state)}" for state in known)
    return f"{total} {'cell' if total == 1 else 'cells'}: {each}"


def print_comparison(summary: pd.DataFrame) -> None:
    """The `summary` of a table of runs."""
    from fdi.analysis import render  # pandas: only where runs are in a table

    out = console()
    rows = render.readable(summary)
    same = [name for name in LABELS if rows[name].nunique() == 1] if len(rows) > 1 else []
    if same:
        out.print(", ".join(rows[name].iloc[0] for name in same))
    rows = rows.drop(columns=same)
    print_table(out, rows, [name for name in rows if name in render.keys(summary)])
    print_note(out, render.notes(summary))


def print_counts(table: pd.DataFrame) -> None:
    """How many runs of a table are in each state, and what is wrong with those that are broken."""
    from fdi.analysis import render

    for line in render.counted(table):
        console().print(line)
