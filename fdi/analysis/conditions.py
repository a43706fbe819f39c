"""Runs chosen by their columns, and the one meaning of "the same but for the seed".

Runs of one condition agree in data set, model, init, and the whole config and evidence but for the
seed. What is said of it are statistics over its seeds (`by_seed`, `mean_and_interval`): where one
has several runs, over their mean. Two conditions are compared over pairs (`difference`) of equal
seed, whose data were split alike.
"""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import yaml
from pandas.api.typing import DataFrameGroupBy

from fdi.analysis.collect import (
    ACCURACY,
    AT,
    HITS,
    TEST_SAMPLES,
    VALID,
    Runs,
    config_columns,
    metric_of,
)
from fdi.analysis.formats import shown
from fdi.analysis.statistics import (
    Comparison,
    Summary,
    better_or_worse,
    correct,
    paired,
    paired_noise,
    sample_noise,
    summary,
)
from fdi.config import Mistake
from fdi.config.identity import LABELS
from fdi.config.metric import Metric
from fdi.track.evidence import SHARED
from fdi.track.record import UNTESTED

UNTRAINED = ("broken", "probed", UNTESTED)
OBJECTS = ("._target_", "neuron.surrogate")  # columns that name code
SPLIT = "data_checksum"
BASELINE = "kaiming"
VERSUS = ("versus", "versus_low", "versus_high", "versus_n", "versus_p")


def differing(runs: Runs, *free: str) -> list[str]:
    """The columns of config and evidence that differ between these runs, without the seed and those
    that are `free`: names, or how they begin where that ends in a dot.
    """
    starts = tuple(name for name in free if name.endswith("."))
    return [
        column
        for column in config_columns(runs)
        if column not in free and not column.startswith(starts) and _several(runs, column)
    ]


def _several(runs: Runs | DataFrameGroupBy, column: str) -> Any:
    """Whether these runs, or those of each group, have several values in a column; evidence that a
    run lacks is that of any other.
    """
    return runs[column].nunique(dropna=column in SHARED) > 1


def condition_columns(runs: Runs) -> list[str]:
    """LABELS and the columns that differ between runs which one would take for repetitions
    otherwise.

    A key is compared between runs with the same data set and model, a key of `init` only between
    those of the same init, and a key of an object only between those with the same `_target_`,
    which otherwise differs itself. So is the user's own code, between runs of the same objects.
    """
    trained = runs[~runs["state"].isin(UNTRAINED)]
    return [*LABELS, *(column for column in differing(trained) if _differs(trained, column))]


def _differs(runs: Runs, column: str) -> bool:
    owner = column.split(".")[0]
    target = f"{owner}._target_"
    within = ["dataset", "model"]
    within += ["init"] if owner == "init" else []
    within += [target] if target in runs and target != column else []
    if column == "code":
        within += [name for name in config_columns(runs) if name.endswith(OBJECTS)]
    return bool(_several(runs.groupby(within, dropna=False, sort=False), column).any())


def conditions(runs: Runs, columns: Sequence[str]) -> Iterator[tuple[tuple[Any, ...], np.ndarray]]:
    """For each condition the values of `columns`, None where a key is absent, and the places of its
    runs, in the order of these values. Runs in a state of UNTRAINED belong to no condition.
    """
    trained = ~runs["state"].isin(UNTRAINED).to_numpy()
    placed = runs[[*columns]].assign(**{AT: np.arange(len(runs))})[trained]
    for values, members in sets(placed, columns):
        known = tuple(None if pd.isna(value) else value for value in values)
        yield known, members[AT].to_numpy()


def sets(runs: Runs, columns: Sequence[str]) -> Iterator[tuple[Any, pd.DataFrame]]:
    """The runs that agree in these columns, numbers in their order and all else by its text."""

    def sortable(column: pd.Series) -> pd.Series:
        return column if pd.api.types.is_numeric_dtype(column) else column.map(shown)

    ordered = runs.sort_values(list(columns), key=sortable, kind="stable")
    yield from ordered.groupby(list(columns), dropna=False, sort=False)


class Seeds(NamedTuple):
    """What was measured of a condition: `values` [seeds, names]; `pair`, what two runs that are
    compared have in common; the `metric` in place of an accuracy; and which test samples were hit,
    `hits` [seeds, samples], None where that is not known.
    """

    pair: np.ndarray
    names: tuple[str, ...]
    values: np.ndarray
    metric: Metric
    hits: np.ndarray | None = None

    def of(self, name: str) -> np.ndarray:
        """The values of the seeds for which it is known."""
        values = self.values[:, self.names.index(name)]
        return values[~np.isnan(values)]

    def mean(self, name: str) -> float:
        """Over the seeds for which it is known; NaN without one."""
        values = self.of(name)
        return float(values.mean()) if len(values) else np.nan

    def take(self, rows: np.ndarray) -> Seeds:
        """Some of the seeds."""
        hits = None if self.hits is None else self.hits[rows]
        return self._replace(pair=self.pair[rows], values=self.values[rows], hits=hits)


def by_seed(
    runs: Runs,
    names: Sequence[str],
    groups: Sequence[np.ndarray] | None = None,
    same_data: bool = True,
) -> list[Seeds]:
    """The numbers of these `names` (columns) of each of the `groups` (places of runs; None: all are
    one): a row for each seed and, unless data differ on purpose, split of the data; means where one
    has several runs.
    """
    groups = [np.arange(len(runs))] if groups is None else groups
    places = np.concatenate([*groups, np.empty(0, int)]).astype(int)
    number = np.repeat(np.arange(len(groups)), [*map(len, groups)])
    if same_data:
        refuse_mixed(runs.iloc[places], number)
    means = seed_means(runs.iloc[places], names, number, same_data)
    pairs, rows = means.index.get_level_values(1).to_numpy(), means.to_numpy()
    ends = np.searchsorted(means.index.get_level_values(0), np.arange(len(groups) + 1))
    return [
        Seeds(pairs[a:b], tuple(names), rows[a:b], metric_of(runs, at), _hits(runs, at, same_data))
        for at, (a, b) in zip(groups, pairwise(ends))
    ]


def _hits(runs: Runs, places: np.ndarray, same_data: bool) -> np.ndarray | None:
    """Those of `Seeds`; None also where the test sets have different sizes."""
    if HITS not in runs or not len(places):
        return None
    some = runs.iloc[places]
    if some[HITS].isna().any() or some[TEST_SAMPLES].nunique() != 1:
        return None
    bits = np.frombuffer(bytes.fromhex("".join(some[HITS])), np.uint8).reshape(len(some), -1)
    hit = np.unpackbits(bits, axis=1, count=int(some[TEST_SAMPLES].iloc[0]))
    return pd.DataFrame(hit).groupby(_pair(some, same_data)).mean().to_numpy()


def refuse_mixed(runs: Runs, number: np.ndarray) -> None:
    """Raises ValueError where runs of the same `number` are of several numerics, or those of one
    seed of several splits of the data: their mean would be that of two experiments.
    """
    seed = [number, runs["seed"].to_numpy()]
    for column, one in ((SPLIT, seed), ("numerics", [number])):
        several = column in runs and runs[column].groupby(one).transform("nunique") > 1
        if np.any(several):
            mixed = runs[several & (number == number[several][0])]
            keys = differing(mixed, "data", SPLIT) or [column]
            besides = "; ".join(f"{k} = {' or '.join(map(shown, mixed[k].unique()))}" for k in keys)
            raise Mistake(
                f"{mixed['path'].iloc[0]} and {len(mixed) - 1} other runs differ in more than the "
                f"seed, and have no common mean; choose them by {besides}"
            )


def seed_means(
    runs: Runs, names: Sequence[str], by: np.ndarray | pd.Series, same_data: bool = True
) -> pd.DataFrame:
    """The means over the runs, or their epochs, that agree in `by` (a value for each row) and in
    what makes a pair: a row for each.
    """
    return runs[[*names]].astype(float).groupby([by, _pair(runs, same_data)]).mean()


def _pair(runs: Runs, same_data: bool) -> np.ndarray:
    """What makes a pair, as text: the seed and, unless data differ on purpose, their split."""
    pair = runs["seed"].astype(str)
    for column in (*[SPLIT] * same_data, "numerics"):
        if column in runs:
            known = runs[column].map(lambda value: "" if pd.isna(value) else str(value))
            pair = pair + " " + known.astype(str)  # where there is no run, pyarrow asks for it
    return pair.to_numpy(dtype=object)


def mean_and_interval(
    seeds: Seeds, quantity: str = ACCURACY, scale: float = 1.0, most: float = np.inf
) -> Summary:
    """Number, mean, standard deviation and 95 % interval (Student's t, of what is reached on test
    samples with their noise) of `scale` times a quantity of seeds, cut where its values end if the
    mean lies between: at 0 and `most`, or at the ends of the metric.
    """
    noise, least = 0.0, 0.0
    if quantity == ACCURACY:
        noise = sample_noise(seeds.mean(ACCURACY), seeds.mean(TEST_SAMPLES))
        least, most = (scale * end for end in seeds.metric.ends)
    estimate = summary(scale * seeds.of(quantity), scale * noise)
    if not least <= estimate.mean <= most:
        return estimate
    low, high = np.maximum(estimate.low, least), np.minimum(estimate.high, most)
    return estimate._replace(low=float(low), high=float(high))


def pairs(one: Seeds, other: Seeds, quantity: str) -> tuple[Seeds, Seeds]:
    """The rows of two conditions that have the quantity and are pairs."""
    known = [s.take(~np.isnan(s.values[:, s.names.index(quantity)])) for s in (one, other)]
    _, a, b = np.intersect1d(known[0].pair, known[1].pair, return_indices=True)
    return known[0].take(a), known[1].take(b)


def difference(
    one: Seeds, other: Seeds, quantity: str = ACCURACY, scale: float = 1.0
) -> Comparison:
    """`scale` times `one` minus `other` over their `pairs`. Of what they are judged by, the
    interval ends where no difference can be larger, and includes the noise of the test sets.
    """
    one, other = pairs(one, other, quantity)
    a, b = scale * one.of(quantity), scale * other.of(quantity)
    if quantity != ACCURACY:
        return paired(a, b)
    least, most = one.metric.ends
    return paired(a, b, scale * _noise(one, other)).within(scale * (most - least))


def _noise(one: Seeds, other: Seeds) -> float:
    """The part of a difference that the choice of the test samples has."""
    if one.hits is not None and other.hits is not None and one.hits.shape == other.hits.shape:
        return paired_noise(one.hits.mean(axis=0), other.hits.mean(axis=0))
    return math.hypot(
        *(sample_noise(side.mean(ACCURACY), side.mean(TEST_SAMPLES)) for side in (one, other))
    )


def differences(
    rows: pd.DataFrame,
    seeds: Sequence[Seeds],
    base: Mapping[str, Any],
    within: Sequence[str],
    scale: float | Sequence[float] = 1.0,
) -> list[Comparison | None]:
    """The `difference` of each condition, a row with its `seeds`, to its baseline: the only one
    with the values `base` that agrees in the columns `within`; None for itself, and without pairs.
    """
    values = rows[[*within]].astype(object)
    shared = [*map(tuple, values.where(values.notna(), None).to_numpy())]
    baselines: dict[Any, list[int]] = {}
    for row in where(rows.reset_index(drop=True), base).index:
        if len(seeds[row].pair):
            baselines.setdefault(shared[row], []).append(row)
    apart_by_row = []
    for row, factor in enumerate(np.broadcast_to(scale, len(rows))):
        others = baselines.get(shared[row], [])
        one = len(others) == 1 and row not in others
        apart = difference(seeds[row], seeds[others[0]], scale=factor) if one else None
        apart_by_row.append(apart if apart and apart.n else None)
    return apart_by_row


class Compared(NamedTuple):
    """Conditions by the values of `columns`, the places of their runs, and what was measured of the
    finished ones; `differences`: to the baseline, by Holm's method over those of a data set and
    model.
    """

    columns: list[str]
    places: dict[tuple[Any, ...], np.ndarray]
    seeds: list[Seeds]
    differences: list[Comparison | None]


def compared(runs: Runs, names: Sequence[str], versus: str = BASELINE) -> Compared:
    """Each condition of these runs, with its baseline: the one of the initialization `versus` that
    agrees in all columns but those of `init`.
    """
    columns = condition_columns(runs.drop(columns=[*names]))
    places = dict(conditions(runs, columns))
    done = (runs["state"] == "done").to_numpy()
    seeds = by_seed(runs, names, [at[done[at]] for at in places.values()])
    within = [column for column in columns if column.split(".")[0] != "init"]
    rows = pd.DataFrame([*places], columns=columns)
    found = differences(rows, seeds, {"init": versus}, within)
    family = ["/".join(map(str, condition[:2])) for condition in places]
    return Compared(columns, places, seeds, correct(found, family))


def passing(runs: Runs, filters: Sequence[str]) -> pd.DataFrame:
    """The runs that pass all `filters`, each column=value or column=value,value,... in the syntax
    of the command line; of tags a run needs one of these, and its note must have one in it.

    Raises ValueError, one line, for an unknown column, a filter that cannot be read, and filters
    that nothing passes.
    """
    for text in filters:
        column, _, values = text.partition("=")
        if not values:
            raise Mistake(f"cannot read '{text}'; write column=value, for example dataset=randman")
        if column not in runs:
            guess = _guess(column, [str(name) for name in runs.columns])
            raise Mistake(f"no column {column}{guess or '; it must be a key of the config'}")
        accepted = _values(values)
        there = [None if pd.isna(value) else value for value in runs[column]]
        runs = runs[[_passes(column, value, accepted) for value in there]]
        if runs.empty:
            words = sorted({value for value in there if isinstance(value, str)})
            raise Mistake(f"no run has {text}{_guess(values, words)}")
    return runs


def _passes(column: str, value: Any, accepted: Sequence[Any]) -> bool:
    if column in ("tags", "sweeps"):
        return any(tag in map(str, accepted) for tag in (value or "").split(", "))
    if column == "note":
        return any(str(part).lower() in (value or "").lower() for part in accepted)
    return value in accepted


def _guess(word: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean {close[0]}?" if close else ""


def _values(text: str) -> list[object]:
    """Both what the words mean and the words themselves: an id of digits is a word."""
    try:
        meant, words = yaml.safe_load(f"[{text}]"), yaml.load(f"[{text}]", yaml.BaseLoader)
    except yaml.YAMLError:
        raise Mistake(f"cannot read the value {text}; write a list as [128,128]") from None
    lists = [json.dumps(value) if isinstance(value, list) else value for value in meant]
    numbers = pd.to_numeric(pd.Series(map(str, words), dtype=str), errors="coerce")
    return [*lists, *words, *numbers.dropna()]  # for YAML, 1e-16 without a point is a word


def where(runs: Runs, values: Mapping[str, Any], unsaid: bool = False) -> pd.DataFrame:
    """The runs with these `values`, by column, where NaN means none; with `unsaid` also those that
    have none there.
    """
    for column, value in values.items():
        if column in runs:
            none = runs[column].isna()
            same = none if pd.isna(value) else runs[column] == value
            runs = runs[same | none if unsaid else same]
        elif not unsaid:
            runs = runs.iloc[:0]
    return runs


def newest(runs: Runs) -> pd.DataFrame:
    """The runs with the newest numerics: older ones are of another experiment."""
    if "numerics" not in runs or runs["numerics"].isna().all():
        return runs
    known = pd.to_numeric(runs["numerics"], errors="coerce")
    return runs[known == known.max()]


def groups(table: pd.DataFrame, by: Any, sort: bool = True) -> Iterator[tuple[Any, pd.DataFrame]]:
    """The rows of each value of a column, or of each tuple of values of several: as pandas groups
    them, whose types do not know that names are texts.
    """
    yield from table.groupby(by, sort=sort)


STATISTICS = ("mean", "sd", "n", "low", "high")
TESTED = (ACCURACY, TEST_SAMPLES)


def moments(
    runs: Runs, by: Sequence[str], quantity: str, scale: float = 1.0, most: float = np.inf
) -> pd.DataFrame:
    """`mean_and_interval` of `quantity` over the seeds: a row per combination of `by`, columns *by,
    mean, sd, n, low, high.
    """
    names = TESTED if quantity == ACCURACY else (quantity,)
    rows = []
    for values, seeds in _known(runs, by, names):
        found = mean_and_interval(seeds, quantity, scale, most)
        rows.append((*values, *(getattr(found, name) for name in STATISTICS)))
    return pd.DataFrame(rows, columns=[*by, *STATISTICS])


def _known(
    runs: Runs, by: Sequence[str], names: Sequence[str]
) -> Iterator[tuple[tuple[Any, ...], Seeds]]:
    """Each combination of `by` for which the first of the `names` is known, and its seeds."""
    places: dict[Any, Any] = runs.groupby(list(by), dropna=False).indices
    for values, seeds in zip(places, by_seed(runs, names, [*places.values()])):
        if len(seeds.of(names[0])):
            yield values if isinstance(values, tuple) else (values,), seeds


def accuracies(
    runs: Runs,
    by: Sequence[str],
    within: Sequence[str] = (),
    base: Mapping[str, Any] = {"init": BASELINE},
) -> pd.DataFrame:
    """`moments` of the test accuracy in percent, or of what else the runs are judged by, with the
    columns of the difference to the runs with the values `base` that agree in `within` (both of
    them columns of `by`), its `p` alone, and `verdict`: p and interval of the difference are those
    of Holm's method over all rows.
    """
    metric = metric_of(runs)
    table = moments(runs, by, ACCURACY, metric.scale)
    seeds = [seeds_of for _, seeds_of in _known(runs, by, TESTED)]
    alone = differences(table, seeds, base, within, metric.scale)
    table["p"] = [np.nan if each is None else each.p for each in alone]
    versus = [*map(versus_columns, correct(alone, np.zeros(len(table))))]
    table = table.join(pd.DataFrame(versus, columns=VERSUS, index=table.index, dtype=float))
    each = zip(table["versus"], table["versus_p"])
    return table.assign(verdict=[better_or_worse(*row, metric.sign) for row in each])


def versus_columns(apart: Comparison | None) -> dict[str, float]:
    """The columns VERSUS of a difference, NaN where there is none."""
    if apart is None:
        return dict.fromkeys(VERSUS, np.nan)
    return dict(zip(VERSUS, (apart.mean, apart.low, apart.high, apart.n, apart.p)))


def best(runs: Runs, by: Sequence[str], key: str) -> pd.DataFrame:
    """Of the runs that agree in `by`, those with the value of `key` (a column) whose mean
    validation accuracy after the last epoch, or what else they are judged by, is best. What is
    chosen on validation may be reported on the test set.
    """
    means = moments(runs, [*by, key], VALID)
    means["mean"] *= metric_of(runs).sign
    top = means.groupby(list(by), dropna=False)["mean"].idxmax()
    return runs.merge(means.loc[top, [*by, key]])
