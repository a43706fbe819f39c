"""Three results for the README: fluctuation-driven weights beside Kaiming's."""

from __future__ import annotations

import pandas as pd

from fdi.analysis.contrasts import accuracies, contrasts, setting
from fdi.analysis.results import Results
from fdi.analysis.select import where
from fdi.analysis.studies import published
from fdi.study.circumstances import of_authors, standard
from fdi.study.evidence import FLUCT, KAIMING, UNPRIMED, longest
from pages.tables import cell, markdown, unmeasured, versus

INITS = ("kaiming", "fluct", "fluct_calibrated")
PAIRS = 3  # seeds, at least
CHOICE = (
    "The three rows are chosen from all {n} networks with three or more pairs of `kaiming` and "
    "`fluct` at the authors' bounds and eps, each at its longest training: those with the "
    "largest, the median and "
    "the smallest difference."
)


def results(measured: Results) -> str:
    """A row for each of the three networks of CHOICE, by Holm's method over the comparisons of
    each, and how they were chosen.
    """
    runs = where(standard(measured.runs), UNPRIMED | {"state": "done"})
    comparisons = [
        contrast
        for contrast in longest(contrasts(runs, FLUCT, KAIMING), guesses=True)
        if contrast.difference.n >= PAIRS and of_authors(contrast.run)
    ]
    if not comparisons:
        return unmeasured()
    ranked = sorted(comparisons, key=lambda contrast: contrast.difference.mean, reverse=True)
    chosen = dict.fromkeys((0, len(ranked) // 2, len(ranked) - 1))
    table = pd.concat([_accuracies(runs, ranked[i].run) for i in chosen], ignore_index=True)
    groups = table.groupby("data and network", sort=False)
    rows = markdown(pd.DataFrame([_row(name, group) for name, group in groups]))
    return f"{rows}\n{CHOICE.format(n=len(comparisons))}\n"


def _accuracies(runs: pd.DataFrame, run: dict) -> pd.DataFrame:
    """Of the network, data and training of `run` each of INITS, at sigma_U = 1."""
    same = {
        key: value
        for key, value in run.items()
        if pd.notna(value) and key.split(".")[0] in ("dataset", "model", "trainer", "homeostasis")
    }
    alike = where(runs, {**same, "optimizer.eps": run["optimizer.eps"]})
    kaiming = where(alike, KAIMING).assign(init=INITS[0])
    others = [where(alike, FLUCT | {"init": init}) for init in INITS[1:]]
    chosen = pd.concat([kaiming, *others])
    quoted = {f"{run['init']} {e}" for run in chosen.to_dict("records") for e in published(run)}
    return accuracies(chosen, ["init"]).assign(
        **{"data and network": setting(run), "published": "; ".join(quoted)}
    )


def _row(name: str, table: pd.DataFrame) -> dict[str, str]:
    by_init = {row["init"]: row for row in table.to_dict("records")}
    row = {"data and network": name}
    for init in INITS:
        row[init] = cell(by_init[init]) if init in by_init else ""
        if init != INITS[0]:
            row[f"{init} minus kaiming"] = versus(by_init[init]) if init in by_init else ""
    return row | {"published": table["published"].iloc[0]}
