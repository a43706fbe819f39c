"""Recurrent layers: does each source get the share of the variance that alpha gives it, and what
does alpha do to training?
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes

from fdi.analysis.contrasts import accuracies, moments
from fdi.analysis.results import Results
from fdi.figures import legends, style
from fdi.figures.sweeps import levels, source, sweeps, swept, usual

PLACE, TITLE = 14, "Recurrent layers"
ABOUT = (
    "the feed-forward share alpha of a recurrent layer: asked for and measured, and accuracy "
    "and rate against it"
)
NEEDS = "a simulation, or runs with at least three values of init.alpha"
COMMAND = "python scripts/simulate_states.py alpha; fdi-run -m experiment=recurrent_alpha"
SIZE = (style.COLUMN, 1.5)
TITLES = {
    "share": "measured share",
    "sigma_u": "measured $\\sigma_U$ (threshold)",
    "accuracy": "test accuracy (%)",
    "after": "rate after training (Hz)",
}
HIGHEST = {"share": 1.03, "accuracy": 103}  # of an axis, with room for marks


def data(results: Results) -> dict[str, pd.DataFrame]:
    """Page -> a row per quantity and point: quantity, init, line, x (alpha), mean, sd, n, title,
    source.

    The page "" holds the simulation of scripts/states/alpha.py, the others runs of recurrent
    networks.
    """
    pages = {}
    simulated = results.table("alpha")
    if len(simulated):
        parts = [
            moments(simulated, ["nu", "alpha"], quantity).assign(quantity=quantity)
            for quantity in ("share", "sigma_u")
        ]
        table = pd.concat(parts, ignore_index=True).rename(columns={"nu": "line", "alpha": "x"})
        title = f"a recurrent layer before training: {legends.OVER}"
        pages[""] = table.assign(init="fluct", title=title, source=simulated["source"].iloc[0])
    recurrent = results.runs[_recurrent(results.runs)]
    for (dataset, model), found in sweeps(
        recurrent, lambda runs: levels(runs, "init.alpha", "fluct") >= 3
    ):
        fluct = swept(found, "fluct", "init.alpha")
        others = usual(found[found["init"] == "kaiming"])
        chosen = pd.concat([fluct.assign(x=fluct["init.alpha"]), others.assign(x=float("nan"))])
        chosen = chosen.assign(
            after=chosen.filter(like="rate/").mean(axis=1),
        )
        parts = [
            accuracies(chosen, ["init", "x"]).assign(quantity="accuracy"),
            moments(chosen, ["init", "x"], "after").assign(quantity="after"),
        ]
        title = f"{dataset}, {model}, {found['epochs'].iloc[0]:.0f} epochs: {legends.OVER}"
        pages[f"{dataset}_{model}"] = pd.concat(parts, ignore_index=True).assign(
            line="", title=title, source=source(chosen)
        )
    return pages


def panels(page: pd.DataFrame) -> list[list[str]]:
    """Two panels side by side."""
    return [list(page["quantity"].unique())]


def draw(page: pd.DataFrame, axes: Mapping[str, Axes]) -> None:
    """A line over alpha; Kaiming, which has no alpha, as a horizontal one."""
    handles = {}
    for (quantity, init, line), rows in page.groupby(["quantity", "init", "line"], sort=False):
        number = list(page["line"].unique()).index(line)
        label = f"nu = {line}" if line else init
        handles[label] = legends.entry(
            init,
            rows["n"].min(),
            rows["n"].max(),
            line=rows["x"].notna().all(),
            number=number,
            label=label,
        )
        if rows["x"].isna().all():
            axes[quantity].axhline(
                rows["mean"].iloc[0], color=style.color(init), linewidth=0.9, linestyle="--"
            )
            handles[label].set(linestyle="--", marker="")
        else:
            style.points(axes[quantity], rows, init, number=number)
    for quantity, panel in axes.items():
        panel.set_title(TITLES[quantity])
        panel.set_xlabel("$\\alpha$")
        panel.set_xlim(0, 1.03)
        panel.set_xticks([0, 0.5, 1])
        if quantity in HIGHEST:
            panel.set_ylim(0, HIGHEST[quantity])
        else:
            style.from_zero(panel)
    if "share" in axes:
        axes["share"].plot([0, 1], [0, 1], color="black", linewidth=0.8, linestyle=":", zorder=1)
        axes["sigma_u"].axhline(1.0, color="black", linewidth=0.8, linestyle=":", zorder=1)
        axes["sigma_u"].set_yscale("log")
        axes["sigma_u"].set_ylim(0.5, 30)
        axes["sigma_u"].set_yticks([0.5, 1, 3, 10, 30], ["0.5", "1", "3", "10", "30"])
        axes["sigma_u"].minorticks_off()
    legends.above(next(iter(axes.values())).figure, list(handles.values()), page["title"].iloc[0])


def _recurrent(runs: pd.DataFrame) -> pd.Series:
    """Which runs have weights within a layer."""
    wired = pd.Series(False, index=runs.index)
    for column in runs.columns.intersection(
        ["model.recurrent", "model.recurrent_kernel", "model.recurrent_excitation"]
    ):
        wired |= ~runs[column].astype(str).isin(["False", "0", "0.0", "nan", "None"])
    return wired
