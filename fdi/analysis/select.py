"""Runs chosen by their columns."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import yaml

from fdi.analysis.statistics import chance_share
from fdi.analysis.table_types import Runs
from fdi.config import Mistake

LAYER = re.compile(r"^rate/[a-z]*")


def select(runs: Runs, filters: Sequence[str]) -> pd.DataFrame:
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


def where(runs: Runs, values: Mapping[str, Any], unsaid: bool = False) -> pd.DataFrame:
    """The runs with these `values`, by column; with `unsaid` also those that have none there."""
    for column, value in values.items():
        if column in runs:
            same = runs[column] == value
            runs = kept(runs, same | runs[column].isna() if unsaid else same)
        elif not unsaid:
            runs = runs.iloc[:0]
    return runs


def records(runs: Runs, *starts: str) -> Iterator[dict[str, Any]]:
    """The runs one after the other, with the columns that begin with one of the `starts`. Those of
    to_dict are in memory all at once, 7 KB each.
    """
    names = [name for name in map(str, runs) if name.startswith(starts)]
    rows = zip(runs.index, *(runs[name] for name in names))
    return (dict(zip(names, values)) for _, *values in rows)


def guesses(runs: Runs) -> list[bool]:
    """Whether each of the finished runs is no better than guessing on its test set."""
    columns = ("test_accuracy_last", "classes", "test_samples")
    return [
        chance_share([accuracy], int(classes), int(samples)) == 1
        for accuracy, classes, samples in zip(*(runs[column] for column in columns))
    ]


def groups(table: pd.DataFrame, by: Any, sort: bool = True) -> Iterator[tuple[Any, pd.DataFrame]]:
    """The rows of each value of a column, or of each tuple of values of several. One group after
    the other is taken out of the table, without a copy where its rows follow one another: the
    groups of pandas are a second copy of all of the table.
    """
    grouped = table.groupby(by, sort=sort)
    sizes = grouped.size()
    order = np.argsort(grouped.ngroup().to_numpy(), kind="stable")[: sizes.sum()]  # NaN is last
    for key, places in zip(sizes.index, np.split(order, np.cumsum(sizes)[:-1])):
        start, end = places[0], places[-1] + 1
        yield key, table.iloc[start:end] if end - start == len(places) else table.iloc[places]


def kept(table: pd.DataFrame, rows: pd.Series) -> pd.DataFrame:
    """The rows that are true in `rows`; where all are, the table itself and no copy of it."""
    return table if rows.all() else table[rows]


def architecture(model: str) -> str:
    """Of a model: a deep one is a preset of the same architecture."""
    return model.removesuffix("_deep")


def depth(run: Mapping[Any, Any]) -> int:
    """Hidden layers of a finished run: h1, h2, ..., or e1 and i1, e2 and i2, ... under Dale's
    law.
    """
    layers = {LAYER.sub("", key) for key in run if key.startswith("rate/") and pd.notna(run[key])}
    return len(layers)


def with_layers(runs: Runs) -> pd.DataFrame:
    """The runs with `layers`, how many hidden ones they have."""
    rates = [name for name in map(str, runs) if name.startswith("rate/")]
    known = runs[rates].notna()
    there = [known[rate].rename(LAYER.sub("", rate)) for rate in rates]
    layers = {name: [c for c in there if c.name == name] for name in {c.name for c in there}}
    present = [pd.concat(columns, axis=1).any(axis=1) for columns in layers.values()]
    return runs.assign(layers=sum(present, start=pd.Series(0, index=runs.index)).astype(int))


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
    return [*lists, *words, *filter(None, map(_number, words))]


def _number(word: object) -> float | None:
    """For YAML 1e-16 without a point is a word."""
    try:
        return float(str(word))
    except ValueError:
        return None
