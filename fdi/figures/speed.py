"""Speed: the time of one training step in fdi and in other libraries, from the benchmark."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from fdi.analysis.results import Results
from fdi.figures import style

ABOUT = "time of a training step (forward, loss, backward, optimizer) of fdi and of other libraries"
NEEDS = "a benchmark"
COMMAND = "make bench"
SIZE = (style.COLUMN, 1.05)
OURS = {"fdi": style.color("fluct"), "reference": style.SEQUENCE[0]}
FLOORS = {
    "dense_floor_ms": {
        "linestyle": (0, (4, 2)),
        "label": "floor of the dense algorithm on this machine",
    },
    "event_floor_ms": {"linestyle": "-", "label": "floor of the event-driven algorithm of fdi"},
}
"""Column of the table -> how it is drawn."""


def data(results: Results) -> dict[str, pd.DataFrame]:
    """The table of scripts/bench.py."""
    table = results.table("bench")
    return {} if table.empty else {"": page(table)}


def page(table: pd.DataFrame) -> pd.DataFrame:
    """A table of scripts/bench.py with a line that says what was measured where."""
    first = table.iloc[0]
    return table.assign(
        source=f"bench.csv, {first['machine']}, {first['threads']} threads, torch {first['torch']}"
    )


def panels(page: pd.DataFrame) -> list[list[str]]:
    """A panel a workload."""
    return [[workload] for workload in page["workload"].unique()]


def draw(page: pd.DataFrame, axes: Mapping[str, Axes]) -> None:
    """Bars on a logarithmic axis, the fastest on top, with the times; lines for the floors of a
    table that has them.
    """
    floors = [column for column in FLOORS if column in page]
    lowest, top = page[["median_ms", *floors]].min().min() / 3, 4 * page["median_ms"].max()
    for workload, rows in page.groupby("workload", sort=False):
        panel, ordered = axes[workload], rows.sort_values("median_ms", ascending=False)
        panel.barh(
            ordered["library"],
            ordered["median_ms"],
            color=[OURS.get(name, style.GREY) for name in ordered["library"]],
            height=0.7,
        )
        for place, row in enumerate(ordered.itertuples()):
            panel.text(
                1.1 * row.median_ms,
                place,
                _label(row.median_ms, row.above_floor if floors and row.library == "fdi" else None),
                va="center",
                fontsize=5.5,
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5},
            )
        for column in floors:
            panel.axvline(
                ordered[column].iloc[0],
                color="black",
                linewidth=0.7,
                linestyle=FLOORS[column]["linestyle"],
            )
        panel.set_xscale("log")
        panel.set_xlim(lowest, top)
        panel.tick_params(axis="y", length=0, labelsize=6)
        panel.set_title(rows["about"].iloc[0])
        panel.minorticks_off()
    last = axes[page["workload"].iloc[-1]]
    last.set_xlabel("one training step (ms)")
    if floors:
        style.legend(
            last.figure,
            [Line2D([], [], color="black", linewidth=0.7, **FLOORS[column]) for column in floors],
            "",
        )


def _label(ms: float, above_floor: float | None) -> str:
    time = f"{ms:,.0f} ms" if ms >= 100 else f"{ms:.3g} ms"
    return time if above_floor is None else f"{time}, {above_floor:.2g} x its floor"
