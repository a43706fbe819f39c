"""The claims of the paper in a short table."""

from __future__ import annotations

import pandas as pd

from fdi.analysis.results import Results
from fdi.study.claims import claims
from pages.claims import SECOND_HAND
from pages.tables import markdown


def paper(measured: Results) -> str:
    """A row for each claim that is the paper's own: its status, and how many comparisons are for
    it.
    """
    table = claims(measured)
    own = table[table["source"] != SECOND_HAND]
    return markdown(
        pd.DataFrame(
            {"claim of the paper": own["claim"], "here": own["status"], "for it": own["for it"]}
        )
    )
