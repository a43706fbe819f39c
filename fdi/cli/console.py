"""What a person sees of a run: a progress bar on a terminal and in a notebook, one line per epoch
in a log, and the verdict on the initial state.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Column

from fdi.cli.jupyter import Bar, is_notebook
from fdi.cli.tables import print_note, print_table
from fdi.init.verdict import CLOSE, NEAR, Floor, off, remarks, verdict
from fdi.snn.outcome import Outcome

WIDE = 100  # characters of a terminal that has room for more columns


class Epochs:
    """Shows the epochs of one training."""

    def __init__(
        self, console: Console, epochs: int, samples: int, bar: Progress | Bar | None, done: int
    ) -> None:
        self.console, self.epochs, self.samples, self.bar = console, epochs, samples, bar
        self.epoch, self.valid, self.rates = done, "", ""
        self.task = None if bar is None else bar.add_task("", total=epochs, completed=done, what="")

    def batch(self, done: int, outcome: Outcome) -> None:
        self._update(
            self.epoch + done / self.samples,
            outcome.task / outcome.samples,
            outcome.correct / outcome.samples,
        )

    def row(self, row: dict[str, Any]) -> None:
        self.epoch = row["epoch"]
        rates = [value for key, value in row.items() if key.startswith("rate/")]
        self.rates = f"{_range(min(rates), max(rates))} Hz"
        self.valid = f"valid {percent(row['valid/accuracy'])}  " if "valid/accuracy" in row else ""
        if self.bar is not None:
            self._update(self.epoch, row["train/loss"], row["train/accuracy"])
            return
        phase = "" if row["phase"] == "task" else f"{row['phase']}  "
        self.console.print(
            f"epoch {self.epoch:>{len(str(self.epochs))}}/{self.epochs}  {phase}"
            f"{_learned(row['train/loss'], row['train/accuracy'])}  {self.valid}{self.rates}  "
            f"{row['seconds']:.2f} s",
            soft_wrap=True,
            highlight=False,
        )

    def _update(self, epochs: float, loss: float, accuracy: float) -> None:
        if self.bar is not None and self.task is not None:
            what = f"{_learned(loss, accuracy)}  {self.valid}{self.rates}"
            self.bar.update(self.task, completed=epochs, what=what)


@contextmanager
def reporter(console: Console, epochs: int, samples: int, done: int) -> Iterator[Epochs]:
    """An Epochs for `epochs` epochs of `samples` samples, `done` of them already finished."""
    if is_notebook(console.file):
        with Bar() as simple:
            yield Epochs(console, epochs, samples, simple, done)
        return
    if not console.is_terminal:
        yield Epochs(console, epochs, samples, None, done)
        return
    whole = Column(no_wrap=True)
    columns = (
        MofNCompleteColumn(table_column=whole),
        BarColumn(bar_width=None, table_column=Column(ratio=1)),  # what the words leave
        TextColumn("{task.fields[what]}", table_column=whole),
        TimeElapsedColumn(table_column=whole),
        TextColumn("/", table_column=whole),
        TimeRemainingColumn(elapsed_when_finished=False, table_column=whole),
        TextColumn("left", table_column=whole),
    )
    with Progress(*columns, console=console, expand=True) as bar:
        yield Epochs(console, epochs, samples, bar, done)


class Terminal:
    """Shows one run on a terminal or in a log."""

    def __init__(self, console: Console) -> None:
        self.console = console

    def say(self, line: str) -> None:
        self.console.print(line, soft_wrap=True, highlight=False)

    def probe(self, rows: list[dict[str, Any]], model: str, init: str, floor: Floor) -> None:
        print_probe(self.console, rows, model, init, floor)

    def training(self, epochs: int, samples: int, done: int) -> AbstractContextManager[Epochs]:
        return reporter(self.console, epochs, samples, done)


def percent(share: float) -> str:
    """A share in percent, as it stands everywhere on the terminal."""
    return f"{100 * share:.1f} %"


def print_probe(
    console: Console,
    rows: list[dict[str, Any]],
    model: str,
    init: str,
    floor: Floor | None = None,
) -> None:
    """The rows of fdi.init.probe, one line per population, with the gradient of the task and a
    verdict in the colour of the distance from the target; and some sentences on what to make of
    it. init.json has the other statistics.
    """
    columns = {
        "layer": [row["population"] for row in rows],
        "neurons": [str(row["neurons"]) for row in rows],
        "mean U": _cells(rows, "free_mean", ".2f"),
        "sigma U": _cells(rows, "free_sigma", ".2f"),
        "target": _cells(rows, "target_sigma_u", ".2f"),
        **({"theory": _cells(rows, "theory_sigma_u", ".2f")} if console.width >= WIDE else {}),
        "Hz": _cells(rows, "rate", ".1f"),
        "silent": [share.replace("%", " %") for share in _cells(rows, "silent", ".0%")],
        "gradient": _cells(rows, "grad_task", ".2g"),
        "verdict": [verdict(row) for row in rows],
    }
    console.print(f"initial state: {model}, {init}", highlight=False)
    print_table(console, columns, ["layer"], {"verdict": list(map(colour, rows))})
    for remark in remarks(rows, init, floor):
        print_note(console, remark)


def colour(row: dict[str, Any]) -> str:
    """Of the verdict: the further from the target, the warmer."""
    if off(row):
        return "red"
    return {f"within {CLOSE}": "green", f"within {NEAR}": "yellow"}.get(verdict(row), "")


def _cells(rows: list[dict[str, Any]], key: str, form: str) -> list[str]:
    return ["-" if row[key] is None else format(row[key], form) for row in rows]


def _learned(loss: float, accuracy: float) -> str:
    return f"loss {loss:.3g}  {percent(accuracy)}"


def _range(least: float, most: float) -> str:
    low, high = f"{least:.1f}", f"{most:.1f}"
    return low if low == high else f"{low}-{high}"
