"""`dry_run`: which cells a command asks for, where they are kept and how far they are."""

from __future__ import annotations

from collections.abc import Sequence

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from fdi.cli.cells import Cell
from fdi.cli.cost import estimate
from fdi.cli.labels import LABELS, chosen, varied
from fdi.cli.summary import counted
from fdi.cli.tables import console
from fdi.track.layout import SAID
from fdi.track.state import finished, progress

STATE = 11  # characters of the longest state


class Composing:
    """Shows cells while they are composed: a bar on a terminal and, for a dry run, a line each with
    its state, its directory, and what the directory does not say.
    """

    def __init__(self) -> None:
        self.out = console()
        columns = (TextColumn("composing"), BarColumn(), MofNCompleteColumn(), TextColumn("cells"))
        self.bar = Progress(
            *columns, console=self.out, transient=True, disable=not self.out.is_terminal
        )
        self.task: TaskID | None = None
        self.keys: list[str] = []
        self.states: dict[str, str] = {}

    def __call__(self, cell: Cell, combinations: Sequence[Sequence[str]]) -> None:
        if self.task is None:
            self.task = self.bar.add_task("", total=len(combinations))
            self.keys = [key for key in varied(combinations) if key not in (*LABELS, "seed")]
        self.bar.advance(self.task)
        directory = str(cell.directory)
        if cell.values["dry_run"] and directory not in self.states:
            self.states[directory] = progress(cell.directory)["state"]
            self._line(self.states[directory], directory, " ".join(chosen(cell, self.keys)))

    def _line(self, state: str, directory: str, words: str) -> None:
        line = f"{SAID.get(state, state):<{STATE}}  {directory}"
        if words and len(line) + len(words) + 2 > self.out.width:
            line += f"\n{' ' * STATE}  {words}"
        elif words:
            line += f"  {words}"
        self.out.print(line)

    def end(self, cells: Sequence[Cell]) -> None:
        """Print how many cells there are of each state, and what the others will cost."""
        self.out.print(counted(self.states.values()))
        left = [cell for cell in cells if not finished(cell.directory, cell.values["probe"])]
        if cost := estimate(left):
            self.out.print(cost)
