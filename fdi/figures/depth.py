"""Depth: which initial states still train deep networks, and how activity propagates through them before training."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.lines import Line2D

from fdi.analysis.results import Results
from fdi.figures import style
from fdi.figures.sweeps import moments, source, swept, sweeps, usual

ABOUT = "accuracy by depth and initial state, and the rate of each layer of the deepest network before training"
NEEDS = "runs with at least two values of model.depth"
COMMAND = "fdi-run -m experiment=depth"
SIZE = (style.COLUMN, 1.55)


def data(results: Results) -> dict[str, pd.DataFrame]:
    """Page -> a row per part and point: part (accuracy in %, rate in Hz), column (initial state), init, sigma_u, depth, layer, mean, sd, n."""
    pages = {}
    for (dataset, model), found in sweeps(results.runs, ["model.depth"]):
        if "model.depth" not in found or found["model.depth"].nunique() < 2:
            continue
        states = _states(found)
        accuracy = moments(states.assign(y=100 * states["test_accuracy_last"]), [*KEYS, "model.depth"], "y").rename(columns={"model.depth": "depth"})
        deepest = states[states["model.depth"] == states["model.depth"].max()]
        layers = results.probe.reindex(columns=["path", "population", "rate"]).merge(deepest[["path", "seed", *KEYS]], on="path")
        layers = layers.assign(layer=layers.groupby("path").cumcount() + 1)
        rate = moments(layers, [*KEYS, "layer"], "rate")
        table = pd.concat([accuracy.assign(part="accuracy"), rate.assign(part="rate")], ignore_index=True)
        title = f"{dataset}, {model}, {found['epochs'].iloc[0]:.0f} epochs: mean over n = {_counted(accuracy['n'])} seeds"
        pages[f"{dataset}_{model}"] = table.assign(title=title, source=source(states))
    return pages


KEYS = ["column", "init", "sigma_u"]


def panels(page: pd.DataFrame) -> list[list[str]]:
    """The map above, rates per layer below."""
    return [["accuracy"], ["rate"]] if (page["part"] == "rate").any() else [["accuracy"]]


def draw(page: pd.DataFrame, axes: Mapping[str, Axes]) -> None:
    """A map with the numbers in it, and a line for each initial state."""
    _map(axes["accuracy"], page[page["part"] == "accuracy"])
    handles = _rates(axes["rate"], page[page["part"] == "rate"]) if "rate" in axes else []
    style.legend(axes["accuracy"].figure, handles, page["title"].iloc[0])


def _states(runs: pd.DataFrame) -> pd.DataFrame:
    """fluct at each sigma_u, one config of each other initialization; `column` is the label."""
    others = usual(runs[runs["init"] != "fluct"])
    if "init.sigma_u" not in runs:
        return others.assign(column=others["init"], sigma_u=np.nan)
    fluct = swept(runs, "fluct", "init.sigma_u")
    fluct = fluct.assign(column=fluct["init.sigma_u"].map("{:g}".format), sigma_u=fluct["init.sigma_u"])
    return pd.concat([others.assign(column=others["init"], sigma_u=np.nan), fluct])


def _columns(rows: pd.DataFrame) -> pd.DataFrame:
    """The initial states in the order they are drawn in: baselines, then sigma_u upwards."""
    return rows.drop_duplicates("column").sort_values(["sigma_u", "column"], na_position="first")


def _map(axes: Axes, rows: pd.DataFrame) -> None:
    columns = _columns(rows)
    table = rows.pivot(index="depth", columns="column", values="mean")[columns["column"]]
    axes.imshow(table, cmap=style.MAP, norm=Normalize(0, 100), aspect="auto", origin="lower")
    for (i, j), value in np.ndenumerate(table.to_numpy()):
        if np.isfinite(value):
            axes.text(j, i, f"{value:.0f}", ha="center", va="center", fontsize=6.5, color="black" if value > 50 else "white")
    axes.set_xticks(range(len(columns)), columns["column"].str.replace("_", "\n"))
    axes.set_yticks(range(len(table)), [f"{depth:.0f}" for depth in table.index])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_ylabel("hidden layers")
    axes.set_xlabel("initialization; numbers: fluct with that $\\sigma_U$")
    axes.set_title("test accuracy (%)")


def _rates(axes: Axes, rows: pd.DataFrame) -> list[Line2D]:
    columns = _columns(rows)
    shades = iter(style.shades(int(columns["sigma_u"].notna().sum())))
    floor = rows.loc[rows["mean"] > 0, "mean"].min() / 2
    handles = []
    for state in columns.itertuples():
        line = rows[rows["column"] == state.column]
        fluct = pd.notna(state.sigma_u)
        look = {"color": next(shades) if fluct else style.color(state.init), "linestyle": "-" if fluct else "--", "marker": "o", "markersize": 3}
        axes.plot(line["layer"], line["mean"].clip(lower=floor), **look)
        handles.append(Line2D([], [], **look, label=f"fluct, $\\sigma_U$ = {state.column}" if fluct else state.column))
    axes.set_yscale("log")
    axes.set_xticks(sorted(rows["layer"].unique()))
    axes.set_xlabel(f"layer; silent layers at the lower edge ({floor:.1g} Hz)")
    axes.set_ylabel("rate (Hz)")
    axes.set_title("before training, deepest network")
    return handles


def _counted(n: pd.Series) -> str:
    return f"{n.min()}" if n.min() == n.max() else f"{n.min()} to {n.max()}"
