"""Lazy or rich: do large initial weights learn fast, move little and generalize worse?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from fdi.analysis.contrasts import PERCENT, moments
from fdi.analysis.results import Results
from fdi.figures import legends, style, sweeps

PLACE, TITLE = 13, "Lazy or rich"
ABOUT = (
    "test accuracy at an equal training loss, movement of the hidden weights and change of the "
    "hidden representation, by spread of the potential and number of training samples"
)
NEEDS = "runs with trainer.stop_at_loss and at least three values of init.sigma_u"
COMMAND = "fdi-run -m experiment=lazy"
SIZE = (style.COLUMN, 1.15)
LIMIT, SAMPLES = "trainer.stop_at_loss", "dataset.max_train"
QUANTITIES = {
    "accuracy": "test accuracy (%)",
    "moved": "movement of hidden weights, |W - W0|/|W0|",
    "alignment": "alignment of hidden spikes before and after",
    "epochs": "epochs to that training loss",
}


def data(results: Results) -> dict[str, pd.DataFrame]:
    """Page -> a row per quantity and point: quantity, init, x (sigma_u), samples (of training; NaN:
    all), mean, sd, n, low, high, reached (share of the runs whose training loss is as low as
    asked), title, source.
    """
    pages = {}
    runs = results.runs
    runs = runs[runs[LIMIT].notna()] if LIMIT in runs else runs.iloc[:0]
    for (dataset, model), found in sweeps.sweeps(runs, _spreads, [SAMPLES]):
        chosen = sweeps.swept(found, "fluct", "init.sigma_u")
        chosen = chosen.assign(
            x=chosen["init.sigma_u"],
            samples=chosen.get(SAMPLES, pd.Series(float("nan"), index=chosen.index)),
            reached=chosen["train_loss_last"] <= chosen[LIMIT],
            accuracy=PERCENT * chosen["test_accuracy_last"],
            moved=_mean(chosen, "moved/", "->readout"),
            alignment=_mean(chosen, "alignment/"),
        ).rename(columns={"epochs": "planned", "epoch": "epochs"})
        keys = ["init", "x", "samples"]
        parts = [moments(chosen, keys, name).assign(quantity=name) for name in QUANTITIES]
        reached = chosen.groupby(keys, dropna=False)["reached"].mean().rename("reached")
        table = pd.concat(parts, ignore_index=True).merge(reached.reset_index(), on=keys)
        title = (
            f"{dataset}, {model}, all trained to a loss of {chosen[LIMIT].iloc[0]:g}: "
            f"{legends.over(table['n'])}"
        )
        pages[f"{dataset}_{model}"] = table.assign(title=title, source=sweeps.source(chosen))
    return pages


def _spreads(runs: pd.DataFrame) -> int:
    found = sweeps.levels(runs, "init.sigma_u", "fluct")
    return found if found >= 3 else 0


def _mean(runs: pd.DataFrame, start: str, without: str = "\n") -> pd.Series:
    """The mean over the columns that begin so."""
    names = [name for name in map(str, runs) if name.startswith(start)]
    names = [name for name in names if not name.endswith(without)]
    return runs[names].astype(float).mean(axis=1)


def panels(page: pd.DataFrame) -> list[list[str]]:
    """A panel for each quantity."""
    return [[name] for name in QUANTITIES]


def draw(page: pd.DataFrame, axes: Mapping[str, Axes]) -> None:
    """A line for each number of samples, few light, many dark; hollow where not all runs reached
    the training loss.
    """
    sizes = sorted(page["samples"].unique(), key=lambda size: (pd.isna(size), size))
    colors = dict(zip(map(str, sizes), style.shades(len(sizes))))
    for name, panel in axes.items():
        for size in sizes:
            same = page["samples"].isna() if pd.isna(size) else page["samples"] == size
            rows = page[(page["quantity"] == name) & same].sort_values("x")
            color = colors[str(size)]
            panel.errorbar(rows["x"], rows["mean"], style.bars(rows), color=color, capsize=1.5)
            for whole, shown in rows.groupby(rows["reached"] == 1):
                face = color if whole else "white"
                look: dict[str, Any] = {"linestyle": "", "marker": "o", "markersize": 3}
                panel.plot(shown["x"], shown["mean"], color=color, markerfacecolor=face, **look)
        style.sigma_axis(panel, page["x"])
        panel.set_title(QUANTITIES[name])
        if name != list(axes)[-1]:
            panel.set_xlabel("")
    handles = [
        Line2D([], [], color=colors[str(size)], marker="o", markersize=3, label=_label(size))
        for size in sizes
    ]
    if (page["reached"] < 1).any():
        look = {"linestyle": "", "color": "black", "marker": "o", "markerfacecolor": "white"}
        handles.append(Line2D([], [], markersize=3, label="loss not reached by all", **look))
    legends.above(panel.figure, handles, page["title"].iloc[0])


def _label(size: float) -> str:
    return "all samples" if pd.isna(size) else f"{size:,.0f} samples"
