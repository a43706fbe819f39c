"""The claims of the paper and what came of them, in full and for the README."""

from __future__ import annotations

import pandas as pd

from fdi.analysis.claims import RULE, claims
from fdi.analysis.published import SOURCES
from fdi.analysis.results import Results
from pages.results import results
from pages.tables import markdown


def full(measured: Results) -> str:
    """A row a claim with all its measurements, and what decides."""
    table = claims(measured)
    table["measured"] = table["measured"].str.replace("\n", "<br>")
    return _finished(table)


def short(measured: Results) -> str:
    """The first measurement of each claim and how many more there are, then three results."""
    table = claims(measured)
    lines = table["measured"].str.split("\n")
    more = lines.str.len() - 1
    table["measured"] = lines.str[0] + more.map(lambda n: f"; {n} more" if n > 0 else "")
    return f"{_finished(table)}\n{results(measured)}"


def _finished(table: pd.DataFrame) -> str:
    table["published"] = table["published"].str.replace("\n", "<br>")
    sources = "; ".join(f"[{tag}] {meaning}" for tag, meaning in SOURCES.items())
    columns = {
        "claim": "claim of the paper",
        "status": "here",
        "measured": "measured, test accuracy in percent",
        "published": "published",
    }
    return f"{markdown(table.rename(columns=columns))}\n{RULE} Sources: {sources}.\n"
