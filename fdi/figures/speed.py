"""Speed: the time of one training step in fdi and in other libraries, from the benchmark."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes

from fdi.analysis.results import Results
from fdi.figures import style

ABOUT = "time of a training step (forward, loss, backward, optimizer) of fdi and of other libraries"
NEEDS = "a benchmark"
COMMAND = "make bench"
SIZE = (style.COLUMN, 1.05)
OURS = {"fdi": style.color("fluct"), "reference": style.SEQUENCE[0]}


def data(results: Results) -> dict[str, pd.DataFrame]:
    """The table of scripts/bench.py."""
    table = results.table("bench")
    if table.empty:
        return {}
    first = table.iloc[0]
    return {"": table.assign(source=f"bench.csv, {first['machine']}, {first['threads']} threads, torch {first['torch']}")}


def panels(page: pd.DataFrame) -> list[list[str]]:
    """A panel a workload."""
    return [[workload] for workload in page["workload"].unique()]


def draw(page: pd.DataFrame, axes: Mapping[str, Axes]) -> None:
    """Bars on a logarithmic axis, the fastest on top, with the times."""
    top = 4 * page["median_ms"].max()
    for workload, rows in page.groupby("workload", sort=False):
        panel, ordered = axes[workload], rows.sort_values("median_ms", ascending=False)
        panel.barh(ordered["library"], ordered["median_ms"], color=[OURS.get(name, style.GREY) for name in ordered["library"]], height=0.7)
        for place, row in enumerate(ordered.itertuples()):
            panel.text(
                1.1 * row.median_ms,
                place,
                f"{row.median_ms:,.0f} ms" if row.median_ms >= 100 else f"{row.median_ms:.3g} ms",
                va="center",
                fontsize=5.5,
            )
        panel.set_xscale("log")
        panel.set_xlim(page["median_ms"].min() / 3, top)
        panel.tick_params(axis="y", length=0, labelsize=6)
        panel.set_title(rows["about"].iloc[0])
        panel.minorticks_off()
    last = page["workload"].iloc[-1]
    axes[last].set_xlabel("one training step (ms)")
