"""What docs/which-initialization.md says of normalization and skip connections."""

from __future__ import annotations

import pandas as pd

from fdi.analysis.contrasts import accuracies
from fdi.analysis.derived import COLUMNS, NEITHER, NORMS, QUANTITIES, with_layers
from fdi.analysis.results import Results
from fdi.figures import words
from fdi.figures.catalogue import FIGURES
from fdi.figures.words import SCHEDULE, fullest
from fdi.study.circumstances import STANDARD
from pages.tables import cell, having, listed, unmeasured, versus

INSTEAD = FIGURES["instead"]
ORDER = COLUMNS["instead"].order
PARTS = {
    "With neither": [NEITHER],
    "With a normalization": [name for name in NORMS.values() if name],
    "With skip connections": [name for name in ORDER if "skip" in name],
}
NETWORK = ["dataset", "model", "layers", "model.norm", "model.skip", "optimizer._target_"]
STEPS = ["network", "init", "optimizer.lr"]
USUAL_STEP = STANDARD[STEPS[2]]


def normalized(measured: Results) -> str:
    """The accuracies from fluctuation-driven and from Kaiming weights, and their difference: with
    neither, with each normalization, and with skip connections, for the deepest networks (see
    `fullest`) that the authors' optimizer trained.
    """
    pages = [page for name, page in INSTEAD.data(measured).items() if not name.endswith("_adam")]
    lines = [f"* {sentence}.\n" for part in PARTS if (sentence := _sentence(part, pages))]
    return "".join(lines) or unmeasured(INSTEAD.COMMAND)


def _sentence(part: str, pages: list[pd.DataFrame]) -> str:
    networks = []
    for page in pages:
        deepest = fullest(page, "layers")
        rows = deepest[deepest["x"].isin(PARTS[part])].set_index(["x", "init"])
        compared = [
            _compared(condition, rows.loc[condition])
            for condition in ORDER
            if {(condition, "fluct"), (condition, "kaiming")} <= set(rows.index)
        ]
        if compared:
            where = f"{page['network'].iloc[0]}, {words.layers(deepest['layers'].iloc[0])}"
            networks.append(f"{'; '.join(compared)} on {where}")
    return f"**{part}**: {'. '.join(networks)}" if networks else ""


def _compared(condition: str, by_init: pd.DataFrame) -> str:
    fluct, kaiming = by_init.loc["fluct"], by_init.loc["kaiming"]
    which = "" if condition == NEITHER else f" with {condition}"
    means = f"{fluct['mean']:.1f} and {kaiming['mean']:.1f} %{which}"
    interval = f"{fluct['versus_low']:+.1f}..{fluct['versus_high']:+.1f}, "
    decided = f"{interval}n = {fluct['n']}: {fluct['verdict']}" if fluct["verdict"] else "n = 1"
    return f"{means}, {fluct['versus']:+.1f} points ({decided})"


def moving(measured: Results) -> str:
    """A row per initial state and step size of networks behind a normalization that were trained
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
