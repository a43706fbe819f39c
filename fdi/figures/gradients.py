"""Gradient norms before training, layer by layer, against the target spread of the membrane
potential.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from fdi.analysis.results import READOUT, Results
from fdi.figures import legends, style, sweeps
from fdi.figures.shallow import RECOMMENDED, spreads

PLACE, TITLE = 7, "Gradients before training"
ABOUT = (
    "norm of the gradient that reaches each layer before training, against sigma_U and for "
    "the baselines"
)
NEEDS = "initial states of deep networks with at least three values of init.sigma_u"
COMMAND = "fdi-run -m experiment=gradients"
SIZE = (style.COLUMN, 1.9)
SILENT = 0.03  # height of the marks for no gradient, in units of the panel's


def data(results: Results) -> dict[str, pd.DataFrame]:
    """Page -> a row per layer and point: population, init, x (sigma_u; NaN for baselines), mean
    (geometric, over the seeds with a gradient), low, high (the smallest and the largest of these),
    n (seeds), silent (share of the seeds without any), title, source.
    """
    pages = {}
    hidden = results.probe[results.probe["population"] != READOUT]
    layers = hidden.groupby("path").size()
    deep = results.runs[results.runs["path"].map(layers) > 1]
    for (dataset, model), found in sweeps.sweeps(deep, spreads, states=("done", "probed")):
        fluct = sweeps.swept(found, "fluct", "init.sigma_u")
        baselines = sweeps.usual(found[found["baseline"]])
        chosen = pd.concat(
            [fluct.assign(x=fluct["init.sigma_u"]), baselines.assign(x=float("nan"))]
        )
        norms = results.probe.merge(chosen[["path", "x"]], on="path")
        table = _spread(norms)
        title = (
            f"{dataset}, {model}, gradient norm before training: "
            f"{legends.over(table['n'], 'geometric mean and range')}"
        )
        pages[f"{dataset}_{model}"] = table.assign(title=title, source=sweeps.source(chosen))
    return pages


def _spread(norms: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for key, group in norms.dropna(subset="grad").groupby(
        ["init", "x", "population"], dropna=False
    ):
        found = group.loc[group["grad"] > 0, "grad"]
        spread = (np.exp(np.log(found).mean()), found.min(), found.max())
        rows.append((*key, *spread, len(group), (group["grad"] == 0).mean()))
    columns = ["init", "x", "population", "mean", "low", "high", "n", "silent"]
    return pd.DataFrame(rows, columns=columns)


def panels(page: pd.DataFrame) -> list[list[str]]:
    """Fluctuation-driven on the left, the baselines in a panel on the right."""
    baselines = page.loc[page["x"].isna(), "init"].nunique()
    return [["fluct"] * 6 + ["baselines"] * min(baselines, 3)]


def draw(page: pd.DataFrame, axes: Mapping[str, Axes]) -> None:
    """A line for each layer, light to dark from the input up; the readout dashed."""
    names = sorted(page["population"].unique(), key=lambda name: (name == READOUT, len(name), name))
    hidden = [name for name in names if name != READOUT]
    colors = dict(zip(hidden, style.shades(len(hidden)))) | {READOUT: style.ACCENT}
    places = {init: i for i, init in enumerate(page.loc[page["x"].isna(), "init"].unique())}
    handles = []
    for name in names:
        rows = page[page["population"] == name]
        line = "--" if name == READOUT else "-"
        look = {
            "color": colors[name],
            "marker": "o",
            "markersize": 3,
            "capsize": 1.5,
            "elinewidth": 0.8,
        }
        _errorbars(axes["fluct"], rows[rows["x"].notna()], look | {"linestyle": line})
        if places:
            baselines = rows[rows["x"].isna()]
            _errorbars(
                axes["baselines"],
                baselines.assign(x=baselines["init"].map(places)),
                look | {"linestyle": ""},
            )
        handles.append(
            Line2D([], [], color=colors[name], linestyle=line, marker="o", markersize=3, label=name)
        )
    _finish(page, axes, places)
    if page["silent"].any():
        mark = {"linestyle": "", "marker": "x", "color": "black", "markersize": 4}
        handles.append(Line2D([], [], **mark, label="no gradient (no spikes)"))
    handles.append(Patch(color=style.BAND, label="recommended"))
    legends.above(axes["fluct"].figure, handles, page["title"].iloc[0])


def _errorbars(axes: Axes, rows: pd.DataFrame, look: Mapping[str, object]) -> None:
    found = rows.dropna(subset="mean")
    axes.errorbar(found["x"], found["mean"], style.bars(found), **look)
    without = rows[rows["silent"] > 0]
    (marks,) = axes.plot(
        without["x"],
        [SILENT] * len(without),
        "x",
        color=look["color"],
        markersize=4,
        transform=axes.get_xaxis_transform(),
    )
    marks.set_in_layout(False)


def _finish(page: pd.DataFrame, axes: Mapping[str, Axes], places: Mapping[str, int]) -> None:
    shown = page["mean"].dropna()
    style.sigma_axis(axes["fluct"], page["x"].dropna())
    axes["fluct"].axvspan(*RECOMMENDED, color=style.BAND, linewidth=0, zorder=0)
    axes["fluct"].set_ylabel("gradient norm")
    for panel in axes.values():
        panel.set_yscale("log")
        panel.set_ylim(shown.min() / 6, shown.max() * 2)
    if places:
        axes["baselines"].set_xlim(-0.6, len(places) - 0.4)
        axes["baselines"].set_xticks(
            list(places.values()), list(places), rotation=90 if len(places) > 2 else 0
        )
        axes["baselines"].tick_params(axis="y", which="both", labelleft=False)
