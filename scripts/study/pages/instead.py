"""Tables of networks with normalization and skip connections."""

from __future__ import annotations

import pandas as pd

from fdi.analysis.conditions import accuracies
from fdi.analysis.derived import COLUMNS, NORMS, QUANTITIES, with_layers
from fdi.analysis.results import Results
from fdi.figures import words
from fdi.figures.catalogue import FIGURES, pages_of
from fdi.figures.words import FLUCT, SCHEDULE
from fdi.study.circumstances import STANDARD
from pages.tables import cell, having, listed, markdown, unmeasured, versus

INSTEAD = FIGURES["instead"]
ORDER = COLUMNS["instead"].order
NETWORK = ["dataset", "model", "layers", "model.norm", "model.skip", "optimizer._target_"]
STEPS = ["network", "init", "optimizer.lr"]
USUAL_STEP = STANDARD[STEPS[2]]


def normalized(measured: Results) -> str:
    """A row for each of the deepest networks (see `_fullest`) that the authors' optimizer trained,
    a column for each condition: what fluctuation-driven and Kaiming weights reach, and whether the
    difference is decided.
    """
    rows = []
    for name, page in pages_of(INSTEAD, measured).items():
        deepest = _fullest(page)
        means = deepest.set_index(["x", "init"])
        known = [x for x in ORDER if {(x, "fluct"), (x, "kaiming")} <= set(means.index)]
        if known and not name.endswith("_adam"):
            network = f"{page['network'].iloc[0]}, {words.layers(deepest['layers'].iloc[0])}"
            n = f"{means['n'].max()}"
            rows.append({"network": network, "n": n} | {x: _compared(means.loc[x]) for x in known})
    table = pd.DataFrame(rows).fillna("")
    return markdown(table) if rows else unmeasured(INSTEAD.COMMAND)


def _fullest(page: pd.DataFrame) -> pd.DataFrame:
    """The deepest of the networks in which fluct was compared with kaiming most often."""
    pairs = page[page["init"] == FLUCT].dropna(subset="versus").groupby("layers").size()
    layers = pairs[pairs == pairs.max()].index.max() if len(pairs) else page["layers"].max()
    return page[page["layers"] == layers]


def _compared(by_init: pd.DataFrame) -> str:
    fluct, kaiming = by_init.loc["fluct"], by_init.loc["kaiming"]
    return f"{fluct['mean']:.0f} against {kaiming['mean']:.0f}: {fluct['verdict']}"


def moving(measured: Results) -> str:
    """A row per initialization and step size of networks behind a normalization that were trained
    with several: how far their hidden weights moved, |W - W0| / |W0|, the accuracy, and how it
    differs from that at the usual step size.
    """
    runs = with_layers(having(measured.runs, "model.norm", "model.skip", SCHEDULE))
    runs = runs[(runs["state"] == "done") & runs[SCHEDULE].notna()]
    runs = runs[runs["model.norm"].isin(list(NORMS)[1:])]
    runs = runs.assign(moved=QUANTITIES["moved"].of(runs))
    parts = []
    for (dataset, model, layers, *_), network in runs.groupby(NETWORK):
        if network.groupby("init")["optimizer.lr"].nunique().max() > 1:
            condition = COLUMNS["instead"].of(network).iloc[0]
            name = f"{dataset}, {model}, {words.layers(layers)}, {condition}"
            parts.append(network.assign(network=name))
    if not parts:
        return unmeasured(INSTEAD.COMMAND)
    several = pd.concat(parts)
    moved = several.groupby(STEPS)["moved"].mean()
    table = accuracies(several, STEPS, within=STEPS[:2], base={STEPS[2]: USUAL_STEP})
    return listed(
        [
            {
                "network": row["network"],
                "init": row["init"],
                "step size": f"{row['optimizer.lr']:g}",
                "movement of hidden weights": f"{moved[tuple(row[key] for key in STEPS)]:.2f}",
                "test accuracy (%)": cell(row),
                f"minus that at {USUAL_STEP:g}": versus(row),
            }
            for row in table.to_dict("records")
        ]
    )
