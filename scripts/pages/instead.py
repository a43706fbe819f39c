"""The three sentences on normalization and skip connections of docs/which-initialization.md."""

from __future__ import annotations

import pandas as pd

from fdi.analysis.results import Results
from fdi.figures import instead, words
from pages.tables import versus

PARTS = {
    "With neither": [instead.PLAIN],
    "Normalized": [name for name in instead.NORMS.values() if name],
    "With skip connections": [name for name in instead.ORDER if "skip" in name],
}


def normalized(measured: Results) -> str:
    """What fluctuation-driven weights add to Kaiming weights: with neither, with each
    normalization, and with skip connections, in the deepest network of each page.
    """
    pages = instead.data(measured)
    lines = [f"* {said}.\n" for part in PARTS if (said := _sentence(part, pages))]
    return "".join(lines) or f"*Not measured yet: `{instead.COMMAND}`.*\n"


def _sentence(part: str, pages: dict[str, pd.DataFrame]) -> str:
    told = []
    for page in pages.values():
        deepest = page[page["layers"] == page["layers"].max()]
        rows = deepest[(deepest["init"] == "fluct") & deepest["condition"].isin(PARTS[part])]
        for row in rows.dropna(subset="versus").sort_values("condition").to_dict("records"):
            which = "" if part == "With neither" else f"{row['condition']}, "
            where = f"{which}{row['network']}, {words.layers(row['layers'])}"
            told.append(f"{versus(row)} ({where}, n = {row['n']})")
    return f"**{part}**, fluctuation-driven minus Kaiming is {'; '.join(told)}" if told else ""
