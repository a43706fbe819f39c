"""The three sentences on normalization and skip connections of docs/which-initialization.md."""

from __future__ import annotations

import pandas as pd

from fdi.analysis.results import Results
from fdi.figures import instead, words

PARTS = {
    "With neither": [instead.PLAIN],
    "With a normalization": [name for name in instead.NORMS.values() if name],
    "With skip connections": [name for name in instead.ORDER if "skip" in name],
}


def normalized(measured: Results) -> str:
    """The accuracies from fluctuation-driven and from Kaiming weights, and their difference: with
    neither, with each normalization, and with skip connections, for the deepest networks that the
    authors' optimizer trained.
    """
    pages = [
        page for page in instead.data(measured).values() if page["optimizer"].iloc[0] == "SMORMS3"
    ]
    lines = [f"* {sentence}.\n" for part in PARTS if (sentence := _sentence(part, pages))]
    return "".join(lines) or f"*Not measured yet: `{instead.COMMAND}`.*\n"


def _sentence(part: str, pages: list[pd.DataFrame]) -> str:
    networks = []
    for page in pages:
        deepest = page[page["layers"] == page["layers"].max()]
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
