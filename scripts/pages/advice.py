"""Which initialization was best on each network, and which others were as good."""

from __future__ import annotations

import pandas as pd

from fdi.analysis.claims import STANDARD
from fdi.analysis.contrasts import PERCENT, best, setting, where
from fdi.analysis.evidence import JOINT
from fdi.analysis.published import with_layers
from fdi.analysis.results import Results
from fdi.analysis.statistics import holm, paired, summary, verdict
from fdi.analysis.table import ACCURACY
from fdi.figures.sweeps import USUAL, guessed
from pages.tables import markdown

NETWORK = ["dataset", "model", "layers", "cut"]
VARIED = ["init.sigma_u", "init.gain", "init.alpha", "init.xi", "init.mu_u"]


def advice(measured: Results) -> str:
    """A row a network and size of its data, at the longest training with more than one
    initialization of two seeds or more; each initialization with the arguments that validation
    chooses.
    """
    runs = with_layers(where(measured.runs, STANDARD | JOINT | {"state": "done"}))
    runs = runs.assign(given=_given(runs), cut=runs.get("dataset.max_train", 0))
    rows = []
    for _, found in runs.groupby(NETWORK, dropna=False):
        seeds = found.groupby(["init", "trainer.epochs"])["seed"].transform("nunique")
        group = found[seeds > 1]
        several = group.groupby("trainer.epochs")["init"].nunique()
        longest = several[several > 1].index.max()
        chosen = group[group["trainer.epochs"] == longest]
        if chosen["seed"].nunique() > 1 and not guessed(chosen):
            rows.append(_row(best(chosen, ["init"], "given")))
    return markdown(pd.DataFrame(rows)) if rows else "*Not measured yet.*\n"


def _given(runs: pd.DataFrame) -> list[str]:
    columns = [column for column in VARIED if column in runs]
    return [
        ", ".join(
            f"{c.removeprefix('init.')} = {run[c]:g}"
            for c in columns
            if pd.notna(run[c]) and run[c] != USUAL.get(c)
        )
        for run in runs.to_dict("records")
    ]


def _row(runs: pd.DataFrame) -> dict[str, str]:
    valid = runs.groupby("init")["valid_accuracy_last"].mean()
    seeds = {
        init: PERCENT * group.groupby("seed")[ACCURACY].mean()
        for init, group in runs.groupby("init")
    }
    top = valid.idxmax()
    others = [init for init in seeds if init != top]
    common = {init: seeds[init].index.intersection(seeds[top].index) for init in others}
    found = {i: paired(seeds[i][common[i]], seeds[top][common[i]]) for i in others}
    p = dict(zip(others, holm([found[i].p for i in others])))
    names = {
        i: f"{i} ({given})" if (given := runs.loc[runs["init"] == i, "given"].iloc[0]) else i
        for i in seeds
    }
    words = {i: verdict(found[i].mean, p[i]) or "undecided" for i in others}
    n, mean, _, low, high = summary(seeds[top])
    return {
        "data and network": setting(runs.iloc[0].to_dict()),
        "best on validation": f"{names[top]}: {mean:.1f} ({max(low, 0):.1f}..{min(high, 100):.1f})"
        f", n = {n}",
        "undecided against it": "; ".join(names[i] for i in others if words[i] == "undecided"),
        "worse": "; ".join(
            f"{names[i]} {found[i].mean:+.1f}" for i in others if words[i] == "worse"
        ),
        "better on test": "; ".join(names[i] for i in others if words[i] == "better"),
    }
