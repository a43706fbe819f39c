"""Bounds on the activity: which differences between initial states exist only with them?"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes

from fdi.analysis.bounds import MODES, modes
from fdi.analysis.contrasts import accuracies
from fdi.analysis.results import Results
from fdi.figures import marks, sheet, style, sweeps, words

PLACE, TITLE = 12, "Each bound alone"
ABOUT = "accuracy without bounds on the activity, with the upper, the lower, and both, by depth"
NEEDS = "runs with at least three of: no bounds, the upper one, the lower one, both"
COMMAND = "fdi-run -m experiment=bounds"
SIZE = (style.COLUMN, 1.15)
EPOCHS = "trainer.epochs"
NAMES = dict(zip(MODES, ("no bounds", "upper bound", "lower bound", "both bounds")))
KEYS = ["init", "baseline", "sigma_u", "mode", "layers"]


def data(results: Results) -> dict[str, pd.DataFrame]:
    """Page -> a row per point: init, baseline, sigma_u, mode, layers, epochs, mean, sd, n, low,
    high, versus and verdict (against kaiming with the same bounds and depth), finding, network,
    title, source.
    """
    pages: dict[str, pd.DataFrame] = {}
    if "trainer.epochs" not in results.runs:
        return pages
    runs = results.runs.assign(mode=modes(results.runs))
    runs = runs[runs["mode"] != ""] if EPOCHS in runs else runs.iloc[:0]
    varied = ["homeostasis.", "model.depth", EPOCHS, "mode"]
    for (dataset, model), group in sweeps.sweeps(runs, _several, varied):
        chosen = sweeps.states(group.assign(layers=_layers(group)))
        chosen = sweeps.crossed(_longest(chosen), "mode", "layers")
        epochs = chosen.groupby("layers")[EPOCHS].first()
        table = accuracies(chosen, KEYS, within=["mode", "layers"])
        title = f"{words.setting(chosen)}: {sheet.over(table['n'])}"
        pages[f"{dataset}_{model}"] = table.assign(
            epochs=table["layers"].map(epochs),
            finding=_finding(table),
            network=f"{dataset}, {model}",
            title=title,
            source=sweeps.source(chosen),
        )
    return pages


def _finding(table: pd.DataFrame) -> str:
    """The difference between fluct and kaiming in the shallowest network, without bounds and with
    those that make it largest.
    """
    question = "Do differences between initial states need bounds on the activity?"
    rows = table[(table["init"] == "fluct") & (table["layers"] == table["layers"].min())]
    rows = rows.dropna(subset="versus").drop_duplicates("mode").set_index("mode")["versus"]
    if "none" not in rows or len(rows) < 2:
        return question
    most = rows.drop("none").abs().idxmax()
    return (
        f"{question} Fluctuation-driven minus Kaiming: {rows['none']:+.1f} (no bounds), "
        f"{rows[most]:+.1f} ({NAMES[most]})"
    )


def _layers(runs: pd.DataFrame) -> pd.Series:
    return runs.reindex(columns=["model.depth"])["model.depth"].fillna(1).astype(int)


def _longest(runs: pd.DataFrame) -> pd.DataFrame:
    """For each depth, the longest training for which there are runs with at least three kinds of
    bounds.
    """
    parts = []
    for _, group in runs.groupby("layers"):
        kinds = group.groupby(EPOCHS)["mode"].nunique()
        if len(enough := kinds[kinds >= 3]):
            parts.append(group[group[EPOCHS] == enough.index.max()])
    return pd.concat(parts) if parts else runs.iloc[:0]


def _several(runs: pd.DataFrame) -> int:
    """How many kinds of bounds an initial state has at equal depth and epochs; 0 if fewer than
    three.
    """
    longest = _longest(runs.assign(layers=_layers(runs)))
    return longest["mode"].nunique() if len(longest) else 0


def panels(page: pd.DataFrame) -> list[list[str]]:
    """A panel for each depth."""
    return [[f"{layers}"] for layers in sorted(page["layers"].unique())]


def draw(page: pd.DataFrame, axes: Mapping[str, Axes]) -> None:
    """The initial states side by side, for each kind of bounds."""
    order = [mode for mode in MODES if mode in set(page["mode"])]
    for name, panel in axes.items():
        rows = page[page["layers"] == int(name)]
        marks.beside(panel, rows, "mode", order, page)
        panel.set_xticks(range(len(order)), [NAMES[mode] for mode in order])
        panel.set_title(f"{words.layers(int(name))}, {rows['epochs'].iloc[0]:.0f} epochs")
        panel.set_ylabel("test accuracy (%)")
        marks.percent(panel, rows)
    first = page.iloc[0]
    sheet.above(panel.figure, marks.handles(page), first["finding"], first["title"])
