"""The tables that go from room to room, by name: types that say which columns a table has at least.
They are checked where a table that somebody else made comes in.
"""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple, get_args

import pandas as pd

from fdi.analysis.collect import KEYS
from fdi.config import Mistake


class Columns(NamedTuple):
    """Those that a table has at least, and where it comes from."""

    names: tuple[str, ...]
    origin: str


Runs = Annotated[
    pd.DataFrame, Columns((*KEYS, "test_accuracy_last"), "fdi.results gives tables of runs")
]
"""A row for each run: fdi.analysis.collect."""
Curves = Annotated[pd.DataFrame, Columns((*KEYS, "epoch", "phase"), "fdi.curves gives them")]
"""A row for each run and epoch: fdi.analysis.metrics."""
Probe = Annotated[pd.DataFrame, Columns((*KEYS, "population"), "fdi.analysis.probes reads them")]
"""A row for each run and population: fdi.analysis.probes."""
Summary = Annotated[
    pd.DataFrame,
    Columns(("n", "accuracy", "versus", "verdict"), "fdi.analysis.summary.summarize makes it"),
]
"""A row for each condition: fdi.analysis.summary."""
Page = Annotated[pd.DataFrame, Columns(("source",), "see fdi/figures/__init__.py")]
"""What one picture shows, and, the same in all rows, where it comes from."""


def checked(table: pd.DataFrame, kind: Any, what: str) -> pd.DataFrame:
    """The table. Raises fdi.Mistake where it lacks columns of its `kind`, one of the types above;
    `what` it is, in words.
    """
    columns: Columns = get_args(kind)[1]
    if lacking := [name for name in columns.names if name not in table]:
        raise Mistake(f"{what} lacks the columns {', '.join(lacking)}; {columns.origin}")
    return table
