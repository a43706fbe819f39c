"""Which runs belong into one figure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pandas as pd

from fdi.analysis.collect import config_columns


def sweeps(runs: pd.DataFrame, varied: Sequence[str] = ()) -> Iterator[tuple[tuple[str, str], pd.DataFrame]]:
    """(data set, model) and its finished runs that agree in the whole config but for seed, init and `varied`; of several such sets the largest.

    `varied`: config columns, or the start of them where they end in a dot.
    """
    done = runs[runs["state"] == "done"]
    for key, group in done.groupby(["dataset", "model"]):
        yield key, largest(group, [column for column in fixed(group, varied)])


def fixed(runs: pd.DataFrame, varied: Sequence[str] = ()) -> list[str]:
    """The config columns that must agree: all that differ, but those of the seed, the initialization and `varied`."""
    free = ("seed", "init.", *varied)
    differing = [column for column in config_columns(runs) if runs[column].nunique(dropna=False) > 1]
    return [c for c in differing if not any(c == name or (name.endswith(".") and c.startswith(name)) for name in free)]


def largest(runs: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """The largest group of runs that agree in `columns`."""
    if not columns or runs.empty:
        return runs
    groups = runs.groupby(list(columns), dropna=False, sort=False)
    return runs[groups.ngroup() == groups.size().reset_index(drop=True).argmax()]


def swept(runs: pd.DataFrame, init: str, key: str) -> pd.DataFrame:
    """The runs of `init` in which `key` (a column) varies and the other arguments of the initialization do not; of several such sets the largest."""
    chosen = runs[runs["init"] == init]
    others = [column for column in chosen if column.startswith("init.") and column != key and chosen[column].nunique(dropna=False) > 1]
    return largest(chosen, others)


def usual(runs: pd.DataFrame) -> pd.DataFrame:
    """Of each initialization the config that the paper recommends, sigma_u = 1, or the one nearest to it; else the most frequent one."""
    parts = []
    for _, chosen in runs.groupby("init", sort=False):
        if "init.sigma_u" in chosen and chosen["init.sigma_u"].notna().any():
            distance = (chosen["init.sigma_u"] - 1).abs()
            chosen = chosen[distance == distance.min()]
        parts.append(largest(chosen, [c for c in chosen if c.startswith("init.") and chosen[c].nunique(dropna=False) > 1]))
    return pd.concat(parts) if parts else runs


def source(runs: pd.DataFrame) -> str:
    """Where the runs come from, as text."""
    return "; ".join(runs["source"].unique())


def moments(runs: pd.DataFrame, by: Sequence[str], quantity: str, scale: float = 1.0) -> pd.DataFrame:
    """Mean, standard deviation and number of seeds of `quantity`, a row per combination of `by`: columns *by, mean, sd, n."""
    by_seed = runs.groupby([*by, "seed"], dropna=False)[quantity].mean() * scale
    grouped = by_seed.dropna().groupby(level=list(range(len(by))), dropna=False)
    return pd.DataFrame({"mean": grouped.mean(), "sd": grouped.std(), "n": grouped.size()}).reset_index()
