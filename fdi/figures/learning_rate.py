"""Initialization x optimizer x step size: does the verdict depend on the optimizer?"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullFormatter

from fdi.analysis.contrasts import STATISTICS, accuracies, best
from fdi.analysis.published import with_layers
from fdi.analysis.results import Results
from fdi.analysis.select import groups
from fdi.figures import marks, sheet, style, sweeps, words

PLACE, TITLE = 6, "Optimizers and their steps"
ABOUT = "accuracy by initialization, optimizer and step size, and the step that validation chooses"
NEEDS = "runs with at least three values of optimizer.lr"
COMMAND = "fdi-run -m experiment=learning_rate"
SIZE = (style.COLUMN, 1.35)
RING: style.Look = {
    "color": "none",
    "markersize": 7,
    "zorder": 4,
    "linestyle": "",
    "clip_on": False,
}


def data(results: Results) -> dict[str, pd.DataFrame]:
    """Page -> a row per depth, optimizer and point: layers, optimizer, init, baseline, x (step
    size), mean, sd, n, low, high; title, source.

    Where `chosen`, the one of its initialization and optimizer with the best validation accuracy,
    also versus, versus_low, versus_high, versus_n and verdict, against the chosen one of kaiming.
    """
    pages = {}
    free = ["optimizer.", "model.depth"]
    for (dataset, model), group in sweeps.sweeps(results.runs, _enough, free):
        runs = sweeps.usual(group).assign(
            x=lambda rows: rows["optimizer.lr"],
            optimizer=lambda rows: rows["optimizer._target_"].str.rpartition(".")[2],
        )
        runs = with_layers(runs)
        runs = runs[runs.groupby(["layers", "optimizer"])["x"].transform("nunique") >= 2]
        keys = ["layers", "optimizer", "init", "baseline"]
        every = accuracies(runs, [*keys, "x"], within=["layers", "optimizer", "x"])
        chosen = best(runs, keys, "x")
        judged = accuracies(chosen, [*keys, "x"], within=["layers", "optimizer"])
        table = every[[*keys, "x", *STATISTICS]].merge(
            judged.drop(columns=list(STATISTICS)).assign(chosen=True), on=[*keys, "x"], how="left"
        )
        table["chosen"] = table["chosen"].eq(True)
        pages[f"{dataset}_{model}"] = table.assign(
            finding=_finding(table),
            title=words.setting(group, "epochs"),
            source=sweeps.source(runs),
        )
    return pages


def _finding(table: pd.DataFrame) -> str:
    """How often fluct is better than kaiming, undecided, or worse, each at its best step size."""
    fluct = table[table["chosen"] & (table["init"] == "fluct") & table["versus"].notna()]
    question = "Does the verdict depend on the optimizer or its step size?"
    if fluct.empty:
        return question
    counts = fluct["verdict"].value_counts()
    verdicts = words.several([f"{verdict} in {count}" for verdict, count in counts.items()])
    return f"{question} Fluctuation-driven against Kaiming, each at its best step: {verdicts}"


def _enough(runs: pd.DataFrame) -> bool:
    return sweeps.levels(runs, "optimizer.lr") >= 3


def panels(page: pd.DataFrame) -> list[list[str]]:
    """One row per depth, one column per optimizer."""
    names = page["optimizer"].unique()
    return [[f"{layers} {name}" for name in names] for layers in page["layers"].unique()]


def draw(page: pd.DataFrame, axes: Mapping[str, Axes]) -> None:
    """A line over the step size for each initialization, a ring around the step that validation
    chooses.
    """
    for (layers, name), rows in groups(page, ["layers", "optimizer"], sort=False):
        panel = axes[f"{layers} {name}"]
        for init, points in groups(rows, "init", sort=False):
            marks.points(panel, points, style.look(init))
            ring = points[points["chosen"]]
            panel.plot(ring["x"], ring["mean"], "o", markeredgecolor=style.color(init), **RING)
        panel.set_title(name)
        panel.set_ylim(0, 106)
        panel.set_xscale("log")
        steps = sorted(rows["x"].unique())
        panel.set_xlim(steps[0] / 1.6, steps[-1] * 1.6)
        panel.xaxis.set_major_locator(LogLocator(numticks=4))
        panel.set_xticks(steps, minor=True)
        panel.xaxis.set_minor_formatter(NullFormatter())
        if name == page["optimizer"].iloc[0]:
            panel.set_ylabel(f"{words.layers(layers)}\ntest accuracy (%)")
        else:
            panel.set_yticklabels([])
        if layers == page["layers"].max():
            panel.set_xlabel("step size")
    first = next(iter(axes.values()))
    handles = [
        sheet.entry(init, rows["n"].min(), rows["n"].max())
        for init, rows in groups(page, "init", sort=False)
    ]
    ring = RING | {"marker": "o", "markeredgecolor": "black"}
    handles.append(Line2D([], [], **ring, label="best on validation"))
    row = page.iloc[0]
    sheet.above(first.figure, handles, row["finding"], f"{row['title']}: {sheet.OVER}")
