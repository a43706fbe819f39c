"""Normalization and skip connections, which the field uses instead: does the initial state still
matter with them?
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes

from fdi.analysis.contrasts import accuracies
from fdi.analysis.published import with_layers
from fdi.analysis.results import Results
from fdi.figures import marks, sheet, style, sweeps, words

PLACE, TITLE = 14, "Normalization and skip connections"
ABOUT = "accuracy with normalization and skip connections, alone and together, by depth"
NEEDS = "runs of one network with at least two of: neither, a normalization, skip connections"
COMMAND = "fdi-run -m experiment=instead"
SIZE = (style.COLUMN, 1.15)
NORMS = {"none": "", "tdbn": "tdBN", "bntt": "BNTT", "layer": "layer norm"}
PLAIN = "neither"
NEITHER = "without normalization and skip connections"
ORDER = [PLAIN, "tdBN", "BNTT", "layer norm", "skip"]
ORDER += [f"{norm} + skip" for norm in ORDER[1:4]]
KEYS = ["init", "baseline", "sigma_u", "condition", "layers"]
VARIED = ["model.norm", "model.skip", "model.depth", "engine.name", "layers", "condition"]


def data(results: Results) -> dict[str, pd.DataFrame]:
    """Page, one for each optimizer -> a row per point: init, baseline, sigma_u, condition, layers,
    mean, sd, n, low, high, versus and verdict (against kaiming under the same condition at the same
    depth), finding, network, optimizer, title, source.
    """
    pages: dict[str, pd.DataFrame] = {}
    if not {"model.norm", "model.skip"} <= set(results.runs):
        return pages
    runs = with_layers(results.runs.dropna(subset=["model.norm", "model.skip"]))
    runs = runs.assign(condition=conditions(runs))
    optimizers = runs["optimizer._target_"].str.rpartition(".")[2]
    for optimizer, part in runs.groupby(optimizers):
        which = "" if optimizer == "SMORMS3" else f", {optimizer}"
        for (dataset, model), group in sweeps.sweeps(part, _several, VARIED):
            chosen = sweeps.crossed(sweeps.states(group), "condition", "layers")
            if chosen.empty:
                continue
            table = accuracies(chosen, KEYS, within=["condition", "layers"])
            title = f"{words.setting(chosen, 'trainer.epochs')}, {words.condition(chosen)}"
            pages[f"{dataset}_{model}{which.replace(', ', '_').lower()}"] = table.assign(
                finding=_finding(table),
                network=", ".join([dataset, *words.cut(group), model]),
                optimizer=optimizer,
                title=f"{title}: {sheet.over(table['n'])}",
                source=sweeps.source(chosen),
            )
    return pages


def conditions(runs: pd.DataFrame) -> list[str]:
    """Which of these each run's network has, as text."""
    return [
        " + ".join([part for part in (NORMS[norm], "skip" * bool(skip)) if part]) or PLAIN
        for norm, skip in zip(runs["model.norm"], runs["model.skip"])
    ]


def _finding(table: pd.DataFrame) -> str:
    """Where fluct is better than kaiming and where worse in the `deepest` network, or else the
    question.
    """
    rows = deepest(table)
    rows = rows[rows["init"] == "fluct"]
    parts = []
    for verdict in ("better", "worse"):
        decided = set(rows.loc[rows["verdict"] == verdict, "condition"])
        names = [NEITHER if name == PLAIN else f"with {name}" for name in ORDER if name in decided]
        parts += [f"{verdict} {words.several(names)}"] if names else []
    if not parts:
        return "Does the initial state still matter with normalization and skip connections?"
    pair = f"{words.init('fluct', True).capitalize()} against {words.init('kaiming', True)}"
    return f"{pair}: {', '.join(parts)} ({words.layers(rows['layers'].max())})"


def deepest(table: pd.DataFrame) -> pd.DataFrame:
    """The deepest of the networks in which most conditions have runs from both initial states."""
    pairs = table[table["init"] == "fluct"].dropna(subset="versus").groupby("layers").size()
    layers = pairs[pairs == pairs.max()].index.max() if len(pairs) else table["layers"].max()
    return table[table["layers"] == layers]


def _several(runs: pd.DataFrame) -> int:
    """How many conditions are compared at one depth; 0 if fewer than two."""
    most = runs.groupby("layers")["condition"].nunique().max()
    return int(most) if most >= 2 else 0


def panels(page: pd.DataFrame) -> list[list[str]]:
    """A panel for each depth."""
    return [[f"{layers:.0f}"] for layers in sorted(page["layers"].unique())]


def draw(page: pd.DataFrame, axes: Mapping[str, Axes]) -> None:
    """The initial states side by side, for each condition."""
    order = [condition for condition in ORDER if condition in set(page["condition"])]
    for name, panel in axes.items():
        rows = page[page["layers"] == int(name)]
        marks.beside(panel, rows, "condition", order, page)
        panel.set_title(words.layers(int(name)))
        panel.set_ylabel("test accuracy (%)")
        marks.percent(panel, rows)
    first = page.iloc[0]
    sheet.above(panel.figure, marks.handles(page), first["finding"], first["title"])
