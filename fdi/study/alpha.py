"""Recurrent layers: does each source get the share of the variance that alpha gives it, and what
does alpha do to training?
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from fdi.analysis.contrasts import accuracies, moments
from fdi.analysis.results import Results
from fdi.analysis.select import groups
from fdi.figures import marks, sheet, style, words
from fdi.figures.sweeps import levels, source, sweeps, swept, usual

PLACE, TITLE = 15, "Recurrent layers"
ABOUT = (
    "the feed-forward share alpha of a recurrent layer: as set and as measured, and accuracy "
    "and rate against it"
)
NEEDS = "a simulation, or runs with at least three values of init.alpha"
COMMAND = "python scripts/study/simulate_states.py alpha; fdi-run -m experiment=recurrent_alpha"
SIZE = (style.COLUMN, 1.5)
NEAR = 0.1  # of the share that was set
TITLES = {
    "share": "measured share",
    "sigma_u": "measured $\\sigma_U$ (threshold)",
    "accuracy": "test accuracy (%)",
    "after": "rate after training (Hz)",
}
SOURCES = {
    "auto": "rates of the layer taken from the input",
    "propagate": "rates of the layer measured",
}


def data(results: Results) -> dict[str, pd.DataFrame]:
    """Page -> a row per quantity and point: quantity, init, line, x (alpha), mean, sd, n, title,
    source.

    The page "" holds the simulation of scripts/study/states/alpha.py, the others runs of recurrent
    networks.
    """
    pages = {}
    simulated = results.csv("alpha")
    if len(simulated):
        parts = [
            moments(simulated, ["nu", "alpha"], quantity, most=most).assign(quantity=quantity)
            for quantity, most in (("share", 1.0), ("sigma_u", float("inf")))
        ]
        table = pd.concat(parts, ignore_index=True).rename(columns={"nu": "line", "alpha": "x"})
        pages[""] = table.assign(
            init="fluct",
            finding=f"Does the input from below get the share $\\alpha$ of the variance? "
            f"{_share(table)}",
            title=f"a recurrent layer before training, simulated: {sheet.OVER}",
            source=simulated["source"].iloc[0],
        )
    recurrent = results.runs[_recurrent(results.runs)]
    for (dataset, model), group in sweeps(
        recurrent, lambda runs: levels(runs, "init.alpha", "fluct") >= 3
    ):
        fluct = swept(group, "fluct", "init.alpha")
        others = usual(group[group["init"] == "kaiming"])
        chosen = pd.concat([fluct.assign(x=fluct["init.alpha"]), others.assign(x=float("nan"))])
        chosen = chosen.assign(
            after=chosen.filter(like="rate/").mean(axis=1),
        )
        parts = [
            accuracies(chosen, ["init", "x"]).assign(quantity="accuracy"),
            moments(chosen, ["init", "x"], "after").assign(quantity="after"),
        ]
        swept_rows = parts[0].dropna(subset="x")
        top = swept_rows.loc[swept_rows["mean"].idxmax()]
        pages[f"{dataset}_{model}"] = pd.concat(parts, ignore_index=True).assign(
            line="",
            finding="How much of the variance should be feed-forward? Accuracy is highest, "
            f"{top['mean']:.0f} %, at $\\alpha$ = {top['x']:g}",
            title=f"{words.setting(chosen, 'epochs')}: {sheet.OVER}",
            source=source(chosen),
        )
    return pages


def _share(table: pd.DataFrame) -> str:
    """From which alpha on the measured share, with the rates of the layer measured, is the one that
    was set.
    """
    rows = table[(table["quantity"] == "share") & (table["line"] == "propagate")].sort_values("x")
    off = rows[(rows["mean"] - rows["x"]).abs() > NEAR]
    start = rows.loc[rows["x"] > (off["x"].max() if len(off) else -1.0), "x"].min()
    return f"Within {NEAR:g} from $\\alpha$ = {start:g} on" if pd.notna(start) else "At none"


def panels(page: pd.DataFrame) -> list[list[str]]:
    """Two panels side by side."""
    return [list(page["quantity"].unique())]


def draw(page: pd.DataFrame, axes: Mapping[str, Axes]) -> None:
    """A line over alpha; Kaiming, which has no alpha, as a horizontal one with its interval."""
    handles = {}
    for (quantity, init, line), rows in groups(page, ["quantity", "init", "line"], sort=False):
        number = list(page["line"].unique()).index(line)
        label = SOURCES.get(line, f"rate: {line}") if line else words.init(init)
        handles[label] = sheet.entry(
            init, rows["n"].min(), rows["n"].max(), number=number, label=label
        )
        look = style.look(init, number)
        if line:
            look["color"] = style.shades(4)[1::2][number % 2]
            handles[label].set_color(look["color"])
        if rows["x"].isna().all():
            marks.level(axes[quantity], rows.iloc[0], look)
            handles[label].set_marker("")
        else:
            marks.points(axes[quantity], rows, look)
    for quantity, panel in axes.items():
        panel.set_title(TITLES[quantity])
        panel.set_xlabel("$\\alpha$: share from below")
        panel.set_xlim(0, 1.03)
        panel.set_xticks([0, 0.5, 1])
        panel.set_xticks(page["x"].dropna().unique(), minor=True)
        if quantity == "accuracy":
            marks.percent(panel, page[page["quantity"] == quantity])
        elif quantity == "share":
            panel.set_ylim(0, 1.03)
        else:
            marks.from_zero(panel)
    if "share" in axes:
        axes["share"].plot([0, 1], [0, 1], color="black", linewidth=0.8, linestyle=":", zorder=1)
        axes["sigma_u"].axhline(1.0, color="black", linewidth=0.8, linestyle=":", zorder=1)
        axes["sigma_u"].set_yscale("log")
        shown = page[page["quantity"] == "sigma_u"]
        least = shown[["mean", "low"]].where(shown[["mean", "low"]] > 0).min(axis=None)
        axes["sigma_u"].set_ylim(
            min(0.5, least / 1.3), 1.3 * shown[["mean", "high"]].max(axis=None)
        )
        axes["sigma_u"].set_yticks([0.5, 1, 3, 10, 30], ["0.5", "1", "3", "10", "30"])
        axes["sigma_u"].minorticks_off()
        expected: style.Look = {"color": "black", "linewidth": 0.8, "linestyle": ":"}
        handles["expected"] = Line2D([], [], **expected, label="as set")
    first = page.iloc[0]
    figure = next(iter(axes.values())).figure
    sheet.above(figure, list(handles.values()), first["finding"], first["title"])


def _recurrent(runs: pd.DataFrame) -> pd.Series:
    """Which runs have weights within a layer."""
    wired = pd.Series(False, index=runs.index)
    for column in runs.columns.intersection(
        ["model.recurrent", "model.recurrent_kernel", "model.recurrent_excitation"]
    ):
        wired |= ~runs[column].astype(str).isin(["False", "0", "0.0", "nan", "None"])
    return wired
