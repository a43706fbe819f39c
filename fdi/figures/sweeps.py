"""Which runs belong in one figure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pandas as pd

from fdi.analysis import conditions
from fdi.analysis.collect import METRIC, Runs, config_columns
from fdi.analysis.conditions import groups
from fdi.analysis.derived import guesses
from fdi.analysis.formats import plural, shown
from fdi.analysis.results import OWN, comparable

Enough = Callable[[pd.DataFrame], int]
NAMED = 4  # keys of runs that are left out
SIGMA = "init.sigma_u"


def networks(runs: Runs) -> list[tuple[Any, pd.DataFrame]]:
    """(data set, model) and the runs of each, that with most runs first."""
    return sorted(groups(runs, ["dataset", "model"]), key=lambda network: -len(network[1]))


def sweeps(
    runs: Runs,
    enough: Enough,
    varied: Sequence[str] = (),
    states: Sequence[str] = ("done",),
    experiment: str = "",
) -> Iterator[tuple[tuple[str, str], pd.DataFrame]]:
    """(data set, model) and the runs of these `states` that a figure compares: those that the plans
    of its `experiment` name, or where these are not enough the others, made by hand. They agree in
    what they are judged by, and in the whole config but for seed, init and `varied`.

    `enough`: 0 for a set that says nothing, else 1 or how many levels it compares. Of several sets
    the one with most initializations, then most levels, then most runs, then the last (say, the
    deepest network); `left_out` names the others.
    `varied`: config columns, or the start of them where they end in a dot.
    """
    chosen = comparable(runs[runs["state"].isin(states)], varied)
    alike = [METRIC] if METRIC in runs and "probed" not in states else []
    for key, group in networks(chosen):
        own = group[of_sweep(group, experiment)]
        for candidates in (own, group.drop(own.index)):
            apart = conditions.differing(candidates, "init.", *varied)
            best = best_set(candidates, [*apart, *alike], enough)
            if len(best):
                yield key, best
                break


def of_sweep(runs: Runs, title: str) -> pd.Series:
    """Whether each of the runs belongs to a sweep of this title."""
    named = runs.get("sweeps", pd.Series("", index=runs.index)).fillna("")
    return named.map(lambda text: bool(title) and title in text.split(", ")).astype(bool)


def left_out(runs: Runs, chosen: pd.DataFrame) -> str:
    """The user's own finished `runs` of the data set and model of the `chosen` ones that are not
    among these, and where they differ; "" where there are none.
    """
    first = chosen.iloc[0]
    same = (runs["dataset"] == first["dataset"]) & (runs["model"] == first["model"])
    own = same & (runs["source"] == OWN) & (runs["state"] == "done")
    others = runs[own & ~runs["path"].isin(chosen["path"])]
    if others.empty:
        return ""
    keys = []
    for column in config_columns(runs):
        theirs = [value for value in others[column].unique() if value not in set(chosen[column])]
        if theirs and not all(map(pd.isna, theirs)):
            keys.append(f"{column} = {shown(theirs[0])}" if len(theirs) == 1 else column)
    where = f" ({', '.join(keys[:NAMED])}{', ...' * (len(keys) > NAMED)})" if keys else ""
    return f"{plural(len(others), 'run')}{where}"


def origin(chosen: pd.DataFrame, left: str) -> dict[str, str]:
    """Two columns of a page: what is `left` out, and its `source`, which says so."""
    return {"left": left, "source": source(chosen) + f"; left out: {left}" * bool(left)}


def best_set(runs: Runs, columns: Sequence[str], enough: Enough = len) -> pd.DataFrame:
    """The best set of runs that agree in `columns`, see `sweeps`; none where none is enough."""
    sets = [of for _, of in conditions.sets(runs, columns)] if columns else [runs]
    ranks = [
        (of["init"].nunique(), levels, len(of), i)
        for i, of in enumerate(sets)
        if len(of) and (levels := int(enough(of)))
    ]
    return sets[max(ranks)[-1]] if ranks else runs.iloc[:0]


def levels(runs: Runs, key: str, init: str | None = None) -> int:
    """How many values `key` (a column) takes, in the runs of `init` if one is given."""
    return (
        runs.loc[runs["init"] == init if init else slice(None), key].nunique() if key in runs else 0
    )


def largest(runs: Runs, columns: Sequence[str]) -> pd.DataFrame:
    """The largest group of runs that agree in `columns`."""
    if not columns or runs.empty:
        return runs
    groups = runs.groupby(list(columns), dropna=False, sort=False)
    return runs[groups.ngroup() == groups.size().reset_index(drop=True).argmax()]


def swept(runs: Runs, init: str, *keys: str) -> pd.DataFrame:
    """The runs of `init` in which only the `keys` (columns) vary of all arguments of the
    initialization; of several such sets the largest.
    """
    chosen = runs[runs["init"] == init]
    return largest(chosen, [column for column in differing(chosen) if column not in keys])


USUAL: dict[str, Any] = {
    "init.alpha": 0.9,
    "init.nu": "auto",
    "init.gain": 1.0,
    "init.rule": "bounds",
}
"""Defaults of the arguments of initializations."""


def usual(runs: Runs) -> pd.DataFrame:
    """One config for each initialization: the sigma_u nearest to 1, as in the paper, the usual
    arguments, and otherwise the most frequent values.
    """
    parts = []
    for _, chosen in near_one(runs).groupby("init", sort=False):
        for column, value in USUAL.items():
            same = chosen[column].eq(value) if column in chosen else pd.Series(dtype=bool)
            chosen = chosen[same] if same.any() else chosen
        parts.append(largest(chosen, differing(chosen)))
    return pd.concat(parts) if parts else runs


def near_one(runs: Runs) -> pd.DataFrame:
    """For each initialization the runs with the sigma_u nearest to 1; all runs of those without a
    sigma_u.
    """
    if SIGMA not in runs:
        return runs
    distance = (runs[SIGMA] - 1).abs()
    nearest = distance.groupby(runs["init"]).transform("min")
    return runs[distance.isna() | (distance == nearest)]


def initial_states(runs: Runs, key: str = SIGMA, shade: str = SIGMA) -> pd.DataFrame:
    """The runs of a figure that compares initial states: each initialization at each of its values
    of `key` and of `shade`, and one config of those without. Their column `sigma_u`: that of those
    at several.
    """
    parts = []
    for init, chosen in groups(runs, "init", sort=False):
        several = max(levels(chosen, key), levels(chosen, shade)) > 1
        members = swept(chosen, init, key, shade) if several else usual(chosen)
        of_sigma = several and levels(members, SIGMA) > 1
        parts.append(members.assign(sigma_u=members[SIGMA] if of_sigma else float("nan")))
    return pd.concat(parts) if parts else runs.assign(sigma_u=float("nan"))


def crossed(states: pd.DataFrame, key: str, *within: str) -> pd.DataFrame:
    """The initial states with at least two values of `key` (a column) at equal values of the
    columns `within`. Others belong to another question.
    """
    if key not in states:
        return states.iloc[:0]
    known = states.dropna(subset=[key])
    values = known.groupby(["init", "sigma_u", *within], dropna=False)[key].transform("nunique")
    return states.loc[values[values >= 2].index]


MOST = 6  # initial states that are told apart
FIRST = ("kaiming", "fluct", "fluct_calibrated", "lsuv", "pytorch")


def foremost(inits: pd.Series) -> list[str]:
    """At most MOST of these initializations, those of FIRST before others."""
    there = [*dict.fromkeys(inits)]
    there.sort(key=lambda name: FIRST.index(name) if name in FIRST else MOST)
    return there[:MOST]


def guessed(runs: Runs) -> bool:
    """Whether none of these runs is better than guessing."""
    known = runs.dropna(subset=["classes", "test_samples"])
    return len(known) > 0 and all(guesses(known))


def source(runs: Runs) -> str:
    """Where the runs come from, as text."""
    parts = pd.Series(runs["source"].unique()).str.rpartition(" ")  # commits of one place
    return "; ".join(f"{of} {', '.join(ends)}" for of, ends in parts.groupby(0, sort=False)[2])


def differing(runs: Runs) -> list[str]:
    """The arguments of initializations (columns) that are not the same in all `runs`."""
    arguments = [column for column in map(str, runs) if column.startswith("init.")]
    return [column for column in arguments if runs[column].nunique(dropna=False) > 1]
