"""Which initialization was best on each network, and which others were as good."""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd

from fdi.analysis.collect import ACCURACY
from fdi.analysis.conditions import TESTED, best, by_seed, difference, moments, where
from fdi.analysis.derived import with_layers
from fdi.analysis.results import Results
from fdi.analysis.statistics import PERCENT, Comparison, better_or_worse, holm
from fdi.figures.sweeps import USUAL, guessed
from fdi.study.circumstances import by_authors, standard
from fdi.study.claims import INTERVALS
from fdi.study.contrasts import training_of_run
from fdi.study.evidence import JOINT
from pages.tables import cell, markdown, unmeasured

NETWORK = ["dataset", "model", "layers", "cut", "trial"]
VARIED = ["init.sigma_u", "init.gain", "init.alpha", "init.xi", "init.mu_u"]


class Ranked(NamedTuple):
    """The initializations of one network: the one that is best on validation, and the others'
    differences to it.
    """

    setting: str
    best: str
    others: dict[str, Comparison]


def advice(measured: Results) -> str:
    """One row per network and size of its data, at the longest training with more than one
    initialization of two seeds or more; each initialization with the arguments that validation
    chooses, verdicts by Holm's method over all comparisons of a network.
    """
    networks = ranked(measured)
    if not networks:
        return unmeasured()
    judged = [
        {
            name: better_or_worse(c.mean, p) or "undecided"
            for (name, c), p in zip(row.others.items(), holm([c.p for c in row.others.values()]))
        }
        for row in networks
    ]
    rows = [
        {
            "data and network": row.setting,
            "best on validation": row.best,
            "undecided against it": _listed(row, words, "undecided"),
            "worse": _listed(row, words, "worse"),
            "better on test": _listed(row, words, "better"),
        }
        for row, words in zip(networks, judged)
    ]
    seeds = "[Measurements](measurements.md) says how many seeds there are, and why."
    return f"{markdown(pd.DataFrame(rows))}\n{INTERVALS} {seeds}\n"


def ranked(measured: Results) -> list[Ranked]:
    """What `advice` compares, before anything is decided."""
    done = where(standard(measured.runs), JOINT | {"state": "done"})
    runs = with_layers(by_authors(done))
    runs = runs.assign(given=_given(runs), cut=runs.get("dataset.max_train", 0))
    rows = []
    for _, every in runs.groupby(NETWORK, dropna=False):
        seeds = every.groupby(["init", "trainer.epochs"])["seed"].transform("nunique")
        group = every[seeds > 1]
        several = group.groupby("trainer.epochs")["init"].nunique()
        longest = several[several > 1].index.max()
        chosen = group[group["trainer.epochs"] == longest]
        if chosen["seed"].nunique() > 1 and not guessed(chosen):
            rows.append(_ranked(best(chosen, ["init"], "given")))
    return rows


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


def _ranked(runs: pd.DataFrame) -> Ranked:
    valid = runs.groupby("init")["valid_accuracy_last"].mean()
    seeds = {init: by_seed(group, TESTED)[0] for init, group in runs.groupby("init")}
    names = {
        i: f"{i} ({given})" if (given := runs.loc[runs["init"] == i, "given"].iloc[0]) else i
        for i in seeds
    }
    top = valid.idxmax()
    others = {names[i]: difference(seeds[i], seeds[top], scale=PERCENT) for i in seeds if i != top}
    reached = moments(runs[runs["init"] == top], ["init"], ACCURACY, PERCENT)
    best_of_all = f"{names[top]}: {cell(reached.iloc[0].to_dict())}"
    return Ranked(training_of_run(runs.iloc[0].to_dict()), best_of_all, others)


def _listed(row: Ranked, words: dict[str, str], word: str) -> str:
    """The initializations with this verdict, those that are worse with their difference."""
    return "; ".join(
        f"{name} {difference.mean:+.1f}" if word == "worse" else name
        for name, difference in row.others.items()
        if words[name] == word
    )
