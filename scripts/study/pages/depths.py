"""What docs/comparisons.md says of networks of many layers."""

from __future__ import annotations

import pandas as pd

from fdi.analysis.conditions import best
from fdi.analysis.derived import guesses, with_layers
from fdi.analysis.results import Results
from fdi.analysis.statistics import correct, paired, verdict
from fdi.figures import words
from fdi.figures.catalogue import FIGURES
from pages.tables import alike, having, listed

HOW_DEEP = FIGURES["how_deep"]
IDENTITY, STEP = "init.identity", "optimizer.lr"


def how_deep(measured: Results) -> str:
    """A row for each data set and initial state, a column for each number of layers: test accuracy
    in percent at the step size that validation chooses (mean, lowest and highest of n seeds), and
    this step; `guessing` where no run is better than that, - where there is none.
    """
    runs = with_layers(having(measured.runs, IDENTITY, *HOW_DEEP.figure.only))
    runs = runs[runs["state"] == "done"]
    for key, value in HOW_DEEP.figure.only.items():
        runs = runs[runs[key] == value]
    rows, depths = [], sorted(runs["layers"].unique())
    for (data, init, identity), of_state in runs.groupby(
        ["dataset", "init", IDENTITY], dropna=False
    ):
        row = {
            "data": data,
            "init": init,
            "identity": "-" if pd.isna(identity) else f"{identity:g}",
        }
        for layers in depths:
            of_depth = of_state[of_state["layers"] == layers]
            row[words.layers(layers)] = _cell(of_depth) if len(of_depth) else "-"
        rows.append(row)
    return listed(rows, HOW_DEEP.COMMAND)


def controls(measured: Results) -> str:
    """A row for each number of layers: test accuracy in percent with hidden layers that learn and
    with frozen ones (mean, lowest and highest of n seeds), and their difference, with its interval
    corrected for all rows.
    """
    table = measured.csv("controls")
    pairs = [
        paired(*(100 * of[side]["accuracy"].to_numpy() for side in ("", "hidden")))
        for _, rows in table.fillna({"frozen": ""}).groupby("layers")
        if (of := {side: part.sort_values("seed") for side, part in rows.groupby("frozen")})
    ]
    lines = []
    for (layers, rows), found in zip(table.groupby("layers"), correct(pairs, [0] * len(pairs))):
        row = {"network": words.layers(layers)}
        for title, part in (
            ("hidden layers learn", rows[rows["frozen"].isna()]),
            ("hidden layers frozen", rows[rows["frozen"].notna()]),
        ):
            share = 100 * part["accuracy"]
            spread = f"{share.min():.1f}..{share.max():.1f}"
            row[title] = f"{share.mean():.1f} ({spread}), n = {len(share)}"
        low, high = max(found.low, -100), min(found.high, 100)
        row["difference"] = (
            f"{found.mean:+.1f} ({low:+.1f}..{high:+.1f}) {verdict(found.mean, found.p)}"
        )
        lines.append(row)
    return listed(lines, HOW_DEEP.COMMAND)


def _cell(runs: pd.DataFrame) -> str:
    chosen = alike(best(runs, ["layers"], STEP), ["layers"])
    found = 100 * chosen["test_accuracy_last"]
    spread = f" ({found.min():.1f}..{found.max():.1f})" if len(found) > 1 else ""
    guessing = ", guessing" if all(guesses(chosen)) else ""
    return f"{found.mean():.1f}{spread}, n = {len(found)}, at {chosen[STEP].iloc[0]:g}{guessing}"
