"""The confirmatory experiment on random networks: what confirmed.yaml, written before they were
drawn, says of their runs.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from fdi.analysis import zoo
from fdi.analysis.results import Results
from fdi.analysis.statistics import LEVEL, PERCENT, Comparison, resampled

DESIGN: dict[str, Any] = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text())
PAIRS: list[zoo.Pair] = [tuple(pair) for pair in DESIGN["pairs"]]
PLACE = "confirmed"  # the folder in results/reference
RATIO = "weight_rms"


def measured_members(measured: Results) -> pd.DataFrame:
    """The `members` of the experiment that are measured; none where nothing is."""
    table = zoo.members(_its(measured))
    return table if table.empty else table[table["zoo"] == DESIGN["seed"]]


def measured_states(measured: Results) -> pd.DataFrame:
    """The initial states of these networks: a row per network, init and hidden population."""
    return _its(measured).csv("zoo_states")


def _its(measured: Results) -> Results:
    return Results(pd.DataFrame(), None, None, measured.folder / PLACE)


def is_complete(members: pd.DataFrame) -> bool:
    """Whether all networks and all arms are there, without which nothing is judged."""
    if members.empty:
        return False
    settings = [*zoo.SETTINGS]
    there = members.groupby("network")["setting"].value_counts().unstack().reindex(columns=settings)
    free = members[~members["kind"].str.startswith("dale")].groupby("network")["init"].nunique()
    return (
        len(there) == DESIGN["networks"]
        and bool(there.notna().all(axis=None))
        and {*free} == {len(DESIGN["arms"])}
    )


def judge(members: pd.DataFrame) -> dict[tuple[str, str, str], tuple[Comparison, str]]:
    """(arm, other, setting) -> their difference in points and the verdict."""
    return {key: (lead, word(lead)) for key, lead in zoo.leads(members, PAIRS).items()}


def word(difference: Comparison) -> str:
    """better, worse, equal or undecided, as the design defines them."""
    margin = DESIGN["margin"]
    if -margin < difference.low and difference.high < margin:
        return "equal"
    if not difference.p < LEVEL:
        return "undecided"
    return "better" if difference.mean > 0 else "worse"


def interval_in_words(difference: Comparison) -> str:
    """As in +14.5 (+9.2 to +20.1)."""
    return f"{difference.mean:+.1f} ({difference.low:+.1f} to {difference.high:+.1f})"


def starting_state(members: pd.DataFrame) -> str:
    """The initialization to start from."""
    judged, shared = judge(members), zoo.common(members)
    best = shared[shared["setting"] == "best"].groupby("init")["accuracy"].mean()
    today = DESIGN["start"]["today"]

    def says(state: str, setting: str) -> str:
        if (state, today, setting) in judged:
            return judged[state, today, setting][1]
        other = {"better": "worse", "worse": "better"}
        verdict = judged[today, state, setting][1]
        return other.get(verdict, verdict)

    ahead = [
        state
        for state in DESIGN["start"]["others"]
        if says(state, "best") == "better" and says(state, "common") != "worse"
    ]
    return max(ahead, key=best.__getitem__, default=today)


def answer(members: pd.DataFrame) -> str:
    """How the README begins; what is missing where not all networks are there."""
    if not is_complete(members):
        count = members["network"].nunique() if len(members) else 0
        return (
            f"The experiment that decides is [written down](fdi/study/confirmed.yaml): {count} of "
            f"its {DESIGN['networks']} networks are trained, and it is judged when all are."
        )
    judged = judge(members)
    lead, word_of_lead = judged["fluct", "kaiming", "best"]
    why, word_of_why = judged["fluct", "kaiming_scaled", "best"]
    values = {"n": lead.n, "margin": DESIGN["margin"]}
    return " ".join(
        [
            DESIGN["lead"][word_of_lead].format(told=interval_in_words(lead), **values),
            DESIGN["why"][word_of_why].format(told=interval_in_words(why), **values),
            DESIGN["start"]["words"].format(state=starting_state(members)),
        ]
    )


def spread_ratios(states: pd.DataFrame) -> pd.Series:
    """Spread of fluct's weights over that of kaiming_scaled's, by network: the geometric mean over
    hidden layers.
    """
    wide = states.pivot(index=["network", "population"], columns="init", values=RATIO)
    logs = np.log(wide["fluct"] / wide["kaiming_scaled"])
    return np.exp(logs.groupby("network").mean())


def by_ratio(members: pd.DataFrame, states: pd.DataFrame) -> Iterator[tuple[str, Comparison]]:
    """fluct minus kaiming_scaled, each at its best, with plain 95 % intervals, in the strata of the
    ratio of their weights.
    """
    shared = zoo.common(members)
    wide = shared[shared["setting"] == "best"].pivot(
        index="network", columns="init", values="accuracy"
    )
    difference = PERCENT * (wide["fluct"] - wide["kaiming_scaled"])
    low, high = DESIGN["ratios"]
    ratio = spread_ratios(states).reindex(difference.index)
    for title, chosen in {
        f"weights smaller than by {low:g}": ratio < low,
        "weights alike": (low <= ratio) & (ratio <= high),
        f"weights larger than by {high:g}": ratio > high,
    }.items():
        yield title, resampled(difference[chosen].to_numpy()[:, None])[0]
