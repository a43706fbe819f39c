"""The table of docs/theory.md: what makes the spread behind pooled spikes of an image large."""

from __future__ import annotations

import pandas as pd

from fdi.analysis.results import Results
from pages.tables import markdown


def pooled(measured: Results) -> str:
    """A row per kind of sources: rate and spread, means over seeds."""
    found = measured.table("pooling").groupby("sources", sort=False).mean(numeric_only=True)
    table = pd.DataFrame(
        {
            "the third layer hears": found.index,
            "rate (Hz)": found["rate"].map("{:.0f}".format),
            "sigma_U, whole trial": found["sigma_u"].map("{:.2f}".format),
            "sigma_U, without its first 0.1 s": found["sigma_u_later"].map("{:.2f}".format),
        }
    )
    return markdown(table)
