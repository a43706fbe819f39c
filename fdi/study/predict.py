"""Which quantity of the initial state predicts which networks learn, and what the verdict of the
probe on random networks is worth.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import mannwhitneyu, spearmanr

from fdi.analysis.collect import Runs
from fdi.analysis.derived import guesses, unbounded, with_layers
from fdi.analysis.formats import number
from fdi.analysis.results import Results
from fdi.analysis.statistics import summary
from fdi.analysis.zoo import inits
from fdi.study.circumstances import constant_rate, plain_networks
from fdi.study.initial_states import ratios

NETWORK = ["dataset", "model", "layers", "trainer.epochs", "bounds"]
"""What runs of one network share. They differ in initialization, seed and optimizer."""
LEAST = 1e-30  # stands for 0 on a logarithmic scale
FEWEST = 3  # runs that learn, and runs that do not, of a network that counts
SEVERAL = 8  # runs of a network whose rank correlation counts

Layers = Any  # populations grouped by run
QUANTITIES: dict[str, Callable[[Layers], pd.Series]] = {
    "smallest sigma_U of a layer": lambda layers: layers["free_sigma"].min(),
    "sigma_U of all layers near 1 (ratio to 1, worst layer)": lambda layers: (
        -np.abs(np.log(layers.obj["free_sigma"].clip(lower=LEAST)))
        .groupby(layers.obj["path"])
        .max()
    ),
    "rate of the last layer": lambda layers: layers["rate"].last(),
    "equal rates in the first and the last layer (their ratio)": lambda layers: (
        -np.abs(
            np.log(layers["rate"].last().clip(lower=LEAST))
            - np.log(layers["rate"].first().clip(lower=LEAST))
        )
    ),
    "no silent neurons (largest share in a layer)": lambda layers: -layers["silent"].max(),
    "largest gradient of a layer": lambda layers: layers["grad"].max(),
}
RATIO = "largest gradient over the effective floor"


def predictors(results: Results, bounds: bool) -> pd.DataFrame:
    """A row per quantity, for the finished runs with `bounds` on the activity or without: quantity;
    `networks`, in which at least FEWEST runs learn (better than guessing, 95 %) and as many do not;
    `auc`, the mean over these of the chance that a run that learns has more of it than one that
    does not, with its 95 % interval `low`, `high` over networks; `held_out`, the mean accuracy on
    a network of the threshold that is best on all others, over both outcomes equally; `rank`, the
    mean over `ranked` networks of at least SEVERAL runs of Spearman's correlation with the test
    accuracy.
    """
    runs, values = _table(results)
    chosen = runs[(runs["bounds"] == "bounds") == bounds]
    networks = [group for _, group in chosen.groupby(NETWORK, dropna=False)]
    both = [group for group in networks if _counts(group).min() >= FEWEST]
    several = [group for group in networks if len(group) >= SEVERAL]
    rows = []
    for name in values:
        areas = [area for group in both if np.isfinite(area := _auc(group, name))]
        n, auc, _, low, high = summary(areas)
        scores = list(_held_out(both, name))
        ranks = [rank for group in several if np.isfinite(rank := _rank(group, name))]
        rows.append(
            {
                "quantity": name,
                "networks": n,
                "auc": auc,
                "low": np.maximum(low, 0),
                "high": np.minimum(high, 1),
                "held_out": np.mean(scores) if scores else np.nan,
                "rank": np.mean(ranks) if ranks else np.nan,
                "ranked": len(ranks),
            }
        )
    return pd.DataFrame(rows)


def _table(results: Results) -> tuple[pd.DataFrame, list[str]]:
    """The finished runs with their network, `learns`, and a column for each quantity."""
    runs = constant_rate(plain_networks(results.runs[results.runs["state"] == "done"]))
    runs = runs.dropna(subset=["classes", "test_samples"])
    layers = results.layers.groupby("path")
    quantities = pd.DataFrame({name: quantity(layers) for name, quantity in QUANTITIES.items()})
    quantities[RATIO] = ratios(results)["ratio"]
    free = set(unbounded(runs)["path"])
    runs = with_layers(runs).assign(
        bounds=["no bounds" if path in free else "bounds" for path in runs["path"]],
        learns=[not guess for guess in guesses(runs)],
    )
    names = list(quantities)
    runs = runs.join(quantities, on="path")
    return runs.dropna(subset=list(QUANTITIES)), names


def _counts(group: pd.DataFrame) -> pd.Series:
    return group["learns"].value_counts().reindex([True, False], fill_value=0)


def _auc(group: pd.DataFrame, name: str) -> float:
    """Area under the curve: Mann and Whitney's U over the number of pairs; ties count half."""
    known = group.dropna(subset=[name])
    yes, no = (known.loc[known["learns"] == learns, name] for learns in (True, False))
    if not len(yes) or not len(no):
        return np.nan
    return float(mannwhitneyu(yes, no).statistic) / (len(yes) * len(no))


def _rank(group: pd.DataFrame, name: str) -> float:
    known = group.dropna(subset=[name])
    if known[name].nunique() < 2 or known["test_accuracy_last"].nunique() < 2:
        return np.nan
    return float(spearmanr(known[name], known["test_accuracy_last"]).statistic)


def _held_out(networks: list[pd.DataFrame], name: str) -> Iterator[float]:
    for i, held in enumerate(networks if len(networks) > 1 else ()):
        others = pd.concat(networks[:i] + networks[i + 1 :]).dropna(subset=[name])
        known = held.dropna(subset=[name])
        if len(others) and _counts(known).all():
            thresholds = np.unique(others[name])
            best = np.argmax(_balanced(others, name, thresholds))
            yield float(_balanced(known, name, thresholds[[best]])[0])


def _balanced(runs: Runs, name: str, thresholds: np.ndarray) -> np.ndarray:
    """For each threshold the mean of the shares of both outcomes that it gets right."""
    values, learns = runs[name].to_numpy(), runs["learns"].to_numpy(dtype=bool)
    above = values >= thresholds[:, None]
    shares = [above[:, learns].mean(axis=1)] if learns.any() else []
    shares += [(~above[:, ~learns]).mean(axis=1)] if not learns.all() else []
    return np.mean(shares, axis=0)


SCORES = {"no": 0, "not known": 1, "doubtful": 1, "yes": 2}
"""What the probe expects, in the order of hope; before 0.3 it said doubtful and yes, too."""


def learning_by_verdict(members: pd.DataFrame) -> pd.DataFrame:
    """For each initialization, kind and verdict how many learn at the default step and at the best,
    and the area under the curve: the probability that of two runs of which one learns the verdict
    prefers it.
    """
    rows = []
    known = judged(members)
    states = [(f"from {init}", known[known["init"] == init]) for init in inits(known)]
    for kind, members_of in [("all", known), *states, *known.groupby("kind")]:
        row = {"networks": kind}
        for word in filter({*known["expected"]}.__contains__, reversed(SCORES)):
            those = members_of[members_of["expected"] == word]["learns"]
            row[f"expected: {word}"] = f"{those.sum()} of {len(those)} learn" if len(those) else "-"
        rows.append(row | {"area under the curve": number(area(members_of), ".2f")})
    return pd.DataFrame(rows)


def judged(members: pd.DataFrame) -> pd.DataFrame:
    """The rows with a verdict."""
    return members[members["expected"].isin(SCORES)] if len(members) else members


def area(known: pd.DataFrame) -> float:
    """Area under the ROC curve of the verdict; NaN where all learn or none."""
    return _auc(known.assign(score=known["expected"].map(SCORES)), "score")
