"""The claims of the paper and what came of them, in full and in short; and the runs at chance, by
initial state and depth.
"""

from __future__ import annotations

from typing import Any

import pandas as pd

from fdi.analysis.collect import ACCURACY
from fdi.analysis.conditions import where
from fdi.analysis.derived import guesses, with_layers
from fdi.analysis.results import Results
from fdi.study.circumstances import EPS, standard
from fdi.study.claims import BASELINE, RULE, SEEDS, claims, readable, sources
from fdi.study.evidence import DEEP
from pages.tables import markdown


def full(measured: Results) -> str:
    """One row per claim with all its measurements, and what decides."""
    shown = readable(claims(measured)).replace("\n", "<br>", regex=True)
    return f"{markdown(shown)}\n{RULE} Sources: {sources()}.\n\n{BASELINE} {SEEDS}\n"


def paper(measured: Results) -> str:
    """A row for each claim of the paper: its verdict, how many comparisons are for it, and how many
    judge nothing.
    """
    table = claims(measured)[["claim", "status", "for it", "set aside"]]
    return markdown(table.rename(columns={"claim": "claim of the paper", "status": "here"}))


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
