"""Tables that fit the terminal: what does not fit beside each other is printed below, never cut."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from fdi.cli.jupyter import is_notebook
from fdi.track.files import printable

WIDTH = 160  # characters, where there is no terminal to fit
GAP = 2  # between columns
ROW = "row"

Columns = Mapping[str, Sequence[str]]


class Plain(Console):
    """Prints text as it is, but for what a terminal would obey."""

    def print(self, *objects: Any, **options: Any) -> None:
        shown = [printable(str(o), "\n") if isinstance(o, str | Path) else o for o in objects]
        super().print(*shown, **options)


def console() -> Plain:
    """On the stdout of this moment: as wide as the terminal, or WIDTH."""
    made = Plain(
        file=sys.stdout,
        force_jupyter=False,
        force_terminal=False if is_notebook(sys.stdout) else None,  # it asks for colours
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
    if not made.is_terminal:
        made.width = WIDTH
    return made


def print_table(
    out: Console, columns: Columns, keys: Sequence[str], styles: Columns | None = None
) -> None:
    """Title -> its cells, as one table or several below each other, each with the columns `keys`;
    lines of a cell are separated by line ends. `styles`: those of the cells of some columns.
    """
    columns = {
        printable(name): [printable(str(cell), "\n") for cell in cells]
        for name, cells in columns.items()
    }
    keys = [printable(name) for name in keys]
    rows = len(next(iter(columns.values())))
    if _width(columns, keys) > out.width:
        columns = {ROW: [str(row) for row in range(1, rows + 1)], **columns}
        keys = [ROW]
    for names in _blocks(columns, keys, out.width):
        table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, collapse_padding=True)
        for name in names:
            numeric = name not in keys and all(cell[:1] in "+-0123456789" for cell in columns[name])
            table.add_column(Text(name), justify="right" if numeric else "left", no_wrap=True)
        room = out.width - _width(columns, keys) - GAP
        for row in range(rows):
            cells = [
                Text(
                    columns[name][row] if name in keys else _wrapped(columns[name][row], room),
                    style=styles[name][row] if styles and name in styles else "",
                )
                for name in names
            ]
            table.add_row(*cells)
        out.print(table, width=max(out.width, _width(columns, names)), crop=False)


def print_note(out: Console, text: str) -> None:
    """A paragraph, broken between words."""
    out.print(
        textwrap.fill(printable(text), out.width, break_long_words=False, break_on_hyphens=False)
    )


def _blocks(columns: Columns, keys: Sequence[str], width: int) -> Iterator[list[str]]:
    """The names of the columns that stand beside each other."""
    names = list(keys)
    for name in columns:
        if name in keys:
            continue
        if len(names) > len(keys) and _width(columns, [*names, name]) > width:
            yield names
            names = list(keys)
        names.append(name)
    yield names


def _width(columns: Columns, names: Sequence[str]) -> int:
    longest = [
        max(len(line) for cell in (name, *columns[name]) for line in [*cell.splitlines(), ""])
        for name in names
    ]
    return sum(longest) + GAP * (len(names) - 1)


def _wrapped(cell: str, room: int) -> str:
    wrapped = [
        textwrap.fill(line, max(room, 1), break_long_words=False, break_on_hyphens=False)
        for line in cell.splitlines()
    ]
    return "\n".join(wrapped)
