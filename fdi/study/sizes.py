"""Speed by size: one training step of the fastest other library over one of fdi."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from fdi.analysis.collect import Page, Pages
from fdi.analysis.results import Results
from fdi.figures import marks, sheet, style
from fdi.study import looks, speed

PLACE, TITLE = 20, "Speed by size"
ABOUT = "how many times as long as fdi the fastest other library takes, over sizes of a network"
NEEDS = "a benchmark"
COMMAND = "python scripts/bench.py --map"
SIZE = (style.COLUMN, 1.75)
GOAL = 3
COLUMNS = {
    "batch": "batch",
    "hidden units": "units",
    "recurrent units": "units",
    "inputs that spike in a step": "density",
    "time steps": "steps",
}
"""Axes, and the column in which they differ."""


def data(results: Results) -> Pages:
    """The table of scripts/benchmark/sizes.py."""
    table = results.csv("bench_sizes")
    if table.empty:
        return {}
    machine = f"bench_sizes.csv, {table['machine'].iloc[0]}, one thread, CPU time"
    return {"": (fastest(table).assign(source=machine), None)}


def fastest(table: pd.DataFrame) -> pd.DataFrame:
    """The row of the fastest library but fdi at each size."""
    others = table[table["library"] != "fdi"].fillna({"axis": ""})
    sizes = ["axis", *dict.fromkeys(COLUMNS.values()), "recurrent"]
    return others.loc[others.groupby(sizes, sort=False)["ratio"].idxmin()]


def panels(page: Page) -> list[list[str]]:
    """Three beside each other; the last one as wide as two."""
    one, two, three, four, last = COLUMNS
    return [[one, two, three], [four, last, last]]


def draw(page: Page, axes: Mapping[str, Axes]) -> None:
    """A line for each axis, with a dot in the colour of the library that is fastest there."""
    looks_of = zip(dict.fromkeys(page["library"]), style.OTHER_COLORS, speed.MARKERS)
    dots: dict[str, style.Look] = {
        name: {"color": color, "marker": marker, "markersize": 4, "linestyle": ""}
        for name, color, marker in looks_of
    }
    for axis, column in COLUMNS.items():
        panel, rows = axes[axis], page[page["axis"] == axis].sort_values(column)
        panel.plot(rows[column], rows["ratio"], color="black", linewidth=0.8)
        for row in rows.itertuples():
            panel.plot(getattr(row, column), row.ratio, **dots[row.library])
        panel.axhline(GOAL, color=looks.ACCENT, linewidth=0.8, linestyle="--")
        panel.axhline(1, color=style.GREY, linewidth=0.7, linestyle=":")
        marks.log_axis(panel, rows[column])
        panel.set_yscale("log")
        panel.set_ylim(page["ratio"].min() / 1.5, page["ratio"].max() * 1.5)
        panel.yaxis.set_major_formatter("{x:g}")
        panel.set_xlabel(axis)
    for row in panels(page):
        axes[row[0]].set_ylabel("time over that of fdi")
    handles = [Line2D([], [], **look, label=name) for name, look in dots.items()]
    handles.append(
        Line2D([], [], color=looks.ACCENT, linestyle="--", linewidth=0.8, label=f"{GOAL} times")
    )
    least, most = (f"{ratio:.2g}" for ratio in (page["ratio"].min(), page["ratio"].max()))
    sheet.above(
        axes["batch"].figure,
        handles,
        f"Is fdi the fastest at every size? The fastest other library takes {least} to {most} "
        f"times as long",
        "training step of a network with one hidden layer, of whose sizes one differs at a time",
    )
