"""Hidden weights x readout weights: which of them causes a difference between initializations?"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes

from fdi.analysis.contrasts import accuracies
from fdi.analysis.published import with_layers
from fdi.analysis.results import Results
from fdi.analysis.select import groups
from fdi.figures import marks, sheet, style, sweeps, words

PLACE, TITLE = 5, "Hidden weights or readout"
ABOUT = "accuracy by initialization of the hidden layers and of the readout"
NEEDS = "runs with at least two values of readout_init"
COMMAND = "fdi-run -m experiment=readout"
SIZE = (style.COLUMN, 1.4)
NAMES = {"normal": "N(0, 1)/$\\sqrt{n}$", "same": "as hidden"}


def data(results: Results) -> dict[str, pd.DataFrame]:
    """Page -> a row per depth and point: layers, init, baseline, sigma_u, readout, mean, sd, n,
    low, high, versus and its kin, verdict (against kaiming with the same
    readout), title, source.
    """
    pages = {}
    free = ["readout_init", "model.depth"]
    for (dataset, model), group in sweeps.sweeps(results.runs, _several, free):
        group = with_layers(group)
        chosen = sweeps.crossed(sweeps.states(group), "readout_init", "layers")
        table = accuracies(
            chosen.rename(columns={"readout_init": "readout"}),
            ["layers", "init", "baseline", "sigma_u", "readout"],
            within=["layers", "readout"],
        )
        setting = words.setting(chosen, "epochs")
        pages[f"{dataset}_{model}"] = table.assign(
            finding="Does the difference come from the hidden weights or from the readout?",
            title=f"{setting}: {sheet.over(table['n'])}",
            source=sweeps.source(chosen),
        )
    return pages


def _several(runs: pd.DataFrame) -> bool:
    if sweeps.levels(runs, "readout_init") < 2:
        return False
    runs = with_layers(runs)
    return len(sweeps.crossed(sweeps.states(runs), "readout_init", "layers")) > 0


def panels(page: pd.DataFrame) -> list[list[str]]:
    """One panel per depth."""
    return [[f"{layers}"] for layers in page["layers"].unique()]


def draw(page: pd.DataFrame, axes: Mapping[str, Axes]) -> None:
    """For each readout the hidden initial states side by side."""
    names = [*NAMES, *sorted(set(page["readout"]) - set(NAMES))]
    order = [name for name in names if name in set(page["readout"])]
    for layers, rows in groups(page, "layers"):
        panel = axes[f"{layers}"]
        marks.beside(panel, rows, "readout", order, page)
        panel.set_xticks(range(len(order)), [NAMES.get(name, f"by {name}") for name in order])
        panel.set_title(words.layers(layers))
        panel.set_ylabel("test accuracy (%)")
        marks.percent(panel, rows)
    last = axes[f"{page['layers'].max()}"]
    last.set_xlabel("readout weights")
    first = page.iloc[0]
    handles = marks.handles(page, "hidden: ")
    sheet.above(last.figure, handles, first["finding"], first["title"])
