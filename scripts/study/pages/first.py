"""The first picture of the README: accuracy over depth, at one step size and each at its best."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from fdi.analysis.best import Side, networks
from fdi.analysis.results import Results
from fdi.analysis.statistics import PERCENT
from fdi.figures import marks, sheet, style, words
from fdi.figures.best import PANELS

NAMES = ("kaiming", "fluct")
FAMILY = ["dataset", "model", "epochs", "settings"]


def first_picture(measured: Results, picture: Path) -> None:
    """Each seed as a dot, means joined, lines labelled at their ends; of the networks that differ
    in their depth alone those with the most depths. Nothing where there are no two.
    """
    sides = [side for network in networks(measured) for side in network if side.init in NAMES]
    table = pd.DataFrame([_row(side) for side in sides])
    if table.empty:
        return
    family = max(table.groupby(FAMILY), key=lambda group: group[1]["layers"].nunique())[1]
    if family["layers"].nunique() < 2:
        return
    runs = pd.concat([*family["runs"]])
    steps = {
        setting: words.between(pd.concat([*of["runs"]])["optimizer.lr"], PANELS[str(setting)])
        for setting, of in family.groupby("setting")
    }
    with style.alone():
        figure, axes = sheet.page([list(PANELS)], row=1.75)
        for setting in PANELS:
            _panel(axes[setting], family[family["setting"] == setting], family)
            axes[setting].set_title(steps[setting])
        axes["common"].set_ylabel("test accuracy (%)")
        setting = words.trained(runs, ["optimizer.lr"])
        sheet.above(figure, [], "", f"{setting}; dots: seeds; lines: means")
        sheet.save(figure, picture.with_suffix(""))
    picture.with_suffix(".pdf").unlink()


def _row(side: Side) -> dict[str, object]:
    seeds = PERCENT * side.runs.groupby("seed")["test_accuracy_last"].mean()
    chance = PERCENT / side.runs["classes"].iloc[0]
    row = {"init": side.init, "setting": side.setting, "seeds": [*seeds], "chance": chance}
    row |= {"runs": side.runs}
    return side.network | row


def _panel(axes: Axes, rows: pd.DataFrame, family: pd.DataFrame) -> None:
    depths = sorted(family["layers"].unique())
    ends = {}
    for init in NAMES:
        line = rows[rows["init"] == init].sort_values("layers")
        if line.empty:
            continue
        places = [depths.index(layers) for layers in line["layers"]]
        color = style.color(init)
        for place, seeds in zip(places, line["seeds"]):
            axes.scatter([place] * len(seeds), seeds, s=12, color=color, alpha=0.5, linewidths=0)
        means = [np.mean(seeds) for seeds in line["seeds"]]
        axes.plot(places, means, **style.look(init) | {"linewidth": 1.4, "linestyle": "-"})
        ends[words.init(init)] = (float(means[-1]), color)
    chance = family["chance"].iloc[0]
    axes.axhline(chance, **marks.CHANCE, zorder=0)
    axes.set_xlim(-0.3, len(depths) - 0.7)
    axes.set_ylim(0, 103)
    axes.set_xticks(range(len(depths)), [f"{depth}" for depth in depths])
    axes.set_xlabel("hidden layers")
    marks.ends(axes, ends | {"chance": (chance, "0.4")})
