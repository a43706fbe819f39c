"""Whether a lead on random networks outlasts a long training: what longer.yaml, written before they
were trained, says of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from fdi.analysis import zoo
from fdi.analysis.collect import ACCURACY
from fdi.analysis.results import Results, own
from fdi.analysis.statistics import LEVEL, PERCENT, Comparison, resampled
from fdi.study import confirmed

DESIGN: dict[str, Any] = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text())
NAME = "longer"  # .csv in results/reference
KEY = ["zoo", "network", "init", "updates", "seed"]
FIRST, *_, LAST = UPDATES = [*DESIGN["epochs"]]


def published(measured: Results) -> pd.DataFrame:
    """The `members` of both draws, with optimizer and depth."""
    both = pd.concat([zoo.members(measured), confirmed.measured_members(measured)])
    # An optimizer that was given to all of a zoo stands in its commands, not in the words drawn
    given = both["words"] + both["command"].fillna("").str.split()
    depth = both["words"].map(
        lambda words: next(int(w.partition("=")[2]) for w in words if w.startswith("model.depth="))
    )
    return both.assign(optimizer=zoo.optimizers(both.assign(words=given)), depth=depth)


def drawn(members: pd.DataFrame) -> list[tuple[int, int]]:
    """(zoo, network) of those to train, optimizers and depths by turns, so that the first ones are
    as mixed as all.
    """
    at_best = members[members["setting"] == "best"]
    states = at_best[at_best["init"].isin(DESIGN["reached_by"])]
    key = ["zoo", "network"]
    able = states[states["state"] != "refused"].groupby(key)["init"].nunique()
    best = states.groupby(key)["accuracy"].max()
    about = members.drop_duplicates(key).set_index(key)
    kept = (able == len(DESIGN["reached_by"])) & (best >= DESIGN["reach"])
    about = about[kept.reindex(about.index) & about["kind"].isin(DESIGN["kinds"])]
    chance = np.random.default_rng(DESIGN["seed"])
    turns = []
    for optimizer, count in DESIGN["shares"].items():
        of = about[about["optimizer"] == optimizer].sort_index()
        of = of.iloc[chance.permutation(len(of))]
        low = of["depth"] <= DESIGN["shallow"]
        by_turns = zip_longest(of.index[low], of.index[~low])
        turns.append([place for pair in by_turns for place in pair if place][:count])
    return [place for turn in zip_longest(*turns) for place in turn if place]


def complete(table: pd.DataFrame, key: list[str], trainings: int) -> set[tuple[int, int, str]]:
    """(zoo, network, state or arm) of which so many trainings are published."""
    if table.empty:
        return set()
    count = table.groupby(key).size()
    return {*count[count == trainings].index}


def commands(members: pd.DataFrame, known: pd.DataFrame) -> Iterator[str]:
    """What trains those that are not in the measurements `known`, each at its best step, each
    network's results below a folder of its own; of states whose step is published.
    """
    there = complete(known, KEY[:3], len(UPDATES) * len(DESIGN["seeds"]))
    epochs = ",".join(map(str, DESIGN["epochs"].values()))
    seeds = ",".join(map(str, DESIGN["seeds"]))
    at_best = members[members["setting"] == "best"]
    by_place = at_best.set_index(["zoo", "network", "init"])["command"]
    for seed, network in drawn(members):
        for state in DESIGN["states"]:
            if (place := (seed, network, state)) in by_place.index and place not in there:
                words = by_place[place].split()
                kept = [w for w in words if not w.startswith(("trainer.epochs=", "seed="))]
                of = [
                    f"trainer.epochs={epochs}",
                    f"seed={seeds}",
                    f"paths.results={seed}-{network}",
                ]
                yield " ".join([*kept, *of])


def trained(folder: Path) -> pd.DataFrame:
    """A row for each network, state, number of updates and seed that were trained in a folder."""
    updates = {epochs: updates for updates, epochs in DESIGN["epochs"].items()}
    rows = []
    for place in sorted(folder.glob("*-*")):
        runs = own(place).runs
        seed, network = map(int, place.name.split("-"))
        made = runs["trainer.epochs"].map(updates)
        known = runs.assign(zoo=seed, network=network, updates=made, accuracy=runs[ACCURACY])
        rows.append(known[known["state"].isin(("done", "failed"))])
    return pd.concat(rows, ignore_index=True)[[*KEY, "state", "accuracy", "classes", "id", "path"]]


def leads(table: pd.DataFrame) -> dict[tuple[str, str, int], Comparison]:
    """(state, other, updates) -> their difference in points, over the networks with all trainings,
    by Holm's method over all; and none where there are no such networks.
    """
    wide = by_network(table)
    keys = [(*pair, updates) for updates in UPDATES for pair in DESIGN["pairs"]]
    columns = [wide[updates, own] - wide[updates, other] for own, other, updates in keys]
    return dict(zip(keys, resampled(np.transpose(columns)))) if len(wide) else {}


def by_network(table: pd.DataFrame) -> pd.DataFrame:
    """Mean accuracies (%) over seeds: a row for each network that has all trainings, a column for
    each number of updates and state. A training that failed has the accuracy of guessing.
    """
    guess = 1 / table.groupby(["zoo", "network"])["classes"].transform("max")
    rows = table.assign(accuracy=PERCENT * table["accuracy"].fillna(guess))
    by = ["updates", "init"]
    wide = rows.pivot_table("accuracy", ["zoo", "network"], by, aggfunc=["mean", "count"])
    wanted = pd.MultiIndex.from_product([UPDATES, DESIGN["states"]], names=by)
    mean, count = (wide[name].reindex(columns=wanted) for name in ("mean", "count"))
    return mean[(count == len(DESIGN["seeds"])).all(axis=1)]


def answer(table: pd.DataFrame) -> str:
    """Whether it is better or only faster; how many are trained where not all are."""
    needed = sum(DESIGN["shares"].values())
    wide = by_network(table) if len(table) else table
    if len(wide) < needed:
        return f"{len(wide)} of the {needed} networks that decide are trained."
    found = leads(table)
    first, last = (found["fluct", "kaiming", updates] for updates in (FIRST, LAST))
    lead = {at: wide[at, "fluct"] - wide[at, "kaiming"] for at in (FIRST, LAST)}
    (left,) = resampled((lead[LAST] - lead[FIRST] / 2).to_numpy()[:, None])
    decided = first.mean > 0 and max(first.p, left.p) < LEVEL
    verdict = ("better" if left.mean > 0 else "faster") if decided else "undecided"
    told = {"first": f"{first.mean:+.1f}", "last": confirmed.interval_in_words(last)}
    return str(DESIGN["words"][verdict].format(n=last.n, **told))
