"""What docs/comparisons.md says of networks of many layers."""

from __future__ import annotations

import pandas as pd

from fdi.analysis.contrasts import best
from fdi.analysis.results import Results
from fdi.analysis.select import guesses, with_layers
from fdi.figures import words
from fdi.figures.catalogue import FIGURES
from pages.tables import accuracy, having, listed

HOW_DEEP = FIGURES["how_deep"]
IDENTITY, STEP = "init.identity", "optimizer.lr"


def how_deep(measured: Results) -> str:
    """A row for each initial state, a column for each number of layers: the accuracy at the step
    size that validation chooses, and this step; `guessing` where no run is better than that.
    """
    runs = with_layers(having(measured.runs, IDENTITY, *HOW_DEEP.figure.only))
    runs = runs[(runs["state"] == "done")]
    for key, value in HOW_DEEP.figure.only.items():
        runs = runs[pd.to_numeric(runs[key], errors="coerce") == value]
    rows, depths = [], sorted(runs["layers"].unique())
    for (init, identity), of_state in runs.groupby(["init", IDENTITY], dropna=False):
        name = init if pd.isna(identity) else f"{init}, identity = {identity:g}"
        row = {"init": name}
        for layers in depths:
            of_depth = of_state[of_state["layers"] == layers]
            row[words.layers(layers)] = _cell(of_depth) if len(of_depth) else "not drawn"
        rows.append(row)
    return listed(rows, HOW_DEEP.COMMAND)


def _cell(runs: pd.DataFrame) -> str:
    chosen = best(runs, ["layers"], STEP)
    guessing = " guessing" if all(guesses(chosen)) else ""
    return f"{accuracy(chosen)}, at {chosen[STEP].iloc[0]:g}{guessing}"
