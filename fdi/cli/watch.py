"""Shows how a sweep goes on, whatever launcher runs its cells: a line when a cell ends, and on a
terminal or in a notebook a bar. It reads the files of the cells, as fdi-status does.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from fdi.cli.cells import Cell
from fdi.cli.jupyter import Bar, is_notebook
from fdi.cli.labels import label, varied
from fdi.cli.tables import console
from fdi.track.layout import STATUS
from fdi.track.process import repeated
from fdi.track.state import last_line, progress, whole_result

PAUSE = 0.5  # s between two looks, longer where a look takes long


class Watch:
    """The cells of a sweep that have not ended yet."""

    def __init__(self, cells: list[Cell], left: list[Cell], out: Any) -> None:
        self.total, self.left, self.out = len(cells), list(left), out
        self.keys = varied(cell.overrides for cell in cells)
        self.started, self.ended, self.first = time.monotonic(), 0, self.total - len(left)
        self.before = {cell.directory: _written(cell.directory) for cell in left}
        self.refusals: set[str] = set()

    def look(self) -> str:
        """A line for each cell that has ended since the last look; returns what runs now."""
        running, left = [], []
        for cell in self.left:
            status = progress(cell.directory)
            if status["state"] == "running":
                running.append(f"{status.get('epoch', 0)}/{status.get('epochs') or '?'}")
            if self._ended(cell, status):
                self.ended += 1
                self.out.print(self._line(cell, status))
            else:
                left.append(cell)
        self.left = left
        return f"epoch {', '.join(running)}" if running else ""

    def _ended(self, cell: Cell, status: dict[str, Any]) -> bool:
        """Whether it came to an end in this sweep."""
        if status["state"] not in ("done", "probed", "failed"):
            return False
        return _written(cell.directory) != self.before[cell.directory]

    def _line(self, cell: Cell, status: dict[str, Any]) -> str:
        words = f"cell {self.first + self.ended}/{self.total}  {label(cell, self.keys)}"
        if status.get("refused"):
            return f"{words}  refused{self._reason(status)}"
        if status["state"] == "failed":
            return f"{words}  failed: {last_line(status.get('error'))}"
        if status["state"] == "probed":
            return f"{words}  probed{self._time_left()}"
        result = whole_result(cell.directory) or {}
        accuracy, seconds = result.get("test_accuracy_last"), result.get("seconds")
        parts = [
            f"{100 * accuracy:.1f} %" if accuracy is not None else "done",
            duration(seconds) if seconds is not None else "",
        ]
        return f"{words}  {' '.join(filter(None, parts))}{self._time_left()}"

    def _reason(self, status: dict[str, Any]) -> str:
        """Why a cell was refused, in full the first time only."""
        reason = last_line(status.get("error")).removeprefix("ValueError: ")
        if reason in self.refusals:
            return " for the same reason"
        self.refusals.add(reason)
        return f": {reason}"

    def _time_left(self) -> str:
        """By the cells that ended so far."""
        waiting = self.total - self.first - self.ended
        if not waiting:
            return ""
        return f", {duration((time.monotonic() - self.started) / self.ended * waiting)} left"


def _written(directory: Path) -> int | None:
    """When the state of a cell was written, for comparison only: its clock may be another's."""
    try:
        return (directory / STATUS).stat().st_mtime_ns
    except OSError:
        return None


@contextmanager
def watching(cells: list[Cell], left: list[Cell]) -> Iterator[None]:
    """Show what becomes of the cells that are `left` while the block runs."""
    out = console()
    bar = Bar() if is_notebook(out.file) else _bar(out)
    watch = Watch(cells, left, out)
    with bar:
        task = bar.add_task("", total=watch.total, completed=watch.first)

        def look() -> None:
            now = watch.look()
            bar.update(task, completed=watch.first + watch.ended, description=now)

        try:
            with repeated(look, "watch", PAUSE, rest=20):
                yield
        finally:
            look()


def _bar(out: Console) -> Progress:
    return Progress(
        TextColumn("cell"),
        MofNCompleteColumn(),
        BarColumn(bar_width=24),
        TextColumn("{task.description}"),
        console=out,
        transient=True,
        disable=not out.is_terminal,
    )


def duration(seconds: float) -> str:
    """0.3 s, 12 s, 6 min, 2.5 h, 3.1 days."""
    if seconds < 0.95:
        return f"{seconds:.1f} s"
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    if seconds < 99.5 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 48 * 3600 else f"{seconds / 86400:.1f} days"
