"""Which runs belong in one figure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

import pandas as pd

from fdi.analysis import conditions
from fdi.analysis.collect import METRIC, Runs, config_columns
from fdi.analysis.conditions import groups
from fdi.analysis.derived import COLUMNS, guesses
from fdi.analysis.formats import NAMING, plural, shown
from fdi.analysis.results import OWN, TARGET, comparable

Enough = Callable[[pd.DataFrame], int]
NAMED = 4  # keys of runs that are left out
FINISHED = ("done", "probed")
SIGMA = "init.sigma_u"


def runs_by_network(runs: Runs) -> list[tuple[Any, pd.DataFrame]]:
    """(data set, model) and the runs of each, that with most runs first."""
    return sorted(groups(runs, ["dataset", "model"]), key=lambda network: -len(network[1]))


def learned(runs: Runs) -> Iterator[tuple[tuple[str, str], pd.DataFrame]]:
    """(data set, model) and one config of each initialization, of the set of its runs, which agree
    in all else, that compares most of them and of which most do better than guessing.
    """
    for network, group in runs_by_network(runs):
        names = conditions.condition_columns(group)[2:]
        apart = [name for name in names if not f"{name}.".startswith("init.")]
        yield network, usual(best_set(group, apart, lambda some: 1 + int((~guesses(some)).sum())))


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
    deepest network); `origin_columns` names the others.
    `varied`: config columns, or the start of them where they end in a dot.
    """
    chosen = comparable(runs[runs["state"].isin(states)], varied)
    alike = [METRIC] if METRIC in runs and "probed" not in states else []
    for key, group in runs_by_network(chosen):
        own = group[in_sweep(group, experiment)]
        for candidates in (own, group.drop(own.index)):
            apart = conditions.differing(candidates, "init.", *varied)
            best = best_set(candidates, [*apart, *alike], enough)
            if len(best):
                yield key, best
                break


def in_sweep(runs: Runs, title: str) -> pd.Series:
    """Whether each of the runs belongs to a sweep of this title."""
    named = runs.get("sweeps", pd.Series("", index=runs.index)).fillna("")
    return named.map(lambda text: bool(title) and title in text.split(", ")).astype(bool)


def origin_columns(drawn: Runs, every: Collection[str], runs: Runs, among: Runs) -> dict[str, str]:
    """Two columns of a page on which runs are `drawn`. `left`: which of the user's own finished
    `runs` of its data sets and models are on none of the pages of its figure, whose paths are
    `every`, and where they differ; "" where there are none. `source`: where the runs on the page
    come from, and of what varies `among` the user's own ones the values that are the same in all.
    """
    own = among[(among["source"] == OWN) & among["state"].isin(FINISHED)]
    own = own.merge(drawn[["dataset", "model"]].drop_duplicates())
    others = own[own["path"].isin(runs["path"]) & ~own["path"].isin(every)]
    still, apart = [], []
    for column in ["init", *config_columns(own)]:
        lacking = column.startswith("init.")  # not null: another initialization has no such key
        if column == TARGET or own[column].nunique(dropna=lacking) < 2:
            continue
        here = [*(drawn[column].dropna() if lacking else drawn[column]).unique()]
        if len(here) == 1 and pd.notna(here[0]) and column != "init":
            still.append(_named(column, here))
        new = [value for value in others[column].unique() if value not in {*here}]
        if not all(map(pd.isna, new)):
            apart.append(_named(column, new))
    at = f" with {_first(still)}" * bool(still)
    left = f"{plural(len(others), 'run')}{f' ({_first(apart)})' * bool(apart)}" * bool(len(others))
    return {
        "left": left,
        "source": sources_of(drawn) + at + f"; left out: {left}" * bool(left),
    }


def _named(column: str, values: Sequence[Any]) -> str:
    """A key, and its value where it has one only."""
    return f"{NAMING.sub('', column)}" + f" = {shown(values[0])}" * (len(values) == 1)


def _first(names: Sequence[str]) -> str:
    return f"{', '.join(names[:NAMED])}{', ...' * (len(names) > NAMED)}"


def best_set(runs: Runs, columns: Sequence[str], enough: Enough = len) -> pd.DataFrame:
    """The best set of runs that agree in `columns`, see `sweeps`; none where none is enough."""
    sets = [members for _, members in conditions.sets(runs, columns)] if columns else [runs]
    ranks = [
        (members["init"].nunique(), levels, len(members), i)
        for i, members in enumerate(sets)
        if len(members) and (levels := int(enough(members)))
    ]
    return sets[max(ranks)[-1]] if ranks else runs.iloc[:0]


def levels(runs: Runs, key: str, init: str | None = None) -> int:
    """How many values `key` (a column) takes, in the runs of `init` if one is given."""
    return (
        runs.loc[runs["init"] == init if init else slice(None), key].nunique() if key in runs else 0
    )


def largest_group(runs: Runs, columns: Sequence[str]) -> pd.DataFrame:
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
    return largest_group(chosen, [column for column in varying(chosen) if column not in keys])


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
        parts.append(largest_group(chosen, varying(chosen)))
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


def initial_states(runs: Runs, *keys: str) -> pd.DataFrame:
    """The runs of a figure that compares initializations: each initialization at each of its values
    of the `keys` (sigma_u unless given), and one config of those without. Their column `sigma_u`:
    that of those at several.
    """
    parts, keys = [], keys or (SIGMA,)
    for init, chosen in groups(runs, "init", sort=False):
        several = max(levels(chosen, key) for key in keys) > 1
        members = swept(chosen, init, *keys) if several else usual(chosen)
        of_sigma = several and levels(members, SIGMA) > 1
        parts.append(members.assign(sigma_u=members[SIGMA] if of_sigma else float("nan")))
    return pd.concat(parts) if parts else runs.assign(sigma_u=float("nan"))


def others(runs: Runs, x: str) -> list[str]:
    """The keys that were swept along with `x`: among runs that agree in all else but the seed, at
    least two of their values have several of `x`. Where keys go together, the column of COLUMNS
    that stands for them. Those of the initialization first, and what has an order before names.
    """
    done = runs[runs["state"].isin(FINISHED)]
    done = done.assign(**{name: column.of(done) for name, column in COLUMNS.items()})
    keys: list[str] = []
    names = [*conditions.differing(done, *COLUMNS), *done[[*COLUMNS]].nunique().nlargest(9).index]
    for key in names:
        own = [*(COLUMNS[key].keys if key in COLUMNS else ()), key]
        besides = [*(COLUMNS[x].keys if x in COLUMNS else ()), x]
        if key.startswith((*besides,)) or any(other.startswith((*own,)) for other in keys):
            continue
        apart = conditions.differing(done, *COLUMNS, *own, *besides)
        alike = ["dataset", "model", "init", *apart]
        several = done.groupby([*alike, key], dropna=False)[x].nunique() > 1
        if (several[several].groupby(alike, dropna=False).size() > 1).any():
            keys.append(key)

    def rank(key: str) -> tuple[bool, bool]:
        return not key.startswith("init."), not pd.api.types.is_numeric_dtype(done[key])

    return sorted(keys, key=rank)


def crossed(states: pd.DataFrame, key: str, *within: str) -> pd.DataFrame:
    """The initializations with at least two values of `key` (a column) at equal values of the
    columns `within`. Others belong to another question.
    """
    if key not in states:
        return states.iloc[:0]
    known = states.dropna(subset=[key])
    values = known.groupby(["init", "sigma_u", *within], dropna=False)[key].transform("nunique")
    return states.loc[values[values >= 2].index]


MOST = 6  # initializations that are told apart
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


def sources_of(runs: Runs) -> str:
    """Where the runs come from, as text."""
    commits: dict[str, list[str]] = {}
    for text in runs["source"].unique():
        origin, _, commit = text.rpartition(" ")
        commits.setdefault(origin, []).append(commit)
    return "; ".join(f"{origin} {', '.join(each)}" for origin, each in commits.items())


def varying(runs: Runs) -> list[str]:
    """The arguments of initializations (columns) that are not the same in all `runs`."""
    arguments = [column for column in map(str, runs) if column.startswith("init.")]
    return [column for column in arguments if runs[column].nunique(dropna=False) > 1]
