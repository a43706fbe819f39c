"""The table of docs/theory.md: what makes the spread behind pooled spikes of an image large."""

from __future__ import annotations

import pandas as pd

from fdi.analysis.results import Results
from pages.tables import markdown


def pooled(measured: Results) -> str:
    """A row per kind of sources: rate and spread, means over seeds."""
    means = measured.csv("pooling").groupby("sources", sort=False).mean(numeric_only=True)
    table = pd.DataFrame(
        {
            "the third layer hears": means.index,
            "rate (Hz)": means["rate"].map("{:.0f}".format),
            "sigma_U, whole trial": means["sigma_u"].map("{:.2f}".format),
            "sigma_U, without its first 0.1 s": means["sigma_u_later"].map("{:.2f}".format),
        }
    )
    return markdown(table)
