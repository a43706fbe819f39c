"""The accuracies behind a figure as a markdown table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from fdi.analysis.collect import ACCURACY, SHARED
from fdi.analysis.conditions import differing, moments, newest, where
from fdi.analysis.results import Results
from fdi.analysis.statistics import PERCENT, Comparison, better_or_worse
from fdi.figures.catalogue import FIGURES, pages_of

OTHERS = (*SHARED, "readout_init")
"""Columns without a dot that must agree as well."""
NAMES = ("model.depth", "dataset.name")
"""What `layers`, and the hash of the data, say better."""
PRECISION = "optimizer.precision"
LONG = {
    "shallow": {"init": "init", "x": "sigma_U"},
    "recurrent_alpha": {"init": "init", "x": "alpha"},
    "calibrated": {"line": "init"},
    "gain": {"layers": "layers", "init": "init", "x": "gain"},
    "learning_rate": {
        "layers": "layers",
        "optimizer": "optimizer",
        "init": "init",
        "x": "chosen step",
    },
    "readout": {"layers": "layers", "x": "readout", "init": "hidden"},
    "dale": {"init": "init", "x": "sigma_U"},
    "depth": {"x": "layers", "init": "init", "shade": "sigma_U"},
    "instead": {"layers": "layers", "x": "condition", "init": "init"},
}
"""Figure -> column of a page -> its name in the table."""


def behind(name: str, measured: Results) -> str:
    """The accuracies behind a figure as markdown, one table per page."""
    pages = [
        page
        for page in pages_of(FIGURES[name], measured).values()
        if "verdict" in page and "title" in page and _compares(page, LONG[name])
    ]
    tables = [f"{_title(page)}\n\n{_table(page, LONG[name])}" for page in pages]
    return "\n".join(tables) or unmeasured(FIGURES[name].COMMAND)


def _compares(page: pd.DataFrame, columns: Mapping[str, str]) -> bool:
    """Whether there are several initializations on the page."""
    states = [name for name, title in columns.items() if title in ("init", "sigma_U", "gain")]
    return len(page[[name for name in states if name in page]].drop_duplicates()) > 1


def _title(page: pd.DataFrame) -> str:
    return page["title"].iloc[0].partition(":")[0]


def _table(page: pd.DataFrame, columns: dict[str, str]) -> str:
    part = page.get("quantity", page.get("part"))
    rows = page if part is None else page[part.isin(["accuracy", "sigma"])]
    if "chosen" in rows and "optimizer" in rows:  # of each sweep of the step size the chosen one
        rows = rows[rows["chosen"]]
    rows = rows.sort_values(list(columns), kind="stable")
    shown = rows[list(columns)].rename(columns=columns)
    shown = shown.map(
        lambda value: value if isinstance(value, str) else "-" if pd.isna(value) else f"{value:.2g}"
    )
    records = rows.to_dict("records")
    texts = {
        "test accuracy (%)": [cell(row) for row in records],
        "minus kaiming": [versus(row) for row in records],
    }
    return markdown(shown.assign(**texts))


def cell(row: Mapping[str, Any]) -> str:
    """Mean, 95 % interval and number of seeds."""
    interval = "" if pd.isna(row["low"]) else f" ({row['low']:.1f}..{row['high']:.1f})"
    return f"{row['mean']:.1f}{interval}, n = {row['n']}"


def accuracy(runs: pd.DataFrame) -> str:
    """`cell` of the test accuracy in percent of networks of one depth; "" of no runs."""
    rows = averaged(runs, ["layers"]).to_dict("records")
    return cell(rows[0]) if rows else ""


def averaged(runs: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """`moments` of the test accuracy in percent, of `alike` runs."""
    return moments(alike(runs, by), by, ACCURACY, PERCENT)


def alike(runs: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """Of each combination of `by` the runs of the newest numerics, and of one precision of the
    optimizer, that with the most seeds. Raises ValueError where these differ in anything else.
    """
    kept = []
    for cell, of in runs.groupby(list(by), dropna=False):
        of = newest(of)
        if PRECISION in of and len(of):
            seeds = of.groupby(PRECISION, dropna=False)["seed"].nunique()
            of = where(of, {PRECISION: seeds.idxmax()})
        kept.append(of)
        differ = [name for name in differing(of, *by, *NAMES) if "." in name or name in OTHERS]
        if differ:
            raise ValueError(f"{cell}: one cell for runs that differ in {', '.join(differ)}")
    return pd.concat([runs.iloc[:0], *kept])


def versus(row: Mapping[str, Any]) -> str:
    """The difference to Kaiming weights, its interval, and the verdict."""
    if pd.isna(row["versus"]):
        return ""
    known = not pd.isna(row["versus_low"])
    interval = f" ({row['versus_low']:+.1f}..{row['versus_high']:+.1f})" if known else ""
    return f"{row['versus']:+.1f}{interval} {row['verdict']}".strip()


def difference(found: Comparison) -> str:
    """A mean difference, its interval, and the verdict."""
    return f"{with_interval(found)}, {better_or_worse(found.mean, found.p)}"


def with_interval(found: Comparison) -> str:
    """A mean difference and its interval alone."""
    return f"{found.mean:+.1f} ({found.low:+.1f}..{found.high:+.1f})"


def having(runs: pd.DataFrame, *columns: str) -> pd.DataFrame:
    """The runs with these columns, empty where there were none."""
    return runs.reindex(columns=runs.columns.union(columns, sort=False))


def listed(rows: Sequence[Mapping[str, Any]], command: str = "") -> str:
    """A table of these rows, or the `command` that makes runs for it."""
    return markdown(pd.DataFrame(rows)) if rows else unmeasured(command)


def unmeasured(command: str = "") -> str:
    return f"*Not measured yet{f': `{command}`' if command else ''}.*\n"


def markdown(table: pd.DataFrame) -> str:
    lines = [list(table), ["---"] * table.shape[1], *table.itertuples(index=False)]
    return "".join(f"| {' | '.join(map(str, line))} |\n" for line in lines)
