"""Initial states of one network beside each other, layer by layer: what `fdi-run probe=only`
measures.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from fdi.analysis.collect import Page, Pages, Runs
from fdi.analysis.conditions import moments
from fdi.analysis.results import Results
from fdi.analysis.statistics import summary
from fdi.figures import marks, sheet, style, words
from fdi.figures.style import ordered
from fdi.figures.sweeps import MOST, foremost, initial_states, sweeps, usual

PLACE, TITLE = 7.5, "Initial states, layer by layer"
ABOUT = "spread of the potential, rate and gradient of each layer before training"
NEEDS = "initial states of at least two initializations"
COMMAND = "fdi-run -m probe=only init=kaiming,fluct"
SIZE = (style.COLUMN, 1.7)
TITLES = {
    "free_sigma": "$\\sigma_U$ (units of threshold)",
    "rate": "rate (Hz)",
    "gradient": "norm of the gradient",
}
TARGET: style.Look = {"color": "black", "linewidth": 0.8, "linestyle": ":"}
DODGE = 0.1  # between the marks of initial states, in units of a layer
LABELS = 8  # layers whose names fit below a panel
ROW = ["init", "shade", "baseline"]
STATES = ("done", "probed")
TRAINING = ("trainer.", "optimizer.", "scheduler.", "homeostasis.", "engine.", "probe")


def data(results: Results) -> Pages:
    """Page -> a row per quantity, initial state and layer: quantity, init, shade (sigma_u; NaN
    where the initialization is shown at one value only), baseline, x, population, mean (of
    gradients the geometric one), low, high (95 % interval), n, target, title.
    """
    pages: Pages = {}
    runs = results.runs[results.runs["state"].isin(STATES)]
    probed = runs[runs["path"].isin(results.layers["path"])]
    layers = results.layers["path"].value_counts()

    def depth(runs: Runs) -> int:
        """How many layers a set of runs has; 0 if all share one initialization."""
        kinds = runs.reindex(columns=["init", "init.sigma_u"]).nunique().max()
        return int(kinds > 1) * int(runs["path"].map(layers).max())

    there = sweeps(probed, depth, TRAINING, states=STATES)
    for (dataset, model), group in there:
        named = [column for column in map(str, group) if column.startswith("init")]
        whole, group = group, group.drop_duplicates(["seed", *named])
        runs = initial_states(group)
        if runs.groupby(["init", "sigma_u"], dropna=False).ngroups > MOST:
            few = usual(group[group["init"].isin(foremost(group["init"]))])
            runs = few.assign(sigma_u=float("nan"))
        if runs.groupby(["init", "sigma_u"], dropna=False).ngroups < 2:
            continue
        shaded = runs.assign(shade=runs["sigma_u"])
        table = _table(results.layers.merge(shaded[["path", "shade", "baseline"]], on="path"))
        page = table.assign(
            title=f"{words.heading(runs)}, before training",
            note=f"{words.reading(table['n'])}; of gradients the geometric mean",
        )
        pages[f"{dataset}_{model}"] = page, whole.merge(runs[["seed", *named]].drop_duplicates())
    return pages


def _table(layers: pd.DataFrame) -> pd.DataFrame:
    layers = layers.assign(x=layers["population"].map(ordered(list(layers["population"].unique()))))
    keys = [*ROW, "x", "population"]
    parts = [moments(layers, keys, name).assign(quantity=name) for name in ("free_sigma", "rate")]
    task = layers.get("grad_task", layers["grad"]).fillna(layers["grad"])
    rows = []
    for values, group in layers.assign(gradient=task).groupby(keys, dropna=False):
        known = group.loc[group["gradient"] > 0, "gradient"]
        log = summary(np.log(known))
        rows.append((*values, *np.exp([log.mean, log.low, log.high]), len(known)))
    norms = pd.DataFrame(rows, columns=[*keys, "mean", "low", "high", "n"])
    parts.append(norms[norms["n"] > 0].assign(quantity="gradient"))
    target = layers.groupby(keys, dropna=False)["target_sigma_u"].mean().rename("target")
    whole = pd.concat(parts, ignore_index=True)
    return whole.merge(target.reset_index(), on=keys, how="left")


def panels(page: Page) -> list[list[str]]:
    """The three quantities side by side."""
    return [[*TITLES]]


def draw(page: Page, axes: Mapping[str, Axes]) -> None:
    """A line for each initial state over the layers; dotted: the targets."""
    drawn = list(style.styled_states(page))
    handles = []
    for place, initial in enumerate(drawn):
        for quantity in TITLES:
            rows = initial.rows(page[page["quantity"] == quantity])
            marks.depths(axes[quantity], rows, initial.look(), place, len(drawn), DODGE)
        handles.append(sheet.legend_entry(initial.look(), initial.label, initial.rows(page)["n"]))
    targets = page.loc[page["quantity"] == "free_sigma", "target"].dropna().round(9).unique()
    for target in targets:
        axes["free_sigma"].axhline(target, zorder=1, **TARGET)
    if len(targets):
        handles.append(Line2D([], [], **TARGET, label="target of $\\sigma_U$"))
    for quantity, title in TITLES.items():
        panel = axes[quantity]
        panel.set_title(title)
        layers = page.drop_duplicates("x").sort_values("x")
        layers = layers.iloc[:: -(-len(layers) // LABELS)]
        panel.set_xticks(layers["x"], layers["population"])
        panel.set_xlabel("layer")
        if quantity == "gradient":
            panel.set_yscale("log")
            panel.yaxis.set_minor_locator(NullLocator())
        else:
            marks.from_zero(panel)
    sheet.head(axes, handles, page)
