"""eps of the optimizer: do networks fail to learn because of their initialization, or because
the optimizer does not follow gradients that small?
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from fdi.analysis.collect import Page, Pages, Runs
from fdi.analysis.conditions import groups, moments
from fdi.analysis.derived import guesses
from fdi.analysis.results import Results
from fdi.analysis.statistics import PERCENT
from fdi.figures import marks, sheet, style, sweeps, words
from fdi.study.initial_states import ratios

PLACE, TITLE = 9, "The effective floor of the optimizer"
ABOUT = (
    "test accuracy against the ratio of the initial gradient to the smallest that the optimizer "
    "follows (its effective floor, set by eps), and by depth for several eps"
)
NEEDS = "runs without activity regularization with at least three values of optimizer.eps"
COMMAND = "fdi-run -m experiment=floor"
SIZE = (style.COLUMN, 2.2)
FILLED = {"SMORMS3": "none", "Adam": "bottom", "AdamW": "top", "RMSprop": "right"}
LEAST = 1e-12  # where smaller ratios are drawn
KEYS = ["init", "optimizer", "eps", "x"]
EPS = "optimizer.eps"
GREY: style.Look = {"color": "0.4", "marker": ""}  # a line of either initialization
LOWER: style.Look = {"marker": 4, "markersize": 5, "linestyle": ""}
"""A point at the left end of the axis: its ratio is lower."""


def data(results: Results) -> Pages:
    """Page -> a row per run (part "ratio") and per point with a sigma_u of 1 or next to it (part
    "depth"): init, optimizer, eps, x (ratio of the largest hidden gradient to the floor; hidden
    layers), mean (accuracy in %), sd, n, low, high, chance, network, title.
    """
    pages: Pages = {}
    if "grad" not in results.probe:  # runs that were not probed
        return pages
    known = ratios(results)["ratio"]
    measured = results.runs[results.runs["path"].isin(known.index)]
    varied = ["model.depth", "optimizer."]
    for (dataset, model), group in sweeps.sweeps(measured, _floors, varied, experiment="floor"):
        runs = group.assign(
            optimizer=group["optimizer._target_"].str.rpartition(".")[2], eps=group["optimizer.eps"]
        )
        single = runs.assign(
            part="ratio",
            x=runs["path"].map(known),
            mean=PERCENT * runs["test_accuracy_last"],
            n=1,
        )
        near = sweeps.near_one(runs)
        depth = moments(near.assign(x=near["model.depth"]), KEYS, "test_accuracy_last", PERCENT)
        columns = ["part", *KEYS, "mean", "sd", "n", "low", "high"]
        page = pd.concat([single, depth.assign(part="depth")], ignore_index=True)
        page = page[columns].assign(
            chance=PERCENT / runs["classes"].iloc[0],
            finding=_finding(single),
            network=f"{dataset}, {model}",
            title=words.trained(runs, ("optimizer", "optimizer.eps"), "trainer.epochs"),
            note=f"left: single runs; right: {words.reading(depth['n'])}",
        )
        pages[f"{dataset}_{model}"] = page, runs
    return pages


def _finding(single: pd.DataFrame) -> str:
    """How many runs learn among those whose optimizer follows the initial gradient, and among the
    others: from the initializations that have both, where a floor can act.
    """
    rows = single.dropna(subset=["classes", "test_samples"])
    above = rows["x"] >= 1
    both = above.groupby(rows["init"]).nunique() == 2
    acts = rows["init"].map(both) | (not both.any())
    learns = ~np.array(guesses(rows), dtype=bool)
    counts = [f"{learns[mask].sum()} of {mask.sum()}" for mask in (above & acts, ~above & acts)]
    states = " and ".join(words.init(init) for init in both[both].index)
    return (
        f"{f'From {states} weights ' if states else ''}{counts[0]} runs learn where the initial "
        f"gradient is above the effective floor of eps, {counts[1]} where it is below"
    )


def _floors(runs: Runs) -> int:
    """How many floors are compared; 0 if fewer than three."""
    count = sweeps.levels(runs, "optimizer.eps")
    return count if count >= 3 else 0


def panels(page: Page) -> list[list[str]]:
    """All runs, and for each initialization the accuracy by depth and floor."""
    return [["ratio", "ratio", *_main(page)["init"].unique()]]


def draw(page: Page, axes: Mapping[str, Axes]) -> None:
    """A mark for each run; a line over depth for each floor, from light to dark."""
    single, depth, chance = page[page["part"] == "ratio"], _main(page), page["chance"].iloc[0]
    _ratio(axes["ratio"], single, chance)
    several = single["optimizer"].nunique() > 1
    handles = []
    for init, optimizer in sorted(set(zip(single["init"], single["optimizer"]))):
        names = [words.init(init), *([optimizer] if several else [])]
        handles.append(Line2D([], [], **_mark(init, optimizer), label=", ".join(names)))
    handles.append(Line2D([], [], **marks.CHANCE, label="chance"))
    if (single["x"] < LEAST).any():
        label = f"below {LEAST:.0e}"
        handles.append(Line2D([], [], **LOWER | {"color": "black"}, label=label))
    for init, rows in groups(depth, "init"):
        lines = list(style.styled_states(rows, EPS, alone=True))
        marks.lines(axes[init], rows, lines, "linear", depth["x"])
        axes[init].set_title(words.init(init))
        axes[init].set_xlabel("number of hidden layers")
        axes[init].axhline(chance, **marks.CHANCE, zorder=0)
        axes[init].set_ylim(0, 103)
        axes[init].tick_params(labelleft=False)
    handles += [Line2D([], [], **line.look() | GREY, label=line.label) for line in lines]
    sheet.head(axes, handles, page)


def _mark(init: str, optimizer: str) -> dict[str, Any]:
    """A hollow mark, since each is one run; half filled for all optimizers but the first."""
    filled = FILLED.get(optimizer, "left")
    face = {"markerfacecolor": "none"} if filled == "none" else {"fillstyle": filled}
    edge = {"markersize": 4, "markeredgewidth": 0.7, "markerfacecoloralt": "white"}
    return style.init_look(init, line=False) | edge | face


def _ratio(axes: Axes, rows: pd.DataFrame, chance: float) -> None:
    for (init, optimizer), points in rows.groupby(["init", "optimizer"]):
        look = _mark(str(init), str(optimizer))
        there = points[points["x"] >= LEAST]
        axes.plot(there["x"], there["mean"], **look)
        lower = points[points["x"] < LEAST]
        axes.plot([LEAST] * len(lower), lower["mean"], **LOWER | {"color": look["color"]})
    axes.axvline(1, color=style.GREY, linewidth=0.6)
    axes.axhline(chance, **marks.CHANCE, zorder=0)
    axes.text(1, 103, "effective floor", color="0.4", ha="center", va="bottom")
    axes.set_xscale("log")
    axes.set_ylim(0, 103)
    axes.set_ylabel("test accuracy (%)")
    axes.set_xlabel("largest hidden gradient at the start / effective floor")


def _main(page: Page) -> pd.DataFrame:
    """By depth, of the optimizer with the most points, floors that were tried at several depths,
    as lines of `style.styled_states`.
    """
    rows = page[page["part"] == "depth"]
    rows = rows[rows["optimizer"] == rows["optimizer"].mode().iloc[0]]
    rows = rows[rows.groupby(["init", "eps"])["x"].transform("nunique") > 1]
    return rows.assign(shade=rows["eps"], baseline=False)
