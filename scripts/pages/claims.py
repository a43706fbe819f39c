"""The claims of the paper and what came of them, in full and for the README."""

from __future__ import annotations

import pandas as pd

from fdi.analysis.claims import RULE, claims
from fdi.analysis.published import HEARSAY, SOURCES
from fdi.analysis.results import Results
from pages.results import results
from pages.tables import markdown

SEEDS = (
    "Number of seeds: comparisons that three or five had left undecided got ten, fixed before the "
    "further ones ran, and none after. That is a second look at the data, of which Holm's method "
    "knows nothing: verdicts with n = 10 are a little more liberal than 5 %. Convolutions, sweeps "
    "of the gain and interventions have as many seeds as there was time for."
)
"""How the number of seeds in the reference came about."""
BASELINE = (
    "Kaiming weights have a gain of 1 here, the default of the authors' library; that those of the "
    "paper had it, too, is inferred."
)
SECOND_HAND = "2"
SAID = {tag: said for tag, said in SOURCES.items() if tag != SECOND_HAND}
WITHOUT = "without these bounds, or with another eps"


def full(measured: Results) -> str:
    """A row a claim with all its measurements, and what decides."""
    table = claims(measured)
    for column in ("measured", "without"):
        table[column] = table[column].str.replace("\n", "<br>")
    return f"{_finished(table, SOURCES)}\n{BASELINE} {SEEDS}\n\n{HEARSAY}\n"


def short(measured: Results) -> str:
    """The claims that are the paper's own: the first measurement of each and how many more there
    are, then three results.
    """
    table = claims(measured)
    table = table[table["source"] != SECOND_HAND].copy()
    for column in ("measured", "without"):
        lines = table[column].str.split("\n")
        more = lines.str.len() - 1
        table[column] = lines.str[0] + more.map(lambda n: f"; {n} more" if n > 0 else "")
    return f"{_finished(table, SAID)}\n{BASELINE} {SEEDS}\n\n{results(measured)}"


def _finished(table: pd.DataFrame, sources: dict[str, str]) -> str:
    table["published"] = table["published"].str.replace("\n", "<br>")
    said = "; ".join(f"[{tag}] {meaning}" for tag, meaning in sources.items())
    columns = {
        "claim": "claim of the paper",
        "status": "here",
        "measured": "measured, test accuracy in percent",
        "without": WITHOUT,
    }
    table["without"] = table["without"].replace("", "not measured")
    shown = table.drop(columns="source").rename(columns=columns)
    return f"{markdown(shown)}\n{RULE} Sources: {said}.\n"
