"""Does it help to correct the weights until the measured spread of the potential is on target?"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from fdi.analysis.collect import Page, Pages, Runs
from fdi.analysis.conditions import accuracies, groups, moments
from fdi.analysis.results import Results
from fdi.analysis.statistics import better_or_worse
from fdi.figures import marks, sheet, style, words
from fdi.figures.style import ordered
from fdi.figures.sweeps import guessed, near_one, sweeps, varying
from fdi.study.contrasts import Contrast, contrasts

PLACE, TITLE = 17, "Weights corrected by measurement"
ABOUT = (
    "the closed form against weights corrected by measurement: spread and rate of each layer "
    "before training, accuracy after"
)
NEEDS = "runs of fluct and fluct_calibrated"
COMMAND = "fdi-run -m experiment=calibrated"
SIZE = (style.COLUMN, 1.6)
LAYERS = {"spread": "$\\sigma_U$ (units of threshold)", "rate": "rate (Hz)"}
CORRECTED, CLOSED = "fluct_calibrated", "fluct"
DODGE = 0.12  # between the marks of initializations, in units of a population
COMPARED = ("kaiming", "lsuv", CLOSED, CORRECTED)


def data(results: Results) -> Pages:
    """Page of a deep network that learns -> a row per quantity and point: quantity, init, line (its
    label), number, x (layer or position), population, mean, sd, n, low, high, of the accuracy
    versus and verdict (against kaiming); in all rows target (of the spread), finding, title.
    """
    pages: Pages = {}
    chosen = near_one(results.runs[results.runs["init"].isin(COMPARED)])
    for (dataset, model), group in sweeps(
        chosen, lambda runs: {CLOSED, CORRECTED} <= set(runs["init"])
    ):
        if group.filter(like="rate/").notna().sum(axis=1).max() < 2 or guessed(group):
            continue
        lines = _lines(group)
        layers = results.layers.merge(lines[["path", "line", "number"]], on="path")
        if layers.empty:  # trained with probe=none
            continue
        layers = layers.assign(
            x=layers["population"].map(ordered(layers["population"].unique())),
            spread=layers["free_sigma"],
        )
        keys = ["init", "line", "number"]
        parts = [
            moments(layers, [*keys, "x", "population"], quantity).assign(quantity=quantity)
            for quantity in LAYERS
        ]
        accuracy = accuracies(lines, keys).assign(quantity="accuracy")
        parts.append(accuracy.assign(x=range(len(accuracy))))
        page = pd.concat(parts, ignore_index=True).assign(
            target=layers["target_sigma_u"].median(),
            finding=_finding(group),
            title=words.trained(group),
        )
        pages[f"{dataset}_{model}"] = page, group
    return pages


def _finding(runs: Runs) -> str:
    """How much correcting the weights adds to the accuracy."""
    (one, *_) = contrasts(runs, {"init": CORRECTED}, {"init": CLOSED})
    question = "Does correcting the weights by measurement help?"
    return f"{question} Accuracy {one.other:.1f} % before, {one.one:.1f} % after{_sure(one)}"


def _sure(contrast: Contrast) -> str:
    sure = better_or_worse(contrast.difference.mean, contrast.difference.p)
    return f": {sure}" if sure else " (one pair)"


def panels(page: Page) -> list[list[str]]:
    """The layers before training, and the accuracy after it."""
    return [["spread", "rate", "accuracy"]]


def draw(page: Page, axes: Mapping[str, Axes]) -> None:
    """A line for each initialization over the layers."""
    handles = []
    lines = list(groups(page, ["init", "line", "number"], sort=False))
    for place, ((init, line, number), rows) in enumerate(lines):
        look = style.init_look(init, number)
        for quantity in LAYERS:
            shown = rows[rows["quantity"] == quantity]
            marks.depths(axes[quantity], shown, look, place, len(lines), DODGE)
        accuracy = rows[rows["quantity"] == "accuracy"]
        marks.points(axes["accuracy"], accuracy, look | {"linestyle": ""})
        handles.append(sheet.legend_entry(look, line, accuracy["n"]))
    for quantity, title in LAYERS.items():
        shown = page[page["quantity"] == quantity].drop_duplicates("x")
        axes[quantity].set_title(title)
        axes[quantity].set_xticks(shown["x"], shown["population"])
        axes[quantity].set_xlabel("layer, before training")
        marks.from_zero(axes[quantity])
    target: style.Look = {"color": "black", "linewidth": 0.8, "linestyle": ":"}
    axes["spread"].axhline(page["target"].iloc[0], zorder=1, **target)
    handles.append(Line2D([], [], **target, label="target of $\\sigma_U$"))
    accuracy = page[page["quantity"] == "accuracy"]
    axes["accuracy"].set_title("test accuracy (%)")
    marks.percent(axes["accuracy"], accuracy)
    axes["accuracy"].set_xlim(-0.5, len(accuracy) - 0.5)
    axes["accuracy"].set_xticks([])
    sheet.head(axes, handles, page)


def _lines(runs: Runs) -> pd.DataFrame:
    """Label and line style of each config: its init, with nu or alpha where they differ."""
    parts = []
    for init, members in groups(runs, "init", sort=False):
        varied = varying(members)
        labels = [
            ", ".join([words.init(init), *(f"{c[5:]} = {run[c]}" for c in varied)])
            for run in members.to_dict("records")
        ]
        numbers = {label: i for i, label in enumerate(sorted(set(labels)))}
        parts.append(members.assign(line=labels, number=[numbers[label] for label in labels]))
    return pd.concat(parts)
