"""Lazy or rich: do large initial weights learn fast, move little and generalize worse?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from fdi.analysis.contrasts import PERCENT, moments
from fdi.analysis.results import Results
from fdi.figures import marks, sheet, style, sweeps, words

PLACE, TITLE = 13, "Lazy or rich"
ABOUT = (
    "test accuracy at an equal training loss, movement of the hidden weights and change of the "
    "hidden representation, by spread of the potential and number of training samples"
)
NEEDS = "runs with trainer.stop_at_loss and at least three values of init.sigma_u"
COMMAND = "fdi-run -m experiment=lazy"
SIZE = (style.COLUMN, 1.15)
SHORT: dict[str, Any] = {
    "linestyle": "",
    "color": "black",
    "marker": "x",
    "markersize": 4,
    "zorder": 5,
}
LIMIT, SAMPLES = "trainer.stop_at_loss", "dataset.max_train"
QUANTITIES = {
    "accuracy": "test accuracy (%)",
    "moved": "movement of hidden weights, |W - W$_0$| / |W$_0$|",
    "alignment": "alignment of hidden spikes, before and after (1: unchanged)",
    "epochs": "epochs to that training loss",
}

MOST = {"accuracy": PERCENT, "alignment": 1.0}  # no mean can be larger


def data(results: Results) -> dict[str, pd.DataFrame]:
    """Page -> a row per quantity and point: quantity, init, x (sigma_u), samples (of training; NaN:
    all), mean, sd, n, low, high, reached (share of the runs whose training loss is as low as
    asked), network, title, source.
    """
    pages = {}
    for (dataset, model), chosen in trained(results):
        keys = ["init", "x", "samples"]
        parts = [
            moments(chosen, keys, name, most=MOST.get(name, np.inf)).assign(quantity=name)
            for name in QUANTITIES
        ]
        reached = chosen.groupby(keys, dropna=False)["reached"].mean().rename("reached")
        table = pd.concat(parts, ignore_index=True).merge(reached.reset_index(), on=keys)
        title = (
            f"{words.setting(chosen)}, all trained to a loss of "
            f"{chosen[LIMIT].iloc[0]:g}: {sheet.over(table['n'])}"
        )
        pages[f"{dataset}_{model}"] = table.assign(
            finding=_finding(table),
            network=f"{dataset}, {model}",
            title=title,
            source=sweeps.source(chosen),
        )
    return pages


def trained(results: Results) -> Iterator[tuple[tuple[str, str], pd.DataFrame]]:
    """(data set, model) and its runs to an equal training loss from several spreads, with the
    columns that `data` names, a row per run.
    """
    runs = results.runs
    runs = runs[runs[LIMIT].notna()] if LIMIT in runs else runs.iloc[:0]
    for network, group in sweeps.sweeps(runs, _spreads, [SAMPLES]):
        chosen = sweeps.swept(group, "fluct", "init.sigma_u")
        chosen = chosen.assign(
            x=chosen["init.sigma_u"],
            samples=chosen.get(SAMPLES, pd.Series(float("nan"), index=chosen.index)),
            reached=chosen["train_loss_last"] <= chosen[LIMIT],
            accuracy=PERCENT * chosen["test_accuracy_last"],
            moved=moved(chosen),
            alignment=_mean(chosen, "alignment/"),
        )
        yield network, chosen.rename(columns={"epochs": "planned", "epoch": "epochs"})


def _finding(table: pd.DataFrame) -> str:
    """How the movement of the weights and the accuracy change from the smallest sigma_u to the
    largest, with all available samples.
    """
    samples = table["samples"].fillna(float("inf"))
    most = table[samples == samples.max()]
    ends = most[most["x"].isin([most["x"].min(), most["x"].max()])].sort_values("x")
    moved, accuracy = (ends.loc[ends["quantity"] == name, "mean"] for name in ("moved", "accuracy"))
    return (
        f"Lazy or rich? From $\\sigma_U$ = {ends['x'].min():g} to {ends['x'].max():g} the weights "
        f"move {moved.iloc[0] / moved.iloc[-1]:.2g} times less; accuracy {accuracy.iloc[0]:.0f} "
        f"and {accuracy.iloc[-1]:.0f} %"
    )


def _spreads(runs: pd.DataFrame) -> int:
    count = sweeps.levels(runs, "init.sigma_u", "fluct")
    return count if count >= 3 else 0


def moved(runs: pd.DataFrame) -> pd.Series:
    """How far training moved the hidden weights, |W - W0| / |W0|, mean over the projections."""
    return _mean(runs, "moved/", "->readout")


def _mean(runs: pd.DataFrame, start: str, without: str = "\n") -> pd.Series:
    """The mean over the columns that begin with a prefix."""
    names = [name for name in map(str, runs) if name.startswith(start)]
    names = [name for name in names if not name.endswith(without)]
    return runs[names].astype(float).mean(axis=1)


def panels(page: pd.DataFrame) -> list[list[str]]:
    """A panel for each quantity."""
    return [[name] for name in QUANTITIES]


def draw(page: pd.DataFrame, axes: Mapping[str, Axes]) -> None:
    """A line for each number of samples, darker for more; crossed where not all runs reached the
    training loss.
    """
    sizes = sorted(page["samples"].unique(), key=lambda size: (pd.isna(size), size))
    colors = dict(zip(map(str, sizes), style.shades(len(sizes))))
    for name, panel in axes.items():
        for size in sizes:
            same = page["samples"].isna() if pd.isna(size) else page["samples"] == size
            rows = page[(page["quantity"] == name) & same].sort_values("x")
            color = colors[str(size)]
            look = style.look("fluct") | {"color": color, "linestyle": _dashes(size, sizes)}
            marks.points(panel, rows, look)
            short = rows[rows["reached"] < 1]
            panel.plot(short["x"], short["mean"], **SHORT)
        marks.sigma_axis(panel, page["x"])
        panel.set_title(QUANTITIES[name])
        if name != list(axes)[-1]:
            panel.set_xlabel("")
    handles = [
        Line2D([], [], **_handle(colors[str(size)], _dashes(size, sizes), page), label=_label(size))
        for size in sizes
    ]
    if (page["reached"] < 1).any():
        handles.append(Line2D([], [], label="loss not reached by all", **SHORT))
    first = page.iloc[0]
    sheet.above(panel.figure, handles, first["finding"], first["title"])


def _dashes(size: float, sizes: list[float]) -> Any:
    return style.LINES[list(map(str, sizes)).index(str(size)) % len(style.LINES)]


def _handle(color: str, dashes: Any, page: pd.DataFrame) -> dict[str, Any]:
    hollow = {"markerfacecolor": "white"} if page["n"].max() == 1 else {}
    return style.look("fluct") | {"color": color, "linestyle": dashes} | hollow


def _label(size: float) -> str:
    return "all samples" if pd.isna(size) else f"{size:,.0f} samples"
