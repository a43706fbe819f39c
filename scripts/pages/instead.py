"""What docs/which-initialization.md says of normalization and skip connections."""

from __future__ import annotations

import pandas as pd

from fdi.analysis.published import with_layers
from fdi.analysis.results import Results
from fdi.figures import instead, lazy, words
from fdi.figures.words import SCHEDULE
from pages.tables import accuracy, having, listed, unmeasured

PARTS = {
    "With neither": [instead.PLAIN],
    "With a normalization": [name for name in instead.NORMS.values() if name],
    "With skip connections": [name for name in instead.ORDER if "skip" in name],
}
NETWORK = ["dataset", "model", "layers", "model.norm", "model.skip", "optimizer._target_"]


def normalized(measured: Results) -> str:
    """The accuracies from fluctuation-driven and from Kaiming weights, and their difference: with
    neither, with each normalization, and with skip connections, for the deepest networks (see
    `instead.deepest`) that the authors' optimizer trained.
    """
    pages = [
        page for page in instead.data(measured).values() if page["optimizer"].iloc[0] == "SMORMS3"
    ]
    lines = [f"* {sentence}.\n" for part in PARTS if (sentence := _sentence(part, pages))]
    return "".join(lines) or unmeasured(instead.COMMAND)


def _sentence(part: str, pages: list[pd.DataFrame]) -> str:
    networks = []
    for page in pages:
        deepest = instead.deepest(page)
        rows = deepest[deepest["condition"].isin(PARTS[part])].set_index(["condition", "init"])
        compared = [
            _compared(condition, rows.loc[condition])
            for condition in instead.ORDER
            if {(condition, "fluct"), (condition, "kaiming")} <= set(rows.index)
        ]
        if compared:
            where = f"{page['network'].iloc[0]}, {words.layers(deepest['layers'].iloc[0])}"
            networks.append(f"{'; '.join(compared)} on {where}")
    return f"**{part}**: {'. '.join(networks)}" if networks else ""


def _compared(condition: str, by_init: pd.DataFrame) -> str:
    fluct, kaiming = by_init.loc["fluct"], by_init.loc["kaiming"]
    which = "" if condition == instead.PLAIN else f" with {condition}"
    means = f"{fluct['mean']:.1f} and {kaiming['mean']:.1f} %{which}"
    interval = f"{fluct['versus_low']:+.1f}..{fluct['versus_high']:+.1f}, "
    decided = f"{interval}n = {fluct['n']}: {fluct['verdict']}" if fluct["verdict"] else "n = 1"
    return f"{means}, {fluct['versus']:+.1f} points ({decided})"


def moving(measured: Results) -> str:
    """A row per initial state and step size of networks behind a normalization that were trained
    with several: how far their hidden weights moved, |W - W0| / |W0|, and the accuracy.
    """
    runs = with_layers(having(measured.runs, "model.norm", "model.skip", SCHEDULE))
    runs = runs[(runs["state"] == "done") & runs[SCHEDULE].notna()]
    runs = runs[runs["model.norm"].isin(list(instead.NORMS)[1:])]
    runs = runs.assign(moved=lazy.moved(runs))
    rows = []
    for (dataset, model, layers, *_), network in runs.groupby(NETWORK):
        if network.groupby("init")["optimizer.lr"].nunique().max() < 2:
            continue
        condition = instead.conditions(network)[0]
        for (init, lr), found in network.groupby(["init", "optimizer.lr"]):
            rows.append(
                {
                    "network": f"{dataset}, {model}, {words.layers(layers)}, {condition}",
                    "init": init,
                    "step size": f"{lr:g}",
                    "movement of hidden weights": f"{found['moved'].mean():.2f}",
                    "test accuracy (%)": accuracy(found),
                }
            )
    return listed(rows, instead.COMMAND)
