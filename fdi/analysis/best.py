"""Each initial state at its best: which value of what was tuned suits it, chosen on validation with
seeds of their own, and how it compares there and at the values that all have in common.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, cast

import numpy as np
import pandas as pd

from fdi.analysis.collect import ACCURACY, SAMPLES, VALID
from fdi.analysis.conditions import BASELINE, by_seed, differing, spread, where
from fdi.analysis.contrasts import STATISTICS, TESTED, compare
from fdi.analysis.derived import guesses, with_layers
from fdi.analysis.formats import plural, short_names, shown
from fdi.analysis.learning import first_epoch
from fdi.analysis.results import Results
from fdi.analysis.statistics import PERCENT, verdict
from fdi.track.record import TRAINED, UNTESTED

GOOD = 0.9  # of the best accuracy: steps that reach it are good ones
STEP = "optimizer.lr"
TUNED = (STEP, "optimizer.eps", "optimizer.precision")
"""Keys in which the sides of a comparison may differ, each having its own best value."""


class Trial(NamedTuple):
    """What one seed says of a candidate after `epochs`; `accuracy` on validation, None where the
    run failed; `values`: those of TUNED that it has.
    """

    candidate: Hashable
    values: tuple[Any, ...]
    seed: int
    epochs: int
    accuracy: float | None


def ranking(trials: Iterable[Trial]) -> list[tuple[Hashable, int, float]]:
    """(candidate, epochs, mean validation accuracy over its seeds), the best first: those that were
    trained longest before the others, a failed seed counting as 0. Equal ones are in the order of
    their values, so that whoever asks later finds the same one first.
    """
    groups: dict[tuple[Hashable, int], list[Trial]] = defaultdict(list)
    for trial in trials:
        groups[trial.candidate, trial.epochs].append(trial)
    means = [
        (name, epochs, float(np.mean([trial.accuracy or 0.0 for trial in of])), of[0].values)
        for (name, epochs), of in groups.items()
    ]
    return [row[:3] for row in sorted(means, key=lambda row: (-row[1], -row[2], row[3]))]


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


NETWORK = ("dataset", "model", "layers", "epochs", "settings")
"""What tells networks apart; `settings`: the other keys in which they differ, as text."""


DECIDED = ("better", "worse")


class Side(NamedTuple):
    """The tested runs of an initial state of a network in a `setting`, "common" (the values that
    all of them were tested with) or "best".

    `values`: those of TUNED; `network`: those of NETWORK; `moments`: mean, sd, n, low, high of the
    test accuracy in percent. Of the best `validated`, the validation accuracy in percent that its
    values were chosen by with `tuned` seeds, and `good`, the range of steps that `good_range` finds
    in the shortest training, which all of them had.
    """

    init: str
    setting: str
    values: dict[str, Any]
    runs: pd.DataFrame
    network: dict[str, Any]
    moments: pd.Series
    validated: float = np.nan
    tuned: int = 0
    good: tuple[float, float] = (np.nan, np.nan)


def networks(results: Results) -> Iterator[list[Side]]:
    """The sides of each network for which something was chosen, in the order of their names and
    sizes.
    """
    runs = with_layers(results.runs)
    trained = runs[runs["state"].isin(TRAINED)]
    tuned = trained[trained["state"] == UNTESTED]
    chose = {title for titles in tuned["sweeps"].dropna() for title in titles.split(", ")}
    trained = trained[[_is_of(titles, chose) for titles in trained["sweeps"]]]
    sizes = ["dataset", "model", "layers"]
    free = ("trainer.epochs", "trainer.test", "readout", "model.depth", "init.", *TUNED)
    varied = differing(tuned, *free)
    names, same = short_names(varied), [*sizes, *differing(trained, *free)]
    for _, network in tuned.groupby([*sizes, *varied], dropna=False):
        first = network.iloc[0]
        tested = where(trained[trained["state"] == "done"], first[same].to_dict())
        apart = differing(where(tuned, first[sizes].to_dict()), *free)
        known = {key: first[key] for key in apart if pd.notna(first[key])}
        told = ", ".join(f"{names[key]} = {shown(value)}" for key, value in known.items())
        if sides := list(_sides(network, tested, told)):
            yield sides


def _is_of(titles: Any, chosen: set[str]) -> bool:
    """Whether a run belongs to one of the sweeps in which something was chosen."""
    return isinstance(titles, str) and not chosen.isdisjoint(titles.split(", "))


def each_at_its_best(results: Results) -> pd.DataFrame:
    """A row for each network, initial state and setting: NETWORK, init, setting, TUNED, n, mean,
    sd, low, high of the test accuracy in percent; `at_chance`, how many of the runs are no better
    than guessing; what `difference` says; `epochs_to` GOOD times the best validation accuracy of
    the network, as a mean over the seeds that get there, `reached`; and what `Side` says of the
    choice. No columns without such runs.
    """
    rows = []
    for sides in networks(results):
        curves = [list(results.learning(side.runs).values()) for side in sides]
        lasts = [np.mean([accuracy[-1] for _, accuracy in of]) for of in curves if of]
        target = GOOD * max(lasts, default=np.nan)
        for side, of in zip(sides, curves):
            firsts = [first_epoch(*curve, target) for curve in of]
            reached = [first for first in firsts if pd.notna(first)]
            rows.append(
                {
                    **side.network,
                    "init": side.init,
                    "setting": side.setting,
                    **side.values,
                    **side.moments,
                    "at_chance": sum(guesses(side.runs.dropna(subset=["test_samples"]))),
                    **difference(side, sides),
                    "epochs_to": float(np.mean(reached)) if reached else np.nan,
                    "reached": len(reached),
                    "validated": side.validated,
                    "tuned": side.tuned,
                    "good_low": side.good[0],
                    "good_high": side.good[1],
                    "numerics": side.runs["numerics"].iloc[0],
                }
            )
    return pd.DataFrame(rows)


CAPTION = (
    "test accuracy in percent after the last epoch, mean +- standard deviation over n seeds, with "
    "the difference to Kaiming over pairs of equal seed and its 95 % interval: at the values that "
    "all have in common, and at those that validation chose for each with other seeds; good steps: "
    "the range around the best one within which validation reaches 90 % of it after the shortest "
    "training; epochs: until validation reaches 90 % of the best of the network, mean over the "
    "seeds that get there"
)


def readable(table: pd.DataFrame) -> pd.DataFrame:
    """`each_at_its_best` for people: a row for each network and initial state."""
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for row in table.to_dict("records"):
        layers = plural(row["layers"], "layer")
        parts = [row["dataset"], row["model"], layers, f"{row['epochs']} epochs", row["settings"]]
        network = ", ".join(filter(None, parts))
        cells = rows.setdefault((network, row["init"]), {"network": network, "init": row["init"]})
        accuracy = f"{row['mean']:.1f} +- {row['sd']:.1f}, n={row['n']}"
        if pd.notna(row.get("difference")):
            accuracy += f"\n{row['difference']:+.1f}"
        if pd.notna(row.get("from")):
            accuracy += f" ({row['from']:+.1f}..{row['to']:+.1f})"
        if row["at_chance"]:
            accuracy += f"\n{row['at_chance']} of {row['n']} at chance"
        chosen = f"lr {row[STEP]:g}"
        if pd.notna(row.get("optimizer.eps")):
            chosen += f", eps {row['optimizer.eps']:g}"
        best = row["setting"] == "best"
        cells["at its best" if best else "in common"] = f"{accuracy}\n{chosen}"
        if best:
            cells["good steps"] = f"{row['good_low']:g}..{row['good_high']:g}"
            if row["reached"]:
                cells["epochs"] = f"{row['epochs_to']:.1f} ({row['reached']} of {row['n']})"
    columns = ["network", "init", "in common", "at its best", "good steps", "epochs"]
    return pd.DataFrame(rows.values()).reindex(columns=columns).astype(object).fillna("-")


def _sides(tuned: pd.DataFrame, tested: pd.DataFrame, settings: str) -> Iterator[Side]:
    names = [key for key in TUNED if key in tuned and tuned[key].notna().any()]
    inits = list(dict.fromkeys(tuned["init"]))
    length = tuned["trainer.epochs"].max()
    tested = tested[tested["trainer.epochs"] == length]
    common = _common(tested, names, inits)
    first = tuned.iloc[0]
    known = (first["dataset"], first["model"], int(first["layers"]), int(length), settings)
    network = dict(zip(NETWORK, known))
    for init in inits:
        of = tuned[tuned["init"] == init]
        trials = [
            Trial(candidate, candidate, seed, epochs, accuracy)
            for *candidate, seed, epochs, accuracy in of[
                [*names, "seed", "trainer.epochs", VALID]
            ].itertuples(index=False)
            for candidate in [tuple(candidate)]
        ]
        chosen, epochs, accuracy = ranking(trials)[0]
        best = dict(zip(names, cast("tuple[Any, ...]", chosen)))
        for setting, values in (("common", common), ("best", best)):
            side = where(tested[tested["init"] == init], values or {})
            if values is None or side.empty:
                continue
            (seeds,) = by_seed(side, TESTED)
            reached = spread(seeds.of(ACCURACY), seeds.mean(SAMPLES), PERCENT, PERCENT)
            numbers = {name: getattr(reached, name) for name in STATISTICS}
            found = Side(init, setting, values, side, network, pd.Series(numbers, dtype=object))
            if setting == "best":
                chosen_by = {t.seed for t in trials if (t.candidate, t.epochs) == (chosen, epochs)}
                found = found._replace(
                    validated=PERCENT * accuracy, tuned=len(chosen_by), good=_good(of, best)
                )
            yield found


def _common(
    tested: pd.DataFrame, names: Sequence[str], inits: Sequence[str]
) -> dict[str, Any] | None:
    """The values of `names` that all of the initial states were tested with, the most seeds of all
    if there are several.
    """
    shared = [
        (group.groupby("init")["seed"].nunique().min(), values)
        for values, group in tested.groupby(list(names), dropna=False)
        if set(inits) <= set(group["init"])
    ]
    if not shared:
        return None
    return dict(zip(names, max(shared, key=lambda pair: pair[0])[1]))


def _good(of: pd.DataFrame, best: Mapping[str, Any]) -> tuple[float, float]:
    """Of the shortest training, with the other values as in the `best`."""
    short = where(of, {key: value for key, value in best.items() if key != STEP})
    short = short[short["trainer.epochs"] == of["trainer.epochs"].min()]
    return good_range(short.groupby(STEP)[VALID].mean().to_dict())


def difference(side: Side, sides: Sequence[Side]) -> dict[str, Any]:
    """`difference` to the baseline in the same setting, whose own best values may be others, with
    its interval `from`, `to` over `pairs` and its `verdict`; nothing without pairs.
    """
    for other in sides:
        if (other.setting, other.init) != (side.setting, BASELINE) or side.init == BASELINE:
            continue
        if found := compare(side.runs, other.runs):
            n, mean, _, low, high, p, *_ = found.difference
            word = verdict(mean, p)
            return {"difference": mean, "from": low, "to": high, "pairs": n, "verdict": word}
    return {}
