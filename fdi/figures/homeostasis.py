"""Homeostasis: can activity regularizers, during training or before it, make up for a bad initial
state?
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from fdi.analysis.contrasts import moments
from fdi.analysis.results import Results
from fdi.figures import style, sweeps
from fdi.figures.states import State, states

ABOUT = (
    "accuracy and rate by homeostasis (none, joint with the task, priming before it) and "
    "initial state"
)
NEEDS = "runs with at least two kinds of homeostasis"
COMMAND = "fdi-run -m experiment=homeostasis"
SIZE = (style.COLUMN, 1.4)
MODES = {
    (False, False): "none",
    (False, True): "joint",
    (True, False): "prime",
    (True, True): "prime + joint",
}
TITLES = {
    "accuracy": "test accuracy (%)",
    "rate": "rate after training (Hz), mean of the hidden populations",
}
WIDTH = 0.7  # of the points of one mode, in units of the distance between modes


def data(results: Results) -> dict[str, pd.DataFrame]:
    """Page -> a row per quantity and point: quantity, init, sigma_u, mode, mean, sd, n, title,
    source.
    """
    pages = {}
    for (dataset, model), found in sweeps.sweeps(results.runs, _several, ["homeostasis."]):
        chosen = sweeps.crossed(sweeps.states(found.assign(mode=_modes(found))), "mode")
        rate = chosen.filter(like="rate/").mean(axis=1)
        chosen = chosen.assign(accuracy=100 * chosen["test_accuracy_last"], rate=rate)
        parts = [
            moments(chosen, ["init", "sigma_u", "mode"], quantity).assign(quantity=quantity)
            for quantity in TITLES
        ]
        n = style.span(parts[0]["n"])
        title = (
            f"{dataset}, {model}, {found['trainer.epochs'].iloc[0]:.0f} epochs of the task: "
            f"mean and sd over n = {n} seeds"
        )
        pages[f"{dataset}_{model}"] = pd.concat(parts, ignore_index=True).assign(
            title=title, source=sweeps.source(chosen)
        )
    return pages


def _several(runs: pd.DataFrame) -> bool:
    """Is there an initial state with at least two kinds of homeostasis?"""
    return len(sweeps.crossed(sweeps.states(runs.assign(mode=_modes(runs))), "mode")) > 0


def panels(page: pd.DataFrame) -> list[list[str]]:
    """Accuracy above, rate below."""
    return [[quantity] for quantity in TITLES]


def draw(page: pd.DataFrame, axes: Mapping[str, Axes]) -> None:
    """For each mode the initial states side by side."""
    found = list(states(page))
    for quantity, panel in axes.items():
        _points(panel, page[page["quantity"] == quantity], found)
        panel.set_title(TITLES[quantity])
    style.from_zero(axes["rate"])
    axes["accuracy"].set_ylim(0, 103)
    handles = [
        Line2D([], [], **state.look() | {"linestyle": ""}, label=state.label) for state in found
    ]
    style.legend(axes["accuracy"].figure, handles, page["title"].iloc[0])


def _points(axes: Axes, rows: pd.DataFrame, found: list[State]) -> None:
    modes = [mode for mode in MODES.values() if mode in set(rows["mode"])]
    for i, state in enumerate(found):
        shown = state.rows(rows)
        x = shown["mode"].map(modes.index) + WIDTH * ((i + 0.5) / len(found) - 0.5)
        axes.errorbar(
            x,
            shown["mean"],
            shown["sd"].fillna(0),
            **state.look() | {"linestyle": ""},
            capsize=1.5,
            elinewidth=0.8,
        )
    axes.set_xlim(-0.5, len(modes) - 0.5)
    axes.set_xticks(range(len(modes)), modes)


def _modes(runs: pd.DataFrame) -> pd.Series:
    """none, joint, prime, or prime + joint, for each run."""
    runs = runs.reindex(columns=["homeostasis.prime_epochs", "homeostasis.joint"])
    primed, joint = runs["homeostasis.prime_epochs"] > 0, runs["homeostasis.joint"].eq(True)
    return pd.Series([MODES[key] for key in zip(primed, joint)], index=runs.index, dtype=str)
