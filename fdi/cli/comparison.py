"""The summary of a table of runs on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fdi.analysis.conditions import LABELS
from fdi.analysis.render import counted, keys, notes, readable
from fdi.cli.tables import console, print_note, print_table

if TYPE_CHECKING:
    import pandas as pd


def print_comparison(table: pd.DataFrame, summary: pd.DataFrame) -> None:
    """The `summary` of a table of runs, and what is not in its statistics."""
    out = console()
    rows = readable(summary)
    same = [name for name in LABELS if rows[name].nunique() == 1] if len(rows) > 1 else []
    if same:
        out.print(", ".join(rows[name].iloc[0] for name in same))
    columns = {str(name): list(rows[name]) for name in rows if name not in same}
    print_table(out, columns, [name for name in columns if name in keys(summary)])
    print_note(out, notes(summary))
    for line in counted(table):
        out.print(line)
