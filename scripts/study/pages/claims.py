"""The claims of the paper and what came of them; and the runs at chance, by
initialization and depth.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import pandas as pd

from fdi.analysis.collect import ACCURACY
from fdi.analysis.conditions import newest, where
from fdi.analysis.derived import guesses, modes, with_layers
from fdi.analysis.results import Results
from fdi.study.circumstances import EPS, STANDARD, plain_networks
from fdi.study.claims import BASELINE, RULE, SEEDS, claims, for_readers, sources
from pages.tables import markdown


def full(measured: Results) -> str:
    """One row per claim with all its measurements, and what decides."""
    shown = for_readers(claims(measured)).replace("\n", "<br>", regex=True)
    return f"{markdown(shown)}\n{RULE} Sources: {sources()}.\n\n{BASELINE} {SEEDS}\n"


MANY = 5  # hidden layers, and more
STATES = {
    "kaiming": {"init": "kaiming"},
    "fluct, sigma_U = 1": {"init": "fluct", "init.sigma_u": 1.0},
}


def standing(measured: Results) -> str:
    """A row per initialization, without activity regularization and with any: runs at chance of all
    that were trained with the authors' optimizer, step size and eps, in networks of few layers and
    of many, and where the latter are.
    """
    return markdown(
        pd.DataFrame(
            {
                "initialization": row["state"],
                "activity regularization": row["bounds"],
                f"at chance, up to {MANY - 1} layers": f"{row['low']} of {row['few']} runs",
                f"at chance, {MANY} layers and more": f"{row['stuck']} of {row['many']} runs",
                "the latter": row["where"],
            }
            for row in shares(measured)
        )
    )


def shares(measured: Results) -> list[dict[str, Any]]:
    """Of each initialization, without `bounds` and with any: how many runs of networks of `few`
    layers and of `many` there are with the newest numerics, how many of these are at chance (`low`,
    `stuck`), and where those of many layers are.
    """
    runs = newest(
        where(plain_networks(measured.runs), STANDARD | {"state": "done", "optimizer.eps": EPS})
    )
    runs = with_layers(runs.dropna(subset=[ACCURACY, "classes", "test_samples"]))
    runs = runs.assign(chance=guesses(runs), free=modes(runs) == "none")
    rows = []
    for (name, values), free in product(STATES.items(), (True, False)):
        group = where(runs[runs["free"] == free], values)
        many = group["layers"] >= MANY
        stuck = group[many & group["chance"]]
        names = stuck["dataset"] + ", " + stuck["model"]
        rows.append(
            {
                "state": name,
                "bounds": "none" if free else "any",
                "low": int(group.loc[~many, "chance"].sum()),
                "few": int((~many).sum()),
                "stuck": len(stuck),
                "many": int(many.sum()),
                "where": "; ".join(f"{n} x {k}" for k, n in names.value_counts().items()),
            }
        )
    return rows
