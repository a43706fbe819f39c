"""Kaiming weights with a gain: in a feed-forward network fluctuation-driven weights are the gain
sigma_u / sqrt(nu eps_hat). Is training best where the theory says, and where do the baselines lie?
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, NullLocator

from fdi.analysis.contrasts import accuracies, best
from fdi.analysis.published import with_layers
from fdi.analysis.results import Results
from fdi.analysis.spread import of_unit_gain
from fdi.figures import legends, style, sweeps

PLACE, TITLE = 4, "Which gain trains best"
ABOUT = "accuracy against the gain of the weights, with the theory's range and the baselines in it"
NEEDS = "runs of init=gain with at least three gains"
COMMAND = "fdi-run -m experiment=gain"
SIZE = (style.COLUMN, 1.35)
SWEPT = "gain"
RECOMMENDED = (1 / 3, 1)  # sigma_u, in units of the threshold


def data(results: Results) -> dict[str, pd.DataFrame]:
    """Page -> a row per depth and point: layers, init, baseline, x (gain; of other initializations
    the one that causes their spread in the first layer), mean, sd, n, low, high, versus and its
    kin, verdict (against the gain of 1), chosen (has the best validation accuracy
    of the gains), unit (sigma_u that a gain of 1 causes), title, source.
    """
    pages = {}
    runs = results.runs[~results.runs["init"].isin(["fluct_mu", "kaiming"])]  # the latter: gain 1
    for (dataset, model), found in sweeps.sweeps(runs, _enough, ["model.depth"]):
        found = with_layers(found)
        gains = found[found["init"] == SWEPT]
        unit = of_unit_gain(gains, results)
        parts = [
            _depth(members, results, unit[dataset, model, layers])
            for layers, members in found.groupby("layers")
            if _enough(members)
        ]
        title = f"{dataset}, {model}, {found['epochs'].iloc[0]:.0f} epochs"
        pages[f"{dataset}_{model}"] = pd.concat(parts, ignore_index=True).assign(
            title=title, source=sweeps.source(found)
        )
    return pages


def _enough(runs: pd.DataFrame) -> bool:
    return sweeps.levels(runs, "init.gain", SWEPT) >= 3


def _depth(runs: pd.DataFrame, results: Results, unit: float) -> pd.DataFrame:
    """The rows of one depth."""
    first = results.layers.drop_duplicates("path").set_index("path")["theory_sigma_u"]
    others = sweeps.usual(runs[runs["init"] != SWEPT])
    others = others.assign(x=others["path"].map(first).astype(float) / unit)
    others = others.assign(x=others.groupby("init")["x"].transform("mean"))
    gains = runs[runs["init"] == SWEPT]
    points = pd.concat([gains.assign(x=gains["init.gain"]), others])
    table = accuracies(points, ["layers", "init", "baseline", "x"], base={"init": SWEPT, "x": 1})
    top = best(gains, ["layers"], "init.gain")["init.gain"].iloc[0]
    chosen = (table["init"] == SWEPT) & (table["x"] == top)
    return table.assign(chosen=chosen, unit=unit)


def panels(page: pd.DataFrame) -> list[list[str]]:
    """A panel a depth."""
    return [[f"{layers}"] for layers in page["layers"].unique()]


def draw(page: pd.DataFrame, axes: Mapping[str, Axes]) -> None:
    """A line over the gain, a point for each other initialization, a ring around the gain that
    validation chooses.
    """
    for layers, rows in page.groupby("layers"):
        panel = axes[f"{layers}"]
        low, high = (sigma_u / rows["unit"].iloc[0] for sigma_u in RECOMMENDED)
        panel.axvspan(low, high, color=style.BAND, linewidth=0, zorder=0)
        for init, points in rows.groupby("init"):
            style.points(panel, points.sort_values("x"), init, line=init == SWEPT)
        ring = rows[rows["chosen"]]
        panel.plot(ring["x"], ring["mean"], "o", **RING)
        panel.set_title(f"{layers} hidden layer{'s' * (layers > 1)}: test accuracy (%)")
        panel.set_ylim(10 * (page["low"].fillna(page["mean"]).min() // 10), 108)
        _axis(panel, page)
    last = axes[f"{page['layers'].max()}"]
    last.set_xlabel("gain g of W ~ N(0, g$^2$/fan-in)")
    handles = [
        legends.entry(init, rows["n"].min(), rows["n"].max(), line=init == SWEPT)
        for init, rows in page.groupby("init")
    ]
    handles += [
        Line2D([], [], **RING | {"linestyle": ""}, marker="o", label="best on validation"),
        Patch(color=style.BAND, label="$\\sigma_U$ of 1/3 to 1"),
    ]
    title = f"{page['title'].iloc[0]}: {legends.OVER}"
    legends.above(last.figure, handles, title)


RING = {"color": "none", "markeredgecolor": "black", "markersize": 7, "zorder": 4}


def _axis(panel: Axes, page: pd.DataFrame) -> None:
    """A logarithmic axis with ticks at the gains that were measured."""
    gains = np.sort(page.loc[page["init"] == SWEPT, "x"].unique())
    panel.set_xscale("log")
    panel.set_xlim(page["x"].min() / 1.2, page["x"].max() * 1.2)
    panel.set_xticks(gains)
    panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    panel.xaxis.set_minor_locator(NullLocator())
