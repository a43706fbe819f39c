"""The initial states side by side, on all that was measured with the default settings, and what was
published.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pandas as pd

from fdi.analysis.render import percent, versus
from fdi.analysis.results import Results
from fdi.analysis.sections import sections
from fdi.analysis.table import BASELINE
from pages.tables import markdown

FLUCT, CALIBRATED = "fluct", "fluct_calibrated"
DEFAULTS = {"init.sigma_u": 1.0, "init.alpha": 0.9}
HOMEOSTASIS = {"homeostasis.joint": True, "homeostasis.prime_epochs": 0}


def results(measured: Results) -> str:
    """A row for each data set, architecture and length of training with both `kaiming` and
    `fluct`.
    """
    runs = measured.runs
    for column, value in HOMEOSTASIS.items():
        runs = runs[runs[column] == value]
    return markdown(pd.DataFrame(_rows(replace(measured, runs=runs))).fillna(""))


def _rows(measured: Results) -> Iterator[dict[str, str]]:
    for settings, summary in sections(measured):
        for column, value in DEFAULTS.items():
            if column in summary:
                summary = summary[summary[column].isna() | (summary[column] == value)]
        found = {row["init"]: row for row in summary.to_dict("records")}
        if {BASELINE, FLUCT} <= set(found):
            yield _row(settings, found)


def _row(settings: str, found: dict[str, dict]) -> dict[str, str]:
    cells = {"data and network": settings}
    for init in (BASELINE, FLUCT, CALIBRATED):
        if init in found:
            cells[init] = (
                f"{percent(found[init]['accuracy'])}{_spread(found[init]['sd'])} (n = "
                f"{found[init]['n']})"
            )
        if init in found and init != BASELINE:
            cells[f"{init} minus {BASELINE}"] = versus(found[init]).replace("\n", " ")
    return cells | {
        "published": "; ".join(
            f"{init} {row['published']}" for init, row in found.items() if row["published"]
        )
    }


def _spread(sd: float) -> str:
    return "" if pd.isna(sd) else f" +- {percent(sd)}"
