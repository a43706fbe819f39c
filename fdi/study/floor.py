"""The floor of the optimizer: do networks fail to learn because of their initial state, or because
the optimizer does not follow gradients that small?
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from fdi.analysis.collect import Page, Pages, Runs
from fdi.analysis.conditions import moments
from fdi.analysis.derived import guesses
from fdi.analysis.results import Results
from fdi.analysis.statistics import PERCENT
from fdi.figures import marks, sheet, style, sweeps, words
from fdi.figures.style import shade
from fdi.study.initial_states import ratios

PLACE, TITLE = 9, "The floor of the optimizer"
ABOUT = (
    "test accuracy against the ratio of the initial gradient to the smallest that the optimizer "
    "follows, and by depth for several such floors"
)
NEEDS = "runs without bounds on the activity with at least three values of optimizer.eps"
COMMAND = "fdi-run -m experiment=floor"
SIZE = (style.COLUMN, 2.2)
FILLED = {"SMORMS3": "none", "Adam": "bottom", "AdamW": "top", "RMSprop": "right"}
LEAST = 1e-12  # where smaller ratios are drawn
KEYS = ["init", "optimizer", "eps", "x"]
WHITE = 0.6  # share above which numbers are white
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
            note="left: single runs; right: means with 95 % intervals, "
            f"in italics those of fewer than {words.LEAST} seeds",
        )
        pages[f"{dataset}_{model}"] = page, runs
    return pages


def _finding(single: pd.DataFrame) -> str:
    """How many runs learn among those whose optimizer follows the initial gradient, and among the
    others: from the initial states that have both, where a floor can act.
    """
    rows = single.dropna(subset=["classes", "test_samples"])
    above = rows["x"] >= 1
    both = above.groupby(rows["init"]).nunique() == 2
    acts = rows["init"].map(both) | (not both.any())
    learns = ~np.array(guesses(rows), dtype=bool)
    counts = [f"{learns[of].sum()} of {of.sum()}" for of in (above & acts, ~above & acts)]
    states = " and ".join(words.init(init) for init in both[both].index)
    return (
        f"{f'From {states} weights ' if states else ''}{counts[0]} runs learn where the initial "
        f"gradient is above the optimizer's floor, {counts[1]} where it is below"
    )


def _floors(runs: Runs) -> int:
    """How many floors are compared; 0 if fewer than three."""
    count = sweeps.levels(runs, "optimizer.eps")
    return count if count >= 3 else 0


def panels(page: Page) -> list[list[str]]:
    """All runs, and accuracy by depth and floor."""
    return [["ratio", "depth"]]


def draw(page: Page, axes: Mapping[str, Axes]) -> None:
    """A mark for each run, and a cell for each initialization, floor and depth."""
    single = page[page["part"] == "ratio"]
    _ratio(axes["ratio"], single, page["chance"].iloc[0])
    _depth(axes["depth"], _main(page))
    several = single["optimizer"].nunique() > 1
    handles = []
    for init, optimizer in sorted(set(zip(single["init"], single["optimizer"]))):
        names = [words.init(init), *([optimizer] if several else [])]
        handles.append(Line2D([], [], **_mark(init, optimizer), label=", ".join(names)))
    handles.append(Line2D([], [], **marks.CHANCE, label="chance"))
    if (single["x"] < LEAST).any():
        label = f"below {LEAST:.0e}"
        handles.append(Line2D([], [], **LOWER | {"color": "black"}, label=label))
    sheet.head(axes, handles, page)


def _mark(init: str, optimizer: str) -> dict[str, Any]:
    """A hollow mark, since each is one run; half filled for all optimizers but the first."""
    filled = FILLED.get(optimizer, "left")
    face = {"markerfacecolor": "none"} if filled == "none" else {"fillstyle": filled}
    edge = {"markersize": 4, "markeredgewidth": 0.7, "markerfacecoloralt": "white"}
    return style.look(init, line=False) | edge | face


def _ratio(axes: Axes, rows: pd.DataFrame, chance: float) -> None:
    for (init, optimizer), points in rows.groupby(["init", "optimizer"]):
        look = _mark(str(init), str(optimizer))
        there = points[points["x"] >= LEAST]
        axes.plot(there["x"], there["mean"], **look)
        lower = points[points["x"] < LEAST]
        axes.plot([LEAST] * len(lower), lower["mean"], **LOWER | {"color": look["color"]})
    axes.axvline(1, color=style.GREY, linewidth=0.6)
    axes.axhline(chance, **marks.CHANCE, zorder=0)
    axes.text(1, 50, " floor", color="0.4", fontsize=6, va="center")
    axes.set_xscale("log")
    axes.set_ylim(0, 103)
    axes.set_ylabel("test accuracy (%)")
    axes.set_xlabel("largest hidden gradient at the start / floor")


def _main(page: Page) -> pd.DataFrame:
    """By depth, of the optimizer with the most points, floors that were tried at several depths."""
    rows = page[page["part"] == "depth"]
    rows = rows[rows["optimizer"] == rows["optimizer"].mode().iloc[0]]
    return rows[rows.groupby(["init", "eps"])["x"].transform("nunique") > 1]


def _depth(axes: Axes, rows: pd.DataFrame) -> None:
    """A row for each initialization and floor, a cell for each depth: the darker, the higher."""
    states = rows[["init", "eps"]].drop_duplicates().sort_values(["init", "eps"], ascending=[1, 0])
    places = {state: place for place, state in enumerate(states.itertuples(index=False, name=None))}
    depths = sorted(rows["x"].unique())
    for row in rows.to_dict("records"):
        left, top = depths.index(row["x"]) - 0.5, places[row["init"], row["eps"]] - 0.5
        share = row["mean"] / PERCENT
        fill = shade(style.color(row["init"]), 1.4 * share - 0.5)
        look: style.Look = {"ha": "center", "color": "white" if share > WHITE else "black"}
        axes.add_patch(Rectangle((left, top), 1, 1, facecolor=fill, edgecolor="white"))
        axes.text(
            left + 0.5,
            top + 0.5,
            f"{row['mean']:.0f}",
            va="center" if np.isnan(row["low"]) else "bottom",
            fontsize=6,
            fontstyle="italic" if np.isnan(row["low"]) else "normal",
            **look,
        )
        if not np.isnan(row["low"]):
            interval = f"{row['low']:.0f}..{row['high']:.0f}"
            axes.text(left + 0.5, top + 0.6, interval, va="top", fontsize=4.5, **look)
    axes.set_xlim(-0.5, len(depths) - 0.5)
    axes.set_ylim(len(places) - 0.5, -0.5)
    axes.set_xticks(range(len(depths)), [f"{depth:.0f}" for depth in depths])
    axes.set_yticks(
        list(places.values()),
        [f"eps = {_power(eps)}" for _, eps in places],
    )
    for label, (init, _) in zip(axes.get_yticklabels(), places):
        label.set_color(style.color(init))
    axes.tick_params(length=0)
    axes.set_title("test accuracy (%)")
    axes.set_xlabel(f"number of hidden layers ({rows['optimizer'].iloc[0]})")


def _power(eps: float) -> str:
    return f"$10^{{{np.log10(eps):.0f}}}$"
