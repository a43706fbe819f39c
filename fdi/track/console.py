"""What a person sees of a run: a progress bar on a terminal, a line an epoch in a log."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
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
from rich.table import Table

from fdi.snn.outcome import Outcome


class Reporter:
    """Shows the epochs of one training."""

    def __init__(
        self, console: Console, epochs: int, samples: int, bar: Progress | None, done: int
    ) -> None:
        self.console, self.epochs, self.samples, self.bar = console, epochs, samples, bar
        self.epoch, self.valid = done, ""
        self.task = None if bar is None else bar.add_task("", total=epochs, completed=done, what="")

    def batch(self, done: int, outcome: Outcome) -> None:
        if self.bar is not None:
            what = f"accuracy {outcome.correct / outcome.samples:.3f}  {self.valid}"
            self.bar.update(self.task, completed=self.epoch + done / self.samples, what=what)

    def row(self, row: dict[str, Any]) -> None:
        self.epoch = row["epoch"]
        rates = [value for key, value in row.items() if key.startswith("rate/")]
        validation = f"validation {row['valid/accuracy']:.3f}  " if "valid/accuracy" in row else ""
        self.valid = f"{validation}rate {min(rates):.1f}-{max(rates):.1f} Hz"
        if self.bar is None:
            self.console.print(
                f"epoch {self.epoch:>{len(str(self.epochs))}}/{self.epochs}  {row['phase']}  loss "
                f"{row['train/loss']:.4f}  "
                f"accuracy {row['train/accuracy']:.3f}  {self.valid}  {row['seconds']:.2f} s",
                soft_wrap=True,
                highlight=False,
            )
        else:
            self.bar.update(
                self.task,
                completed=self.epoch,
                what=f"accuracy {row['train/accuracy']:.3f}  {self.valid}",
            )


@contextmanager
def reporter(console: Console, epochs: int, samples: int, done: int) -> Iterator[Reporter]:
    """A Reporter for `epochs` epochs of `samples` samples, `done` of them already finished."""
    if not console.is_terminal:
        yield Reporter(console, epochs, samples, None, done)
        return
    columns = (
        TextColumn("epoch"),
        MofNCompleteColumn(),
        BarColumn(bar_width=24),
        TextColumn("{task.fields[what]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(elapsed_when_finished=False),
    )
    with Progress(*columns, console=console) as bar:
        yield Reporter(console, epochs, samples, bar, done)


_PROBE_LINES = (
    ("neurons", "neurons", "d"),
    ("mean of U: target", "target_mu_u", ".2f"),
    ("  theory", "theory_mu_u", ".2f"),
    ("  measured", "free_mean", ".2f"),
    ("  with reset", "mean", ".2f"),
    ("spread of U over time: target", "target_sigma_u", ".2f"),
    ("  theory", "theory_sigma_u", ".2f"),
    ("  measured", "free_sigma", ".2f"),
    ("  with reset", "sigma", ".2f"),
    ("spread of the means over neurons", "free_sigma_neurons", ".2f"),
    ("  with reset", "sigma_neurons", ".2f"),
    ("rate (Hz)", "rate", ".1f"),
    ("silent neurons", "silent", ".0%"),
    ("saturated neurons", "saturated", ".0%"),
    ("norm of the gradient", "grad", ".2g"),
)


def probe_table(rows: list[dict[str, Any]], title: str) -> Table:
    """The rows of fdi.init.probe for a person, a column a population."""
    table = Table(
        title=title,
        caption="U in units where rest is 0; without reset, as the theory has it, unless said",
    )
    table.add_column("")
    for row in rows:
        table.add_column(row["population"], justify="right")
    for label, key, style in _PROBE_LINES:
        table.add_row(
            label, *("-" if row[key] is None else format(row[key], style) for row in rows)
        )
    return table
