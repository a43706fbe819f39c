"""The floor of the optimizer: do networks fail to learn for their initial state, or because the
optimizer does not follow gradients that small?
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from fdi.analysis.contrasts import PERCENT, moments
from fdi.analysis.floor import ratios
from fdi.analysis.results import Results
from fdi.figures import legends, style, sweeps
from fdi.figures.states import shade

PLACE, TITLE = 9, "The floor of the optimizer"
ABOUT = (
    "test accuracy against the ratio of the initial gradient to the smallest that the optimizer "
    "follows, and by depth for several such floors"
)
NEEDS = "runs without bounds on the activity with at least three values of optimizer.eps"
COMMAND = "fdi-run -m experiment=floor"
SIZE = (style.COLUMN, 1.5)
MARKS = {"SMORMS3": "o", "Adam": "^", "AdamW": "v", "RMSprop": "P", "NAdam": "D"}
LEAST = 1e-12  # where smaller ratios are drawn
KEYS = ["init", "optimizer", "eps", "x"]


def data(results: Results) -> dict[str, pd.DataFrame]:
    """Page -> a row per run (part "ratio") and per point (part "depth"): init, optimizer, eps, x
    (ratio of the largest hidden gradient to the floor; hidden layers), mean (accuracy in %), sd, n,
    low, high, chance, title, source.
    """
    pages = {}
    known = ratios(results)["ratio"]
    measured = results.runs[results.runs["path"].isin(known.index)]
    for (dataset, model), found in sweeps.sweeps(measured, _floors, ["model.depth", "optimizer."]):
        runs = found.assign(
            optimizer=found["optimizer._target_"].str.rpartition(".")[2], eps=found["optimizer.eps"]
        )
        single = runs.assign(
            part="ratio",
            x=runs["path"].map(known),
            mean=PERCENT * runs["test_accuracy_last"],
            n=1,
        )
        depth = moments(
            runs.assign(x=runs["model.depth"]), KEYS, "test_accuracy_last", PERCENT, PERCENT
        )
        columns = ["part", *KEYS, "mean", "sd", "n", "low", "high"]
        page = pd.concat([single, depth.assign(part="depth")], ignore_index=True)
        title = (
            f"{dataset}, {model}: does a network learn where its optimizer follows the initial "
            f"gradient? No bounds, {runs['trainer.epochs'].iloc[0]:.0f} epochs; above single "
            f"runs, below {legends.over(depth['n'])}"
        )
        pages[f"{dataset}_{model}"] = page[columns].assign(
            chance=PERCENT / runs["classes"].iloc[0], title=title, source=sweeps.source(runs)
        )
    return pages


def _floors(runs: pd.DataFrame) -> int:
    """How many floors are compared, if there are three."""
    found = sweeps.levels(runs, "optimizer.eps")
    return found if found >= 3 else 0


def panels(page: pd.DataFrame) -> list[list[str]]:
    """All runs above, accuracy by depth below."""
    return [["ratio"], ["depth"]]


def draw(page: pd.DataFrame, axes: Mapping[str, Axes]) -> None:
    """A mark for each run, and a line for each initialization and floor."""
    single, lines = (page[page["part"] == part] for part in ("ratio", "depth"))
    _ratio(axes["ratio"], single)
    handles = [
        Line2D([], [], **_mark(init, optimizer), label=f"{init}, {optimizer}")
        for init, optimizer in sorted(set(zip(single["init"], single["optimizer"])))
    ]
    handles += _depth(axes["depth"], lines)
    for panel in axes.values():
        panel.axhline(page["chance"].iloc[0], color=style.GREY, linewidth=0.6, linestyle=":")
        panel.set_ylim(0, 103)
        panel.set_ylabel("test accuracy (%)")
    legends.above(axes["ratio"].figure, handles, page["title"].iloc[0])


def _mark(init: str, optimizer: str) -> dict[str, Any]:
    """Hollow: each is one run."""
    return {
        "linestyle": "",
        "marker": MARKS.get(optimizer, "X"),
        "markersize": 3.5,
        "markerfacecolor": "none",
        "markeredgewidth": 0.8,
        "color": style.color(init),
    }


def _ratio(axes: Axes, rows: pd.DataFrame) -> None:
    for (init, optimizer), points in rows.groupby(["init", "optimizer"]):
        axes.plot(points["x"].clip(lower=LEAST), points["mean"], **_mark(str(init), str(optimizer)))
    axes.axvline(1, color=style.GREY, linewidth=0.6)
    axes.set_xscale("log")
    axes.set_xlabel("largest hidden gradient before training / optimizer's floor")


def _depth(axes: Axes, rows: pd.DataFrame) -> list[Line2D]:
    """Lines of the optimizer with most runs, the lower the floor the darker; their entries in the
    legend.
    """
    main = rows["optimizer"].mode().iloc[0]
    rows = rows[rows["optimizer"] == main]
    handles = []
    for init, found in rows.groupby("init"):
        deep = found.groupby("eps")["x"].nunique()
        floors = sorted(deep[deep > 1].index, reverse=True)
        for number, eps in enumerate(floors):
            look: dict[str, Any] = {
                "color": shade(style.color(str(init)), (number + 1) / len(floors)),
                "linestyle": style.LINES[number % len(style.LINES)],
                "marker": style.MARKERS.get(str(init), "o"),
                "markersize": 2.5,
            }
            line = found[found["eps"] == eps].sort_values("x")
            axes.errorbar(line["x"], line["mean"], style.bars(line), **look)
            handles.append(Line2D([], [], **look, label=f"{init}, eps = {_power(eps)}"))
    axes.set_xticks(sorted(rows["x"].unique()))
    axes.set_xlabel(f"hidden layers, {main}")
    return handles


def _power(eps: float) -> str:
    return f"$10^{{{np.log10(eps):.0f}}}$"
