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

from fdi.analysis.contrasts import PERCENT, moments
from fdi.analysis.results import Results
from fdi.analysis.select import guesses
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
SIZE = (style.COLUMN, 1.5)
FILLED = {"SMORMS3": "none", "Adam": "bottom", "AdamW": "top", "RMSprop": "right"}
LEAST = 1e-12  # where smaller ratios are drawn
KEYS = ["init", "optimizer", "eps", "x"]


def data(results: Results) -> dict[str, pd.DataFrame]:
    """Page -> a row per run (part "ratio") and per point with a sigma_u of 1 or next to it (part
    "depth"): init, optimizer, eps, x (ratio of the largest hidden gradient to the floor; hidden
    layers), mean (accuracy in %), sd, n, low, high, chance, network, title, source.
    """
    pages: dict[str, pd.DataFrame] = {}
    if "grad" not in results.probe:  # runs that were not probed
        return pages
    known = ratios(results)["ratio"]
    measured = results.runs[results.runs["path"].isin(known.index)]
    for (dataset, model), group in sweeps.sweeps(measured, _floors, ["model.depth", "optimizer."]):
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
        depth = moments(
            near.assign(x=near["model.depth"]), KEYS, "test_accuracy_last", PERCENT, PERCENT
        )
        columns = ["part", *KEYS, "mean", "sd", "n", "low", "high"]
        page = pd.concat([single, depth.assign(part="depth")], ignore_index=True)
        title = (
            f"{words.setting(runs, 'trainer.epochs')}, "
            f"{words.bounds(runs)}; above single runs, below {sheet.over(depth['n'])}"
        )
        pages[f"{dataset}_{model}"] = page[columns].assign(
            chance=PERCENT / runs["classes"].iloc[0],
            finding=_finding(single),
            network=f"{dataset}, {model}",
            title=title,
            source=sweeps.source(runs),
        )
    return pages


def _finding(single: pd.DataFrame) -> str:
    """How many runs learn among those whose optimizer follows the initial gradient, and among the
    others.
    """
    rows = single.dropna(subset=["classes", "test_samples"])
    learns = ~np.array(guesses(rows), dtype=bool)
    followed = rows["x"] >= 1
    counts = [f"{learns[side].sum()} of {side.sum()}" for side in (followed, ~followed)]
    return (
        f"{counts[0]} networks learn where the initial gradient is above the optimizer's floor, "
        f"{counts[1]} where it is below"
    )


def _floors(runs: pd.DataFrame) -> int:
    """How many floors are compared; 0 if fewer than three."""
    count = sweeps.levels(runs, "optimizer.eps")
    return count if count >= 3 else 0


def panels(page: pd.DataFrame) -> list[list[str]]:
    """All runs above, accuracy by depth below."""
    return [["ratio"], ["depth"]]


def draw(page: pd.DataFrame, axes: Mapping[str, Axes]) -> None:
    """A mark for each run, and a line for each initialization and floor."""
    single, lines = (page[page["part"] == part] for part in ("ratio", "depth"))
    _ratio(axes["ratio"], single)
    several = single["optimizer"].nunique() > 1
    handles = []
    for init, optimizer in sorted(set(zip(single["init"], single["optimizer"]))):
        names = [words.init(init), *([optimizer] if several else []), "one run"]
        handles.append(Line2D([], [], **_mark(init, optimizer), label=", ".join(names)))
    handles += _depth(axes["depth"], lines)
    for panel in axes.values():
        panel.axhline(page["chance"].iloc[0], color=style.GREY, linewidth=0.6, linestyle=":")
        panel.set_ylim(0, 103)
        panel.set_ylabel("test accuracy (%)")
    first = page.iloc[0]
    sheet.above(axes["ratio"].figure, handles, first["finding"], first["title"])


def _mark(init: str, optimizer: str) -> dict[str, Any]:
    """A hollow mark, since each is one run; half filled for all optimizers but the first."""
    filled = FILLED.get(optimizer, "left")
    face = {"markerfacecolor": "none"} if filled == "none" else {"fillstyle": filled}
    edge = {"markersize": 4, "markeredgewidth": 0.7, "markerfacecoloralt": "white"}
    return style.look(init, line=False) | edge | face


def _ratio(axes: Axes, rows: pd.DataFrame) -> None:
    for (init, optimizer), points in rows.groupby(["init", "optimizer"]):
        axes.plot(points["x"].clip(lower=LEAST), points["mean"], **_mark(str(init), str(optimizer)))
    axes.axvline(1, color=style.GREY, linewidth=0.6)
    axes.set_xscale("log")
    axes.set_xlabel("largest hidden gradient before training / optimizer's floor")


def _depth(axes: Axes, rows: pd.DataFrame) -> list[Line2D]:
    """Lines of the optimizer with the most runs, darker for lower floors; returns their entries in
    the legend.
    """
    main = rows["optimizer"].mode().iloc[0]
    rows = rows[rows["optimizer"] == main]
    handles = []
    for init, members in rows.groupby("init"):
        deep = members.groupby("eps")["x"].nunique()
        floors = sorted(deep[deep > 1].index, reverse=True)
        for number, eps in enumerate(floors):
            look: dict[str, Any] = style.look(str(init)) | {
                "color": shade(style.color(str(init)), (number + 1) / len(floors)),
                "linestyle": style.LINES[number % len(style.LINES)],
            }
            line = members[members["eps"] == eps].sort_values("x")
            marks.points(axes, line, look)
            hollow = {"markerfacecolor": "white"} if line["n"].max() == 1 else {}
            label = f"{words.init(str(init))}, eps = {_power(eps)}"
            handles.append(Line2D([], [], **look | hollow, label=label))
    axes.set_xticks(sorted(rows["x"].unique()))
    axes.set_xlabel(f"number of hidden layers ({main})")
    return handles


def _power(eps: float) -> str:
    return f"$10^{{{np.log10(eps):.0f}}}$"
