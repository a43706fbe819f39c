"""What a sweep did: initializations beside each other, one line per group of cells that differ in
their seed only, and the failures.
"""

from __future__ import annotations

import shlex
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import mean, median
from typing import TYPE_CHECKING, Any

from rich.console import Console

from fdi.cli.cells import Cell
from fdi.cli.terminal import console, print_note, print_table
from fdi.config.identity import LABELS
from fdi.init.verdict import Row, is_lost, verdict
from fdi.track.fields import is_number
from fdi.track.record import REFUSED, SETTLED, STATE_WORDS, STATES, TRAINED, finished, look

if TYPE_CHECKING:
    import pandas as pd

    from fdi.analysis.results import Results


def state_rows(results: Results) -> list[Row]:
    """A row for each initial state and each of its hidden layers: what tells the state apart, and
    means over its `n` seeds, of gradients medians. `below_floor`: no element of the gradient
    reaches the effective floor; `agree`: how many seeds have this verdict; `bounded`: the
    gradient of the task was not measured alone.
    """
    from fdi.analysis.formats import short_names  # pandas: only where runs are in a table
    from fdi.analysis.results import measured_states

    rows = []
    for labels, seeds in measured_states(results):
        names = short_names([key for key in labels if key not in LABELS])
        said = {name: labels[name] for name in LABELS}
        said |= {name: labels[key] for key, name in names.items()}
        hidden = [[row for row in one if is_number(row.get("rate"))] for one in seeds]
        rows += [{**said, "n": len(seeds), **_layer(layer)} for layer in zip(*hidden)]
    return rows


def _layer(seeds: Sequence[Row]) -> Row:
    row: Row = {"population": seeds[0]["population"]}
    for key in seeds[0]:
        values: list[Any] = [value for one in seeds if is_number(value := one.get(key))]
        middle = median if key.startswith("grad") else mean
        row.setdefault(key, middle(values) if values else None)
    word, alone = verdict(row), row.get("grad_task")
    return {
        "layer": row["population"],
        "measured_sigma_u": row["free_sigma"],
        "target_sigma_u": row["target_sigma_u"],
        "rate": row["rate"],
        "silent": row["silent"],
        "gradient": row.get("grad") if alone is None else alone,
        "below_floor": sum(map(is_lost, seeds)) * 2 > len(seeds),
        "verdict": word,
        "agree": sum(verdict(one) == word for one in seeds),
        "bounded": alone is None,
    }


def print_states(out: Console, rows: Sequence[Row]) -> None:
    """A table of `state_rows` for each data set and model; then what the columns mean."""
    from fdi.analysis.results import OF_STATES, states_in_words

    groups: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        groups[row["dataset"], row["model"]].append(row)
    for (dataset, model), group in groups.items():
        out.print(f"initial states: {dataset}, {model}")
        shown = states_in_words(group).drop(columns=["dataset", "model"])
        keys = [*shown][: shown.columns.get_loc("layer") + 1]
        print_table(out, shown, keys)
    print_note(out, OF_STATES)


ELSEWHERE = "running elsewhere"


def print_summary(cells: list[Cell], command: str, how_many: bool = True) -> int:
    """A table of what is done, a line for each cell that stopped (those that were refused have had
    theirs), how many there are of each state, and what it comes to and the `command` to give next;
    of trials, which have no command, no table; without `how_many` just what went wrong.

    Returns how many are not finished.
    """
    out = console()
    runs = [look(cell.directory) for cell in cells]
    states = [ELSEWHERE if run.state == "running" else run.state for run in runs]
    lines: list[str] = []
    if command and {"done", "probed"} & set(states):  # accuracies are those on the test set
        known = [cell for cell, run in zip(cells, runs) if run.evidence or run.state in SETTLED]
        lines = _print_what_is_done(out, known, command)
    for cell, state, run in zip(cells, states, runs):
        if state not in (*TRAINED, "probed", "missing", REFUSED):
            mend = "; put the file back, or delete the folder" * (state == "broken")
            out.print("  ".join(filter(None, [state, str(cell.directory), f"{run.reason}{mend}"])))
    if how_many:
        out.print(cells_by_state(states))
    if ELSEWHERE in states:
        out.print("when the other process has ended, give the same command again for the rest")
    unfinished = sum(not finished(cell.directory, cell.values["probe"]) for cell in cells)
    if not unfinished:
        print_last(lines)
    return unfinished


def print_last(lines: Sequence[str]) -> None:
    """What something comes to, and as the last line a command that can be copied."""
    out = console()
    for line in lines[:-1]:
        print_note(out, line)
    if lines:
        out.print(lines[-1])


def _print_what_is_done(out: Console, cells: Sequence[Cell], command: str) -> list[str]:
    """The initial states of cells that are only probed, else what they learned, as fdi-table shows
    them. Returns what it comes to.
    """
    from fdi.analysis import collect, conclusion, results, summary

    folder = Path(cells[0].values["paths"]["results"])
    table = collect.table(folder, [str(cell.directory) for cell in cells])
    if any(cell.values["probe"] == "only" for cell in cells):
        print_states(out, rows := state_rows(results.of_runs(table, folder)))
        trained = shlex.join(w for w in shlex.split(command) if w != "probe=only")
        return [conclusion.of_states(rows), f"to train them: {trained}"]
    if not (table["state"] == "done").any():
        return []
    print_comparison(summary.summarize(table))
    told = conclusion.of_sweep(table)
    return [*conclusion.shortly(told), conclusion.next_step(told, command)]


def print_best(table: pd.DataFrame) -> None:
    """What fdi.analysis.best.each_at_its_best found, and what its columns are."""
    from fdi.analysis.best import OF_ARMS, arms_in_words
    from fdi.analysis.summary import as_judged

    out, rows = console(), arms_in_words(table)
    print_table(out, rows, ["network", "init"])
    print_note(out, as_judged(OF_ARMS, table))


def print_zoo(table: pd.DataFrame) -> None:
    """What fdi.analysis.zoo says of random networks."""
    from fdi.analysis import zoo

    out = console()
    out.print("Networks that learn")
    print_table(out, zoo.learning(table), ["init"])
    for line in zoo.beyond_table(table):
        print_note(out, line)


def cells_by_state(states: Iterable[str]) -> str:
    """How many cells are in which state, as text."""
    counts = Counter(states)
    total = counts.total()
    known = [state for state in (*STATES, ELSEWHERE) if counts[state]]
    each = ", ".join(f"{counts[state]} {STATE_WORDS.get(state, state)}" for state in known)
    return f"{total} {'cell' if total == 1 else 'cells'}: {each}"


def print_comparison(summary: pd.DataFrame) -> None:
    """The `summary` of a table of runs."""
    from fdi.analysis.summary import caption, keys, readable  # pandas: only where it is needed

    out = console()
    rows = readable(summary)
    same = [name for name in LABELS if rows[name].nunique() == 1] if len(rows) > 1 else []
    if same:
        out.print(", ".join(rows[name].iloc[0] for name in same))
    rows = rows.drop(columns=same)
    print_table(out, rows, [name for name in rows if name in keys(summary)])
    print_note(out, caption(summary))
