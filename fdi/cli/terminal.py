"""What a person sees of a run: tables and a progress bar that fit the terminal, one line per epoch
in a notebook or a log.
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Column, Table
from rich.text import Text

from fdi.config.metric import ACCURACY, in_percent
from fdi.init.verdict import Training, remarks, verdict
from fdi.track.files import printable

if TYPE_CHECKING:
    import pandas as pd

    from fdi.snn.objective import Loss, Outcome


def bar(out: Console, *columns: ProgressColumn, **options: Any) -> Progress:
    """One of rich with these columns; off where there is no terminal."""
    return Progress(*columns, console=out, disable=not out.is_terminal, **options)


WIDTH = 160  # characters, where there is no terminal to fit
WIDE = 100  # characters of a terminal that has room for more columns

Columns = Mapping[str, Sequence[str]]


class _Plain(Console):
    """Prints text as it is, but for what a terminal would obey."""

    def print(self, *objects: Any, **options: Any) -> None:
        shown = [printable(str(o), "\n") if isinstance(o, str | Path) else o for o in objects]
        if self.is_terminal or options or not all(isinstance(each, str) for each in shown):
            super().print(*shown, **options)
        else:  # as rich does, 0.3 ms a line faster
            print(*shown, file=self.file, flush=True)


def console() -> Console:
    """On the stdout of this moment: as wide as the terminal, or WIDTH."""
    made = _Plain(
        file=sys.stdout,
        force_jupyter=False,
        force_terminal=sys.stdout.isatty(),  # whatever a notebook asks for
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
    if not made.is_terminal:
        made.width = WIDTH
    return made


def print_table(out: Console, columns: Columns | pd.DataFrame, keys: Sequence[str]) -> None:
    """Title -> its cells, wrapped where the terminal is narrow; those of `keys` are words, and so
    are others that do not look like numbers.
    """
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, collapse_padding=True)
    shown = [[printable(str(cell), "\n") for cell in cells] for _, cells in columns.items()]
    for name, cells in zip(columns, shown):
        numeric = name not in keys and all(cell[:1] in "+-0123456789" for cell in cells)
        whole = numeric and not any(" " in cell for cell in cells)
        justify: Any = "right" if numeric else "left"
        title = Text(printable(str(name)))
        table.add_column(title, justify=justify, overflow="fold", no_wrap=whole)
    for row in zip(*shown):
        table.add_row(*map(Text, row))
    out.print(table, soft_wrap=False)


def print_note(out: Console, text: str) -> None:
    """A paragraph, broken between words."""
    out.print(
        textwrap.fill(printable(text), out.width, break_long_words=False, break_on_hyphens=False)
    )


@dataclass
class Epochs:
    """Shows the epochs of one training, of which `epoch` are done."""

    console: Console
    epochs: int
    samples: int
    bar: Progress
    epoch: int
    loss: Loss
    valid: str = ""
    rates: str = ""

    def __post_init__(self) -> None:
        self.task = self.bar.add_task("", total=self.epochs, completed=self.epoch, what="")

    def batch(self, done: int, outcome: Outcome) -> None:
        if not self.bar.disable:
            reached = self.loss.score(outcome.sums)
            self._update(self.epoch + done / self.samples, outcome.task / outcome.samples, reached)

    def row(self, row: dict[str, Any]) -> None:
        self.epoch = row["epoch"]
        rates = sorted(value for key, value in row.items() if key.startswith("rate/"))
        self.rates = "-".join(dict.fromkeys(f"{rate:.1f}" for rate in (rates[0], rates[-1])))
        self.rates += " Hz"
        metric = self.loss.judged_by
        train, valid = (row.get(f"{split}/{metric.name}") for split in ("train", "valid"))
        self.valid = "" if valid is None else f"valid {metric.text(valid)}  "
        if not self.bar.disable:
            self._update(self.epoch, row["train/loss"], train)
            return
        phase = "" if row["phase"] == "task" else f"{row['phase']}  "
        self.console.print(
            f"epoch {self.epoch:>{len(str(self.epochs))}}/{self.epochs}  {phase}"
            f"{self._learned(row['train/loss'], train)}  {self.valid}{self.rates}  "
            f"{row['seconds']:.2f} s"
        )

    def _update(self, epochs: float, loss: float, reached: float | None) -> None:
        what = f"{self._learned(loss, reached)}  {self.valid}{self.rates}"
        self.bar.update(self.task, completed=epochs, what=what)

    def _learned(self, loss: float, reached: float | None) -> str:
        metric = self.loss.judged_by
        name = "" if metric == ACCURACY else f"{metric.name} "
        return f"loss {loss:.3g}  {name}{metric.text(reached)}"


class Terminal:
    """Shows one run on a terminal or in a log."""

    def __init__(self, out: Console | None = None) -> None:
        self.console = out or console()

    def say(self, line: str) -> None:
        self.console.print(line)

    def probe(
        self, rows: list[dict[str, Any]], model: str, init: str, training: Training | None
    ) -> None:
        """The rows of fdi.init.probe, one line per population, with the gradient of the task and a
        verdict; and some sentences on what to make of it. init.json has the other statistics.
        """
        out = self.console
        columns = {
            "layer": [row["population"] for row in rows],
            "neurons": [str(row["neurons"]) for row in rows],
            "mean U": _texts(rows, "free_mean", ".2f"),
            "sigma U": _texts(rows, "free_sigma", ".2f"),
            "target": _texts(rows, "target_sigma_u", ".2f"),
            **({"theory": _texts(rows, "theory_sigma_u", ".2f")} if out.width >= WIDE else {}),
            "Hz": _texts(rows, "rate", ".1f"),
            "silent": ["-" if row["silent"] is None else in_percent(row["silent"]) for row in rows],
            "gradient": _texts(rows, "grad_task", ".2g"),
            "verdict": list(map(verdict, rows)),
        }
        out.print(f"initial state: {model}, {init}")
        print_table(out, columns, ["layer"])
        for remark in remarks(rows, init, training):
            print_note(out, remark)

    @contextmanager
    def training(self, epochs: int, samples: int, done: int, loss: Loss) -> Iterator[Epochs]:
        """Shows `epochs` epochs of `samples` samples, `done` of them already finished, and what the
        `loss` is judged by.
        """
        out = self.console
        whole = Column(no_wrap=True)
        columns = (
            MofNCompleteColumn(table_column=whole),
            BarColumn(bar_width=None, table_column=Column(ratio=1)),
            TextColumn("{task.fields[what]}", table_column=whole),
            TimeElapsedColumn(table_column=whole),
            TextColumn("/", table_column=whole),
            TimeRemainingColumn(elapsed_when_finished=False, table_column=whole),
            TextColumn("left", table_column=whole),
        )
        with bar(out, *columns, expand=True) as shown:
            yield Epochs(out, epochs, samples, shown, done, loss)


def duration(seconds: float) -> str:
    """0.3 s, 12 s, 6 min, 2.5 h, 3.1 days."""
    if seconds < 0.95:
        return f"{seconds:.1f} s"
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    if seconds < 99.5 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.2g} h" if seconds < 48 * 3600 else f"{seconds / 86400:,.2g} days"


def _texts(rows: list[dict[str, Any]], key: str, form: str) -> list[str]:
    return ["-" if row[key] is None else format(row[key], form) for row in rows]
