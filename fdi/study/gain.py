"""Kaiming weights with a gain: in a feed-forward network fluctuation-driven weights are the gain
sigma_u / sqrt(nu eps_hat). Is training best where the theory says, and where do the baselines lie?
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.patches import Patch

from fdi.analysis.collect import Page, Pages, Runs
from fdi.analysis.conditions import accuracies, best, groups
from fdi.analysis.derived import with_layers
from fdi.analysis.results import Results
from fdi.figures import marks, sheet, style, sweeps, words
from fdi.figures.sweep import RING
from fdi.study import looks
from fdi.study.initial_states import of_unit_gain

PLACE, TITLE = 4, "Which gain trains best"
ABOUT = "accuracy against the gain of the weights, with the theory's range and the baselines in it"
NEEDS = "runs of init=gain with at least three gains"
COMMAND = "fdi-run -m experiment=gain"
SIZE = (style.COLUMN, 1.8)
SWEPT = "gain"
POINTS = 4  # initializations beside the line
RECOMMENDED = (1 / 3, 1)  # sigma_u, in units of the threshold


def data(results: Results) -> Pages:
    """Page -> a row per depth and point: layers, init, baseline, x (gain; of other initializations
    the one that causes their spread in the first layer), mean, sd, n, low, high, versus and its
    kin, verdict (against the gain of 1), chosen (has the best validation accuracy
    of the gains), unit (sigma_u that a gain of 1 causes), title.
    """
    pages: Pages = {}
    runs = results.runs[~results.runs["init"].isin(["fluct_mu", "kaiming"])]  # the latter: gain 1
    for (dataset, model), group in sweeps.sweeps(runs, _enough, ["model.depth"]):
        group = with_layers(group)
        gains = group[group["init"] == SWEPT]
        unit = of_unit_gain(gains, results)
        chosen = {
            layers: _points(members, results, unit[dataset, model, layers])
            for layers, members in groups(group, "layers")
            if _enough(members)
        }
        parts = [_depth(points, unit[dataset, model, layers]) for layers, points in chosen.items()]
        table = pd.concat(parts, ignore_index=True)
        left = [words.init(init) for init in table["init"].unique() if init not in _drawn(table)]
        page = table.assign(
            finding=_finding(table),
            title=words.trained(group),
            note=f"{words.reading(table['n'])}; ring: the best on validation"
            + f"; not drawn: {', '.join(left)}" * bool(left),
        )
        paths = pd.concat(chosen.values())["path"]
        pages[f"{dataset}_{model}"] = page, group[group["path"].isin(paths)]
    return pages


def _drawn(table: pd.DataFrame) -> list[str]:
    """The initializations that are drawn: the line, and points that can be told apart."""
    return [SWEPT, *sweeps.foremost(table.loc[table["init"] != SWEPT, "init"])[:POINTS]]


def _finding(table: pd.DataFrame) -> str:
    """In how many networks a gain in the recommended range of sigma_u is as good as the one chosen
    on validation: their intervals overlap.
    """
    gains = table[table["init"] == SWEPT]
    inside = (gains["x"] * gains["unit"]).round(2).between(*np.round(RECOMMENDED, 2))
    reach = gains[inside].groupby("layers")["high"].max()
    chosen = gains[gains["chosen"]].set_index("layers")
    good = (reach.reindex(chosen.index) >= chosen["low"]).sum()
    return (
        f"Is training best at the gain of the theory? A gain in its range is as good as the best "
        f"in {good} of {len(chosen)} networks (intervals overlap)"
    )


def _enough(runs: Runs) -> bool:
    return sweeps.levels(runs, "init.gain", SWEPT) >= 3


def _points(runs: Runs, results: Results, unit: float) -> pd.DataFrame:
    """The runs of one depth that are drawn, with their `x`."""
    first = results.layers.drop_duplicates("path").set_index("path")["theory_sigma_u"]
    others = sweeps.usual(runs[runs["init"] != SWEPT])
    others = others.assign(x=others["path"].map(first).astype(float) / unit)
    others = others.assign(x=others.groupby("init")["x"].transform("mean"))
    gains = runs[runs["init"] == SWEPT]
    return pd.concat([gains.assign(x=gains["init.gain"]), others])


def _depth(points: pd.DataFrame, unit: float) -> pd.DataFrame:
    """The rows for one depth."""
    table = accuracies(points, ["layers", "init", "baseline", "x"], base={"init": SWEPT, "x": 1})
    gains = points[points["init"] == SWEPT]
    top = best(gains, ["layers"], "init.gain")["init.gain"].iloc[0]
    chosen = (table["init"] == SWEPT) & (table["x"] == top)
    return table.assign(chosen=chosen, unit=unit)


def panels(page: Page) -> list[list[str]]:
    """One panel per depth."""
    return [[f"{layers}" for layers in page["layers"].unique()]]


def draw(page: Page, axes: Mapping[str, Axes]) -> None:
    """A line over the gain, a point for each other initialization, a ring around the gain that
    validation chooses.
    """
    page = page[page["init"].isin(_drawn(page))]
    for layers, rows in groups(page, "layers"):
        panel = axes[f"{layers}"]
        low, high = (sigma_u / rows["unit"].iloc[0] for sigma_u in RECOMMENDED)
        panel.axvspan(low, high, color=looks.BAND, linewidth=0, zorder=0)
        for init, points in sorted(groups(rows, "init"), key=lambda group: group[0] != SWEPT):
            marks.points(panel, points.sort_values("x"), _look(init))
        ring = rows[rows["chosen"]]
        panel.plot(ring["x"], ring["mean"], **RING | {"markeredgecolor": "black"})
        panel.set_title(words.layers(layers))
        panel.set_xlabel("gain g of W ~ N(0, g$^2$/fan-in)")
        marks.percent(panel, page)
        marks.log_axis(panel, page["x"])
    axes[f"{page['layers'].min()}"].set_ylabel("test accuracy (%)")
    handles: list[Artist] = [
        sheet.legend_entry(_look(init), words.init(init), rows["n"])
        for init, rows in groups(page, "init")
    ]
    handles.append(Patch(color=looks.BAND, label="$\\sigma_U$ of 1/3 to 1"))
    sheet.head(axes, handles, page)


def _look(init: str) -> dict[str, Any]:
    """A line for the gain; larger marks with a white edge for what lies on it."""
    if init == SWEPT:
        return style.init_look(init)
    edge = {"markersize": 5, "markeredgecolor": "white", "markeredgewidth": 0.5}
    return style.init_look(init, line=False) | edge
