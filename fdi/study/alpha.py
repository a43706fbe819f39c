"""Recurrent layers: does each source get the share of the variance that alpha gives it? What alpha
does to training is the figure of experiment=recurrent_alpha.
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from fdi.analysis.collect import Page, Pages
from fdi.analysis.conditions import groups, moments
from fdi.analysis.results import Results
from fdi.figures import marks, sheet, style
from fdi.study import looks

PLACE, TITLE = 15, "Recurrent layers"
ABOUT = "the feed-forward share alpha of a recurrent layer: as set and as measured"
NEEDS = "a simulation"
COMMAND = "python scripts/study/simulate_states.py alpha"
SIZE = (style.COLUMN, 1.6)
NEAR = 0.1  # of the share that was set
TITLES = {"share": "measured share", "sigma_u": "measured $\\sigma_U$ (threshold)"}
SOURCES = {
    "auto": "rates of the layer taken from the input",
    "propagate": "rates of the layer measured",
}
EXPECTED: style.Look = {"color": "black", "linewidth": 0.8, "linestyle": ":"}


def data(results: Results) -> Pages:
    """Page "" -> a row per quantity and point of scripts/study/states/alpha.py: quantity, init,
    line, x (alpha), mean, sd, n, title, source.
    """
    simulated = results.csv("alpha")
    if simulated.empty:
        return {}
    parts = [
        moments(simulated, ["nu", "alpha"], quantity, most=most).assign(quantity=quantity)
        for quantity, most in (("share", 1.0), ("sigma_u", float("inf")))
    ]
    table = pd.concat(parts, ignore_index=True).rename(columns={"nu": "line", "alpha": "x"})
    page = table.assign(
        init="fluct",
        finding=f"Does the input from below get the share $\\alpha$ of the variance? "
        f"{_share(table)}",
        title="a recurrent layer before training, simulated",
        source=simulated["source"].iloc[0],
    )
    return {"": (page, None)}


def _share(table: pd.DataFrame) -> str:
    """From which alpha on the measured share, with the rates of the layer measured, is the one that
    was set.
    """
    rows = table[(table["quantity"] == "share") & (table["line"] == "propagate")].sort_values("x")
    off = rows[(rows["mean"] - rows["x"]).abs() > NEAR]
    start = rows.loc[rows["x"] > (off["x"].max() if len(off) else -1.0), "x"].min()
    return f"Within {NEAR:g}, from $\\alpha$ = {start:g} on" if pd.notna(start) else "At none"


def panels(page: Page) -> list[list[str]]:
    """Two panels side by side."""
    return [list(page["quantity"].unique())]


def draw(page: Page, axes: Mapping[str, Axes]) -> None:
    """Share and spread over alpha, a line for each source of the rates of the layer."""
    handles = []
    lines = list(page["line"].unique())
    for (init, line), rows in groups(page, ["init", "line"], sort=False):
        number = lines.index(line)
        look = style.init_look(init, number) | {"color": looks.shades(4)[1::2][number % 2]}
        handles.append(sheet.legend_entry(look, SOURCES[line], rows["n"]))
        for quantity, points in groups(rows, "quantity", sort=False):
            marks.points(axes[quantity], points, look)
    for quantity, panel in axes.items():
        panel.set_title(TITLES[quantity])
        panel.set_xlabel("$\\alpha$: share from below")
        panel.set_xlim(0, 1.03)
        panel.set_xticks([0, 0.5, 1])
        panel.set_xticks(page["x"].unique(), minor=True)
    axes["share"].set_ylim(0, 1.03)
    axes["share"].plot([0, 1], [0, 1], zorder=1, **EXPECTED)
    spread = axes["sigma_u"]
    spread.axhline(1.0, zorder=1, **EXPECTED)
    spread.set_yscale("log")
    shown = page.loc[page["quantity"] == "sigma_u", ["mean", "low", "high"]]
    least = shown[["mean", "low"]].where(shown[["mean", "low"]] > 0).min(axis=None)
    spread.set_ylim(min(0.5, least / 1.3), 1.3 * shown[["mean", "high"]].max(axis=None))
    spread.set_yticks([0.5, 1, 3, 10, 30], ["0.5", "1", "3", "10", "30"])
    spread.minorticks_off()
    handles.append(Line2D([], [], **EXPECTED, label="as set"))
    sheet.head(axes, handles, page)
