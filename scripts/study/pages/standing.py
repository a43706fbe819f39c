"""The table of docs/findings.md that counts runs at chance, by initial state and depth."""

from __future__ import annotations

import pandas as pd

from fdi.analysis.results import Results
from fdi.analysis.select import guesses, where, with_layers
from fdi.analysis.summary import ACCURACY
from fdi.study.circumstances import EPS, standard
from fdi.study.evidence import DEEP
from pages.tables import markdown

STATES = {
    "kaiming": {"init": "kaiming"},
    "fluct, sigma_U = 1": {"init": "fluct", "init.sigma_u": 1.0},
    "fluct_calibrated, sigma_U = 1": {"init": "fluct_calibrated", "init.sigma_u": 1.0},
}


def standing(measured: Results) -> str:
    """A row per initial state: runs at chance of all that were trained with the authors' optimizer,
    step size and eps, in shallow and in deep networks, and where the deep ones are.
    """
    runs = where(standard(measured.runs), {"state": "done", "optimizer.eps": EPS})
    runs = with_layers(runs.dropna(subset=[ACCURACY, "classes", "test_samples"]))
    runs = runs.assign(chance=guesses(runs))
    rows = []
    for name, values in STATES.items():
        group = where(runs, values)
        deep = group["layers"] >= DEEP
        stuck = group[deep & group["chance"]]
        names = stuck["dataset"] + ", " + stuck["model"]
        rows.append(
            {
                "initial state": name,
                f"at chance, up to {DEEP - 1} layers": _share(group[~deep]),
                f"at chance, {DEEP} layers and more": _share(group[deep]),
                "the deep ones": "; ".join(f"{n} x {k}" for k, n in names.value_counts().items()),
            }
        )
    return markdown(pd.DataFrame(rows))


def _share(runs: pd.DataFrame) -> str:
    return f"{runs['chance'].sum()} of {len(runs)} runs"
