"""The claims of the paper and what came of them, in full and for the README; three results; and the
runs at chance, by initial state and depth.
"""

from __future__ import annotations

from typing import Any

import pandas as pd

from fdi.analysis.collect import ACCURACY
from fdi.analysis.conditions import where
from fdi.analysis.contrasts import accuracies, contrasts, setting
from fdi.analysis.derived import guesses, with_layers
from fdi.analysis.results import Results
from fdi.analysis.studies import published
from fdi.study.circumstances import EPS, of_authors, standard
from fdi.study.claims import BASELINE, RULE, SEEDS, claims, readable, sources
from fdi.study.evidence import DEEP, FLUCT, KAIMING, UNPRIMED, longest
from pages.tables import cell, markdown, unmeasured, versus


def full(measured: Results) -> str:
    """One row per claim with all its measurements, and what decides."""
    return f"{_finished(claims(measured))} {SEEDS}\n"


def short(measured: Results) -> str:
    """The claims, the first measurement of each and how many more there are, then three results."""
    table = claims(measured)
    for column in ("measured", "best"):
        lines = table[column].str.split("\n")
        more = lines.str.len() - 1
        table[column] = lines.str[0] + more.map(lambda n: f"; {n} more" if n > 0 else "")
    return f"{_finished(table)}\n\n{results(measured)}"


def paper(measured: Results) -> str:
    """A row for each claim of the paper: its verdict, how many comparisons are for it, and how many
    judge nothing.
    """
    table = claims(measured)[["claim", "status", "for it", "set aside"]]
    return markdown(table.rename(columns={"claim": "claim of the paper", "status": "here"}))


def _finished(table: pd.DataFrame) -> str:
    """The table, what decides, and what the words stand for."""
    shown = readable(table).replace("\n", "<br>", regex=True)
    return f"{markdown(shown)}\n{RULE} Sources: {sources()}.\n\n{BASELINE}"


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
        for contrast in longest(contrasts(runs, FLUCT, KAIMING))
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
