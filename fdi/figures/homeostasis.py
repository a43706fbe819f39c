"""Homeostasis: can activity regularizers, during training or before it, make up for a bad initial
state?
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes

from fdi.analysis.contrasts import accuracies, moments
from fdi.analysis.results import Results
from fdi.figures import marks, sheet, style, sweeps, words

PLACE, TITLE = 11, "Bounds on the activity"
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


def data(results: Results) -> dict[str, pd.DataFrame]:
    """Page -> a row per quantity and point: quantity, init, baseline, sigma_u, mode, mean, sd, n,
    low, high, of the accuracy versus and verdict (against kaiming with the same bounds), title,
    source.
    """
    pages = {}
    for (dataset, model), group in sweeps.sweeps(results.runs, _several, ["homeostasis."]):
        chosen = sweeps.crossed(sweeps.states(group.assign(mode=_modes(group))), "mode")
        rate = chosen.filter(like="rate/").mean(axis=1)
        chosen = chosen.assign(rate=rate)
        keys = ["init", "baseline", "sigma_u", "mode"]
        parts = [
            accuracies(chosen, keys, within=["mode"]).assign(quantity="accuracy"),
            moments(chosen, keys, "rate").assign(quantity="rate"),
        ]
        setting = words.setting(chosen, "trainer.epochs")
        pages[f"{dataset}_{model}"] = pd.concat(parts, ignore_index=True).assign(
            finding=_finding(parts[0]),
            title=f"{setting} of the task: {sheet.over(parts[0]['n'])}",
            source=sweeps.source(chosen),
        )
    return pages


def _several(runs: pd.DataFrame) -> int:
    """How many kinds of homeostasis an initial state was trained with; 0 if fewer than two."""
    runs = runs.assign(mode=_modes(runs))
    if sweeps.levels(runs, "mode") < 2:
        return 0
    return sweeps.crossed(sweeps.states(runs), "mode")["mode"].nunique()


def _finding(accuracy: pd.DataFrame) -> str:
    """What the best bounds make of the initial state that is worst without bounds."""
    question = "Do bounds on the activity make up for a bad initial state?"
    rows = accuracy.set_index(["init", "sigma_u"])
    without = rows.loc[rows["mode"] == "none", "mean"]
    if without.empty or rows["mode"].eq("none").all():
        return question
    worst = without.idxmin()
    mine = accuracy[(accuracy["init"] == worst[0]) & (accuracy["mode"] != "none")]
    mine = mine[mine["sigma_u"].isna() if pd.isna(worst[1]) else mine["sigma_u"].eq(worst[1])]
    return (
        f"{question} {words.init(worst[0])}: {without.min():.0f} % without, "
        f"{mine['mean'].max():.0f} % with the best"
    )


def panels(page: pd.DataFrame) -> list[list[str]]:
    """Accuracy above, rate below."""
    return [[quantity] for quantity in TITLES]


def draw(page: pd.DataFrame, axes: Mapping[str, Axes]) -> None:
    """The initial states side by side, for each mode."""
    order = [mode for mode in MODES.values() if mode in set(page["mode"])]
    for quantity, panel in axes.items():
        marks.beside(panel, page[page["quantity"] == quantity], "mode", order, page)
        panel.set_title(TITLES[quantity])
    marks.from_zero(axes["rate"])
    marks.percent(axes["accuracy"], page[page["quantity"] == "accuracy"])
    first = page.iloc[0]
    handles = marks.handles(page)
    sheet.above(axes["accuracy"].figure, handles, first["finding"], first["title"])


def _modes(runs: pd.DataFrame) -> pd.Series:
    """none, joint, prime, or prime + joint, for each run."""
    runs = runs.reindex(columns=["homeostasis.prime_epochs", "homeostasis.joint"])
    primed, joint = runs["homeostasis.prime_epochs"] > 0, runs["homeostasis.joint"].eq(True)
    return pd.Series([MODES[key] for key in zip(primed, joint)], index=runs.index, dtype=str)
