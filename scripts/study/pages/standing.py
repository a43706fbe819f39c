"""The table of docs/comparisons.md that counts runs at chance, by initial state and depth."""

from __future__ import annotations

from typing import Any

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
    return markdown(
        pd.DataFrame(
            {
                "initial state": row["state"],
                f"at chance, up to {DEEP - 1} layers": f"{row['low']} of {row['shallow']} runs",
                f"at chance, {DEEP} layers and more": f"{row['stuck']} of {row['deep']} runs",
                "the deep ones": row["where"],
            }
            for row in shares(measured)
        )
    )


def shares(measured: Results) -> list[dict[str, Any]]:
    """Of each initial state: how many runs of shallow and deep networks there are, how many of
    these are at chance (`low`, `stuck`), and where the deep ones of them are.
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
                "state": name,
                "low": int(group.loc[~deep, "chance"].sum()),
                "shallow": int((~deep).sum()),
                "stuck": len(stuck),
                "deep": int(deep.sum()),
                "where": "; ".join(f"{n} x {k}" for k, n in names.value_counts().items()),
            }
        )
    return rows
