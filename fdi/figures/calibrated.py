"""Does it help to correct the weights until the measured spread of the potential is on target?"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes

from fdi.analysis.contrasts import accuracies, moments
from fdi.analysis.results import Results
from fdi.figures import legends, style
from fdi.figures.sweeps import guessed, near_one, source, sweeps

PLACE, TITLE = 16, "Weights corrected by measurement"
ABOUT = (
    "the closed form against weights corrected by measurement: spread and rate of each layer "
    "before training, accuracy after"
)
NEEDS = "runs of fluct and fluct_calibrated"
COMMAND = "fdi-run -m experiment=calibrated"
SIZE = (style.COLUMN, 1.4)
LAYERS = {"spread": "measured $\\sigma_U$ / target", "rate": "initial rate (Hz)"}
COMPARED = ("kaiming", "lsuv", "fluct", "fluct_calibrated")


def data(results: Results) -> dict[str, pd.DataFrame]:
    """Page of a deep network that learns -> a row per quantity and point: quantity, init, line (its
    label), number, x (layer or position), population, mean, sd, n, low, high, of the accuracy
    versus and verdict (against kaiming), title, source.
    """
    pages = {}
    chosen = near_one(results.runs[results.runs["init"].isin(COMPARED)])
    for (dataset, model), found in sweeps(
        chosen, lambda runs: {"fluct", "fluct_calibrated"} <= set(runs["init"])
    ):
        if found.filter(like="rate/").notna().sum(axis=1).max() < 2 or guessed(found):
            continue
        lines = _lines(found)
        layers = results.layers.merge(lines[["path", "line", "number"]], on="path")
        if layers.empty:  # trained with probe=none
            continue
        layers = layers.assign(
            x=layers.groupby("path").cumcount() + 1,
            spread=layers["free_sigma"] / layers["target_sigma_u"].fillna(1.0),
        )
        keys = ["init", "line", "number"]
        parts = [
            moments(layers, [*keys, "x", "population"], quantity).assign(quantity=quantity)
            for quantity in LAYERS
        ]
        accuracy = accuracies(lines, keys).assign(quantity="accuracy")
        parts.append(accuracy.assign(x=range(len(accuracy))))
        title = (
            f"{dataset}, {model}, {layers['x'].max()} hidden populations, "
            f"{found['epochs'].iloc[0]:.0f} epochs: {legends.OVER}"
        )
        pages[f"{dataset}_{model}"] = pd.concat(parts, ignore_index=True).assign(
            title=title, source=source(found)
        )
    return pages


def panels(page: pd.DataFrame) -> list[list[str]]:
    """The layers side by side, the accuracy below."""
    return [["spread", "rate"], ["accuracy", "accuracy"]]


def draw(page: pd.DataFrame, axes: Mapping[str, Axes]) -> None:
    """A line for each initialization over the layers."""
    handles = []
    for (init, line, number), rows in page.groupby(["init", "line", "number"], sort=False):
        for quantity in LAYERS:
            style.points(axes[quantity], rows[rows["quantity"] == quantity], init, number=number)
        accuracy = rows[rows["quantity"] == "accuracy"]
        style.points(axes["accuracy"], accuracy, init, line=False)
        handles.append(
            legends.entry(init, accuracy["n"].min(), accuracy["n"].max(), number=number, label=line)
        )
    trained = legends.span(page.loc[page["quantity"] == "accuracy", "n"])
    for quantity, title in LAYERS.items():
        shown = page[page["quantity"] == quantity]
        probed = legends.span(shown["n"])
        axes[quantity].set_title(title if probed == trained else f"{title}, n = {probed}")
        shown = shown.drop_duplicates("x")
        axes[quantity].set_xticks(shown["x"], shown["population"])
        style.from_zero(axes[quantity])
    axes["spread"].axhline(1, color="black", linewidth=0.8, linestyle=":", zorder=1)
    accuracy = page[page["quantity"] == "accuracy"]
    axes["accuracy"].set_title("test accuracy (%)")
    axes["accuracy"].set_ylim(0, 103)
    axes["accuracy"].set_xlim(-0.5, len(accuracy) - 0.5)
    axes["accuracy"].set_xticks(
        accuracy["x"], accuracy["line"].str.replace("_", "\n").str.replace(", ", ",\n")
    )
    legends.above(axes["accuracy"].figure, handles, page["title"].iloc[0])


def _lines(runs: pd.DataFrame) -> pd.DataFrame:
    """Label and line style of each config: init, and nu or alpha where they differ within
    it.
    """
    parts = []
    for init, members in runs.groupby("init", sort=False):
        differing = [
            c for c in members if c.startswith("init.") and members[c].nunique(dropna=False) > 1
        ]
        labels = [
            ", ".join([init, *(f"{c[5:]} = {run[c]}" for c in differing)])
            for run in members.to_dict("records")
        ]
        numbers = {label: i for i, label in enumerate(sorted(set(labels)))}
        parts.append(members.assign(line=labels, number=[numbers[label] for label in labels]))
    return pd.concat(parts)
