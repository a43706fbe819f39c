"""Gradient norms before training, layer by layer, against the target spread of the membrane
potential.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import LogLocator, NullLocator
from matplotlib.transforms import ScaledTranslation

from fdi.analysis.collect import Page, Pages
from fdi.analysis.results import READOUT, Results
from fdi.analysis.statistics import summary
from fdi.figures import marks, sheet, style, sweeps, words
from fdi.study import looks
from fdi.study.initial_states import task_gradient
from fdi.study.shallow import RECOMMENDED, spreads

PLACE, TITLE = 7, "Gradients before training"
ABOUT = (
    "norm of the gradient that reaches each layer before training, against sigma_U and for "
    "the baselines"
)
NEEDS = "initial states of deep networks with at least three values of init.sigma_u"
COMMAND = "fdi-run -m experiment=gradients"
SIZE = (style.COLUMN, 1.9)
NONE = 0.045  # height of the marks for no gradient, in units of the panel's
SHIFT = 5.0  # points, of the outermost of them
MARK = ("o", "D")  # of a hidden layer, of the readout


def data(results: Results) -> Pages:
    """Page -> a row per layer and point: population, init, x (sigma_u; NaN for baselines), mean
    (geometric, over the seeds with a gradient), low, high (95 % interval of it), n (seeds), silent
    (share of the seeds without any), finding, title. Of the task alone where that is known
    of all, else of the objective with its bounds.
    """
    pages: Pages = {}
    task = results.probe.assign(task=task_gradient(results))
    layers = results.probe.loc[results.probe["population"] != READOUT, "path"].value_counts()
    deep = results.runs[results.runs["path"].map(layers) > 1]
    for (dataset, model), group in sweeps.sweeps(deep, spreads, states=("done", "probed")):
        fluct = sweeps.swept(group, "fluct", "init.sigma_u")
        baselines = sweeps.usual(group[group["baseline"]])
        chosen = pd.concat(
            [fluct.assign(x=fluct["init.sigma_u"]), baselines.assign(x=float("nan"))]
        )
        norms = task.merge(chosen[["path", "x"]], on="path")
        alone = norms["task"].notna().all()
        table = _spread(norms.assign(norm=norms["task"] if alone else norms["grad"]))
        loss = "the task alone" if alone else "task and bounds"
        page = table.assign(
            finding=_finding(table),
            title=f"{words.heading(chosen)}, before training, gradients of {loss}",
            note=f"{words.reading(table['n'])}, geometric",
        )
        pages[f"{dataset}_{model}"] = page, chosen
    return pages


def _spread(norms: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for key, group in norms.dropna(subset="norm").groupby(
        ["init", "x", "population"], dropna=False
    ):
        statistics = summary(np.log(group.loc[group["norm"] > 0, "norm"]))
        spread = np.exp([statistics.mean, statistics.low, statistics.high])
        rows.append((*key, *spread, len(group), (group["norm"] == 0).mean()))
    columns = ["init", "x", "population", "mean", "low", "high", "n", "silent"]
    return pd.DataFrame(rows, columns=columns)


def _finding(table: pd.DataFrame) -> str:
    """The initializations from which every hidden layer has a gradient in all seeds."""
    hidden = table[table["population"] != READOUT]
    reached = hidden.groupby(["init", "x"], dropna=False)["silent"].max().eq(0).reset_index()
    swept, others = reached[reached["x"].notna()], reached[reached["x"].isna()]
    good = swept.loc[swept["silent"], "x"]
    parts = [f"From $\\sigma_U$ = {good.min():.2g} on" if len(good) else "At no $\\sigma_U$"]
    if len(good) == len(swept):
        parts = ["At every $\\sigma_U$"]
    elif len(good) and (swept.loc[swept["x"] >= good.min(), "silent"].eq(False)).any():
        parts = [f"At {len(good)} of {len(swept)} values of $\\sigma_U$"]
    if len(others):
        count = others["silent"].sum() or "none"
        parts.append(f"from {count} of {len(others)} baselines")
    return f"Does a gradient reach every layer? {words.several(parts)}"


def panels(page: Page) -> list[list[str]]:
    """Fluctuation-driven on the left, the baselines in a panel on the right."""
    baselines = page.loc[page["x"].isna(), "init"].nunique()
    return [["fluct"] * 3 + ["baselines"] * min(baselines, 2)]


def draw(page: Page, axes: Mapping[str, Axes]) -> None:
    """A line for each layer, light to dark from the input up; the readout dashed."""
    names = sorted(page["population"].unique(), key=lambda name: (name == READOUT, len(name), name))
    spread = np.linspace(-1, 1, len(names)) if len(names) > 1 else [0.0]
    shifts = dict(zip(names, SHIFT * np.asarray(spread)))  # points, of crosses side by side
    hidden = [name for name in names if name != READOUT]
    colors = dict(zip(hidden, looks.shades(len(hidden)))) | {READOUT: looks.ACCENT}
    places = {init: i for i, init in enumerate(page.loc[page["x"].isna(), "init"].unique())}
    handles: list[Artist] = []
    for name in names:
        rows = page[page["population"] == name]
        mark: style.Look = {
            "color": colors[name],
            "marker": MARK[name == READOUT],
            "markersize": 3,
        }
        line = mark | {"linestyle": "--" if name == READOUT else "-"}
        _errorbars(axes["fluct"], rows[rows["x"].notna()], line, shifts[name])
        if places:
            baselines = rows[rows["x"].isna()]
            _errorbars(
                axes["baselines"],
                baselines.assign(x=baselines["init"].map(places)),
                mark | {"linestyle": ""},
                shifts[name],
            )
        handles.append(Line2D([], [], **line, label=name))
    _finish(page, axes, places)
    if page["silent"].any():
        mark = {"linestyle": "", "marker": "x", "color": "black", "markersize": 4}
        handles.append(Line2D([], [], **mark, label="no gradient in some seeds"))
    handles.append(Patch(color=looks.BAND, label="recommended"))
    sheet.head(axes, handles, page)


def _errorbars(axes: Axes, rows: pd.DataFrame, look: style.Look, shift: float) -> None:
    drawn = rows.dropna(subset="mean")
    bars = marks.bars(drawn)
    axes.errorbar(drawn["x"], drawn["mean"], bars, **look, capsize=1.5, elinewidth=0.8)
    without = rows[rows["silent"] > 0]
    aside = ScaledTranslation(shift / 72, 0, axes.figure.dpi_scale_trans)
    (crosses,) = axes.plot(
        without["x"],
        [NONE] * len(without),
        "x",
        color=look["color"],
        markersize=3,
        transform=axes.get_xaxis_transform() + aside,
    )
    crosses.set_in_layout(False)


def _finish(page: Page, axes: Mapping[str, Axes], places: Mapping[str, int]) -> None:
    shown = page["mean"].dropna()
    looks.sigma_axis(axes["fluct"], page["x"].dropna())
    axes["fluct"].axvspan(*RECOMMENDED, color=looks.BAND, linewidth=0, zorder=0)
    axes["fluct"].set_ylabel("gradient norm")
    low = page[["mean", "low"]].min(axis=None)
    low, high = max(low, shown.min() / 10), page[["mean", "high"]].max(axis=None)
    room = 2 * NONE if page["silent"].any() else 0
    below = (high / low) ** (room / (1 - room))
    for panel in axes.values():
        panel.set_yscale("log")
        panel.set_ylim(low / below / 1.5, high * 1.5)
        panel.yaxis.set_minor_locator(NullLocator())
        ticks = LogLocator(numticks=6).tick_values(low, high)
        panel.set_yticks([tick for tick in ticks if low <= tick <= 1.5 * high])
        if room:  # zero has no place on a logarithmic axis: a band of its own
            whole: style.Look = {"transform": panel.transAxes, "color": style.PRIME, "zorder": 0}
            panel.add_patch(Rectangle((0, 0), 1, room, linewidth=0, **whole))
    if room:
        where = axes["fluct"].transAxes
        look: style.Look = {"ha": "right", "va": "center", "fontsize": 6.5, "transform": where}
        axes["fluct"].text(-0.02, NONE, "none", **look)
    if places:
        axes["baselines"].set_xlim(-0.6, len(places) - 0.4)
        axes["baselines"].set_xticks(
            list(places.values()), [words.init(init).replace(" ", "\n") for init in places]
        )
        axes["baselines"].tick_params(axis="y", which="both", labelleft=False)
