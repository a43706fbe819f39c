"""The claims of the paper and what came of them, in full and for the README."""

from __future__ import annotations

import pandas as pd

from fdi.analysis.results import Results
from fdi.analysis.studies import quotes
from fdi.study.claims import BASELINE, RULE, SEEDS, claims, hearsay, readable, sources
from pages.results import results
from pages.tables import markdown

SECOND_HAND = "2"


def full(measured: Results) -> str:
    """One row per claim with all its measurements, and what decides."""
    return f"{_finished(claims(measured), sources())} {SEEDS}\n\n{hearsay()}\n"


def short(measured: Results) -> str:
    """The claims that are the paper's own: the first measurement of each and how many more there
    are, then three results.
    """
    table = claims(measured)
    table = table[table["source"] != SECOND_HAND].copy()
    for column in ("measured", "without", "best"):
        lines = table[column].str.split("\n")
        more = lines.str.len() - 1
        table[column] = lines.str[0] + more.map(lambda n: f"; {n} more" if n > 0 else "")
    own = sources(tag for tag in quotes()[1] if tag != SECOND_HAND)
    return f"{_finished(table, own)}\n\n{results(measured)}"


def _finished(table: pd.DataFrame, sources: str) -> str:
    """The table, what decides, and what the words stand for."""
    shown = readable(table).replace("\n", "<br>", regex=True)
    return f"{markdown(shown)}\n{RULE} Sources: {sources}.\n\n{BASELINE}"
