"""Depth: which initial states still train deep networks, and how activity propagates through them
before training.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.lines import Line2D

from fdi.analysis.contrasts import accuracies, moments
from fdi.analysis.results import Results
from fdi.figures import legends, style, sweeps
from fdi.figures.states import State, states

PLACE, TITLE = 8, "Deep networks"
ABOUT = (
    "accuracy by depth and initial state, and the rate of each layer of the deepest network "
    "before training"
)
NEEDS = "runs with at least two values of model.depth"
COMMAND = "fdi-run -m experiment=depth"
SIZE = (style.COLUMN, 1.35)
KEYS = ["init", "baseline", "sigma_u"]
SILENT = 0.02  # Hz, where layers without spikes are drawn


def data(results: Results) -> dict[str, pd.DataFrame]:
    """Page -> a row per part and point: part (accuracy in %, rate in Hz), init, baseline, sigma_u,
    x (depth or layer), mean, sd, n, low, high, of the accuracy versus and verdict (against kaiming
    of the same depth), title, source. Networks without bounds on the activity have a page of their
    own.
    """
    joint = results.runs.get("homeostasis.joint", pd.Series(True, index=results.runs.index))
    bounded, free = results.runs[joint.ne(False)], results.runs[joint.eq(False)]
    return _pages(bounded, results, "", "") | _pages(
        free, results, "_unbounded", ", no bounds on the activity"
    )


def _pages(
    runs: pd.DataFrame, results: Results, suffix: str, bounds: str
) -> dict[str, pd.DataFrame]:
    pages = {}
    for (dataset, model), found in sweeps.sweeps(runs, _deep_and_shallow, ["model.depth"]):
        chosen = sweeps.crossed(sweeps.states(found.dropna(subset=["model.depth"])), "model.depth")
        chosen = chosen.assign(x=chosen["model.depth"])
        deepest = chosen[chosen["x"] == chosen["x"].max()]
        layers = results.layers.reindex(columns=["path", "population", "rate"]).merge(
            deepest[["path", "seed", *KEYS]], on="path"
        )
        layers = layers.assign(x=layers.groupby("path").cumcount() + 1)
        accuracy = accuracies(chosen, [*KEYS, "x"], within=["x"])
        rate = moments(layers, [*KEYS, "x"], "rate")
        table = pd.concat(
            [accuracy.assign(part="accuracy"), rate.assign(part="rate")], ignore_index=True
        )
        title = (
            f"{dataset}, {model}, {found['epochs'].iloc[0]:.0f} epochs{bounds}: "
            f"{legends.over(accuracy['n'], 'mean')}"
        )
        pages[f"{dataset}_{model}{suffix}"] = table.assign(
            title=title, source=sweeps.source(chosen)
        )
    return pages


def _deep_and_shallow(runs: pd.DataFrame) -> int:
    """How many depths an initial state has, if it has two."""
    depths = sweeps.levels(runs, "model.depth")
    compared = depths >= 2 and len(sweeps.crossed(sweeps.states(runs), "model.depth")) > 0
    return depths if compared else 0


def panels(page: pd.DataFrame) -> list[list[str]]:
    """The map above, rates per layer below."""
    return [["accuracy"], ["rate"]]


def draw(page: pd.DataFrame, axes: Mapping[str, Axes]) -> None:
    """A map with the numbers in it, and a line for each initial state."""
    found = list(states(page))
    _map(axes["accuracy"], page[page["part"] == "accuracy"], found)
    _rates(axes["rate"], page[page["part"] == "rate"], found)
    handles = [Line2D([], [], **state.look(), label=state.label) for state in found]
    legends.above(axes["accuracy"].figure, handles, page["title"].iloc[0])


def _map(axes: Axes, rows: pd.DataFrame, found: list[State]) -> None:
    depths = sorted(rows["x"].unique())
    table = np.array([state.rows(rows).set_index("x")["mean"].reindex(depths) for state in found]).T
    axes.imshow(table, cmap=style.MAP, norm=Normalize(0, 100), aspect="auto", origin="lower")
    for (i, j), value in np.ndenumerate(table):
        if np.isfinite(value):
            axes.text(
                j,
                i,
                f"{value:.0f}",
                ha="center",
                va="center",
                fontsize=6.5,
                color="black" if value > 50 else "white",
            )
    spreads = ["" if pd.isna(state.sigma_u) else f"{state.sigma_u:g}" for state in found]
    axes.set_xticks(range(len(found)), spreads)
    names = list(dict.fromkeys(state.init for state in found))
    for init in names:
        places = [j for j, state in enumerate(found) if state.init == init]
        name = init.replace("_", "\n", len(places) == 1)
        axes.annotate(
            name,
            (np.mean(places), 0),
            (0, -11 if any(spreads) else -3),
            ("data", "axes fraction"),
            "offset points",
            ha="center",
            va="top",
            fontsize=6.5,
            rotation=90 if len(names) > 6 else 0,
        )
        axes.axvline(places[0] - 0.5, color="white", linewidth=2.5)
    axes.set_yticks(range(len(depths)), [f"{depth:.0f}" for depth in depths])
    axes.tick_params(length=0, pad=2)
    axes.spines[:].set_visible(False)
    axes.set_ylabel("hidden layers")
    by = "$\\sigma_U$ and initialization" if any(spreads) else "initialization"
    axes.set_title(f"test accuracy (%) by {by}")


def _rates(axes: Axes, rows: pd.DataFrame, found: list[State]) -> None:
    for state in found:
        line = state.rows(rows)
        axes.plot(line["x"], line["mean"].clip(lower=SILENT), **state.look())
    axes.set_yscale("log")
    axes.set_ylim(SILENT / 1.5, 250)
    axes.set_yticks([SILENT, 0.1, 1, 10, 100], ["silent", "0.1", "1", "10", "100"])
    axes.minorticks_off()
    axes.set_xticks(sorted(rows["x"].unique()))
    axes.set_xlabel("layer")
    axes.set_ylabel("rate (Hz)")
    axes.set_title("before training, deepest network")
