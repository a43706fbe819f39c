"""Each initial state at its best: which value of what was tuned suits it, chosen on validation with
seeds of their own, and how it compares there and at the values that all have in common.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from fdi.analysis.collect import config_columns
from fdi.analysis.contrasts import PERCENT, difference_of
from fdi.analysis.learning import first_epoch
from fdi.analysis.results import Results
from fdi.analysis.select import kept
from fdi.analysis.statistics import sample_noise, summary
from fdi.analysis.summary import ACCURACY, BASELINE, VALID

UNTESTED = "untested"
GOOD = 0.9  # of the best accuracy: steps that reach it are good ones
TUNED = ("optimizer.lr", "optimizer.eps", "optimizer.precision")
"""Keys in which the sides of a comparison may differ, each having its own best value."""
NUMBERS = ["n", "mean", "sd", "low", "high"]


class Trial(NamedTuple):
    """What one seed says of a candidate after `epochs`; `accuracy` on validation, None where the
    run failed.
    """

    candidate: Hashable
    seed: int
    epochs: int
    accuracy: float | None


def ranking(trials: Iterable[Trial]) -> list[tuple[Hashable, int, float]]:
    """(candidate, epochs, mean validation accuracy over its seeds), the best first: those that were
    trained longest before the others, a failed seed counting as 0. Equal ones stay in their order.
    """
    groups: dict[tuple[Hashable, int], list[float]] = defaultdict(list)
    for trial in trials:
        groups[trial.candidate, trial.epochs].append(trial.accuracy or 0.0)
    means = [(name, epochs, float(np.mean(of))) for (name, epochs), of in groups.items()]
    return sorted(means, key=lambda row: (-row[1], -row[2]))


def good_range(steps: Mapping[float, float]) -> tuple[float, float]:
    """The least and the largest step around the best one between which all reach GOOD times its
    accuracy; `steps`: step -> accuracy.
    """
    values = sorted(steps)
    top = max(values, key=lambda value: steps[value])
    low = high = values.index(top)
    enough = GOOD * steps[top]
    while low > 0 and steps[values[low - 1]] >= enough:
        low -= 1
    while high + 1 < len(values) and steps[values[high + 1]] >= enough:
        high += 1
    return values[low], values[high]


def each_at_its_best(results: Results) -> pd.DataFrame:
    """A row for each network, initial state and `setting`, "common" (the values that all of them
    were tested with) or "best": the keys of TUNED, n, mean, sd, low, high of the test accuracy in
    percent; `epochs_to` GOOD times the best mean of the network; `difference` to the baseline at
    the same setting, with its interval `from`, `to` and `pairs`; in rows of "best" `validated`, the
    validation accuracy that the value was chosen by, `tuned`, the number of seeds it had, and
    `good_low`, `good_high`, the range of good steps.
    """
    runs = results.runs
    trained = kept(runs, runs["state"].isin(("done", UNTESTED)))
    tuned = trained[trained["state"] == UNTESTED]
    if tuned.empty:
        return pd.DataFrame()
    free = {"seed", "trainer.epochs", "trainer.test", "readout", *TUNED}
    columns = [
        c for c in config_columns(trained) if c not in free and not c.startswith(("init.", "init"))
    ]
    keys = [c for c in columns if trained[c].nunique(dropna=False) > 1]
    parts = []
    for _, network in tuned.groupby(["dataset", "model", *keys], dropna=False, sort=False):
        first = network.iloc[0]
        same = np.logical_and.reduce(
            [_equal(trained[key], first[key]) for key in ("dataset", "model", *keys)]
        )
        tested = trained[same & (trained["state"] == "done")]
        parts += _network(network, tested, results)
    return pd.DataFrame(parts)


def _equal(column: pd.Series, value: Any) -> np.ndarray:
    return (column.isna() if pd.isna(value) else column == value).to_numpy(dtype=bool)


def _network(tuned: pd.DataFrame, tested: pd.DataFrame, results: Results) -> Iterator[dict]:
    names = [key for key in TUNED if key in tuned and tuned[key].notna().any()]
    sides: dict[tuple[str, str], pd.DataFrame] = {}
    rows: list[dict[str, Any]] = []
    common = _common(tested, names, list(dict.fromkeys(tuned["init"])))
    for init, of in tuned.groupby("init", sort=False):
        trials = [
            Trial(tuple(row[names]), row["seed"], row["trainer.epochs"], row[VALID])
            for _, row in of.iterrows()
        ]
        chosen, epochs, accuracy = ranking(trials)[0]
        assert isinstance(chosen, tuple)
        length = of["trainer.epochs"].max()
        mine = tested[(tested["init"] == init) & (tested["trainer.epochs"] == length)]
        for setting, values in (("common", common), ("best", chosen)):
            if values is None:
                continue
            side = mine[_all_equal(mine, dict(zip(names, values)))]
            if side.empty:
                continue
            sides[setting, str(init)] = side
            row = _row(side, str(init), setting, dict(zip(names, values)))
            if setting == "best":
                row |= {"validated": PERCENT * accuracy, "tuned": _seeds(trials, chosen, epochs)}
                low, high = _range(of, names, chosen)
                row |= {"good_low": low, "good_high": high}
            rows.append(row)
    for row in rows:
        other = sides.get((row["setting"], BASELINE))
        if other is not None and row["init"] != BASELINE:
            mine = sides[row["setting"], row["init"]]
            row |= _difference(mine, other)
    _add_speed(rows, sides, results)
    yield from rows


def _common(
    tested: pd.DataFrame, names: Sequence[str], inits: Sequence[str]
) -> tuple[Any, ...] | None:
    """The values of `names` that all of the initial states were tested with, the most seeds of all
    if there are several.
    """
    shared = []
    for values, group in tested.groupby(list(names), dropna=False):
        if set(inits) <= set(group["init"]):
            shared.append((group.groupby("init")["seed"].nunique().min(), values))
    return max(shared, key=lambda pair: pair[0])[1] if shared else None


def _all_equal(table: pd.DataFrame, values: Mapping[str, Any]) -> np.ndarray:
    masks = [_equal(table[key], value) for key, value in values.items()]
    return np.logical_and.reduce(masks) if masks else np.ones(len(table), dtype=bool)


def _row(side: pd.DataFrame, init: str, setting: str, values: Mapping[str, Any]) -> dict[str, Any]:
    first = side.iloc[0]
    n, mean, sd, low, high = _moments(side)
    return {
        **{key: first[key] for key in ("dataset", "model", "model.depth") if key in first},
        "layers": sum(str(c).startswith("rate/") and pd.notna(first[c]) for c in side),
        "epochs": first["trainer.epochs"],
        "init": init,
        "setting": setting,
        **values,
        **dict(zip(NUMBERS, (n, mean, sd, low, high))),
        "classes": first["classes"],
        "numerics": first.get("numerics"),
    }


def _moments(side: pd.DataFrame) -> tuple[float, ...]:
    values = side.groupby("seed")[ACCURACY].mean()
    noise = sample_noise(values.mean(), side["test_samples"].iloc[0])
    n, mean, sd, low, high = summary(PERCENT * values, PERCENT * noise)
    return n, mean, sd, max(low, 0.0), min(high, PERCENT)


def _seeds(trials: Sequence[Trial], candidate: Hashable, epochs: int) -> int:
    return len({t.seed for t in trials if t.candidate == candidate and t.epochs == epochs})


def _range(of: pd.DataFrame, names: Sequence[str], chosen: tuple[Any, ...]) -> tuple[float, float]:
    """Of the shortest training, which all steps had, with the other values as chosen."""
    others = {key: value for key, value in zip(names, chosen) if key != TUNED[0]}
    short = of[_all_equal(of, others)]
    short = short[short["trainer.epochs"] == of["trainer.epochs"].min()]
    return good_range(short.groupby(TUNED[0])[VALID].mean().to_dict())


def _difference(mine: pd.DataFrame, other: pd.DataFrame) -> dict[str, Any]:
    one, two = (side.groupby("seed")[ACCURACY].mean() * PERCENT for side in (mine, other))
    seeds = one.index.intersection(two.index)
    if not len(seeds):
        return {}
    found = difference_of(one[seeds], two[seeds], mine["test_samples"].iloc[0])
    return {
        "difference": found.mean,
        "from": found.low,
        "to": found.high,
        "pairs": found.n,
    }


def _add_speed(
    rows: Sequence[dict[str, Any]], sides: Mapping[tuple[str, str], pd.DataFrame], results: Results
) -> None:
    """`epochs_to` GOOD times the best validation accuracy of all sides after their last epoch, the
    mean over the seeds that reach it, `reached`.
    """
    known = results.learning(pd.concat(sides.values())) if sides else {}
    curves = {
        key: [known[path] for path in side["path"] if path in known] for key, side in sides.items()
    }
    lasts = [np.mean([accuracy[-1] for _, accuracy in of]) for of in curves.values() if of]
    for row in rows:
        of = curves[row["setting"], row["init"]]
        firsts = [first_epoch(*curve, GOOD * max(lasts)) for curve in of]
        reached = [first for first in firsts if pd.notna(first)]
        row["epochs_to"] = float(np.mean(reached)) if reached else np.nan
        row["reached"] = len(reached)
