"""Initial states as a table on the terminal."""

from __future__ import annotations

import textwrap
from collections import defaultdict
from collections.abc import Sequence

from rich.console import Console

from fdi.cli.console import colour
from fdi.cli.states import State
from fdi.cli.tables import print_note, print_table
from fdi.init.verdict import CLOSE, NEAR, Row

LABEL = "initial state"
LOST = "*"


def print_states(out: Console, states: Sequence[State]) -> None:
    """A table for each data set and model, a line for each state and layer; then what the columns
    mean.
    """
    groups: dict[tuple[str, str], list[State]] = defaultdict(list)
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


def _print_group(out: Console, states: list[tuple[State, list[Row]]], several: bool) -> None:
    rows = [row for _, layers in states for row in layers]
    columns = {
        "layer": [row["population"] for row in rows],
        "sigma U": [format(row["free_sigma"], ".2f") for row in rows],
        "target": [_number(row["target_sigma_u"], ".2f") for row in rows],
        "Hz": [format(row["rate"], ".1f") for row in rows],
        "gradient": [_number(row["gradient"], ".2g") + LOST * row["lost"] for row in rows],
        "verdict": [_verdict(state, row) for state, layers in states for row in layers],
    }
    others = sum(max(map(len, [name, *cells])) + 2 for name, cells in columns.items())
    room = max(out.width - others, max(len(state.init) for state, _ in states), len(LABEL))
    labels: list[str] = []
    order: list[int | None] = []
    for state, layers in states:
        parts = [state.init, *(f"{key}={value}" for key, value in state.settings.items())]
        parts += [f"n={state.n}"] * several
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


def _verdict(state: State, row: Row) -> str:
    return row["verdict"] + (f" ({row['agree']}/{state.n})" if row["agree"] < state.n else "")


def _notes(several: bool, differ: bool, lost: bool, bounded: bool) -> str:
    parts = [
        "means over n seeds, of gradients medians" if several else "",
        "(3/5): 3 of 5 seeds have this verdict" if differ else "",
        f"sigma U in units of the threshold; within {CLOSE} or {NEAR}: by which factor it differs "
        f"from the target at most; gradient: norm of that of the task"
        + (", with the bounds where it was not measured alone" if bounded else ""),
        f"{LOST} no element of it is large enough for the optimizer" if lost else "",
    ]
    return "; ".join(filter(None, parts))


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
