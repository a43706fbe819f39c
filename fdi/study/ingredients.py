"""What of the idea carries the effect: what ingredients.yaml, written before they were trained,
says of trainings from weights that differ in one thing.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from fdi.analysis.choice import STEP
from fdi.analysis.collect import ACCURACY
from fdi.analysis.results import own
from fdi.analysis.statistics import LEVEL, PERCENT, Comparison, resampled
from fdi.figures.words import several
from fdi.study import longer

DESIGN: dict[str, Any] = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text())
NAME = "ingredients"  # .csv in results/reference
NETWORK = ["zoo", "network"]
KEY = [*NETWORK, "arm", STEP, "seed"]
ARMS: dict[str, dict[str, str]] = DESIGN["arms"]
PAIRS = [(arm, of["beside"]) for arm, of in ARMS.items() if "beside" in of]
OF_THE_STATE = ("init", STEP, "seed")
TRAININGS = len(DESIGN["steps"]) * (len(DESIGN["seeds"]) + len(DESIGN["choose"]))  # of an arm


def commands(members: pd.DataFrame, known: pd.DataFrame) -> Iterator[str]:
    """What trains the networks from each arm that is not in the measurements `known`, results below
    a folder of their own.
    """
    there = longer.complete(known, KEY[:3], TRAININGS)
    places = longer.drawn(members)[: DESIGN["networks"]]
    usual = members[(members["init"] == "lsuv") & (members["setting"] == "common")]
    usual = usual.set_index(NETWORK)
    seeds = ",".join(map(str, DESIGN["seeds"] + DESIGN["choose"]))
    for place in places:
        network = usual.loc[place]
        steps = ",".join(f"{network[STEP] * times:g}" for times in DESIGN["steps"])
        program, many, *words = str(network["command"]).split()
        kept = [word for word in words if word.partition("=")[0] not in OF_THE_STATE]
        for at, (arm, of) in enumerate(ARMS.items()):
            if (*place, arm) in there:
                continue
            added = [of["words"], f"optimizer.lr={steps}", f"seed={seeds}"]
            where = f"paths.results={'-'.join(map(str, place))}/{at}"
            yield " ".join([program, many, "--config-dir", "OWN", *kept, *added, where])


def trained(folder: Path) -> pd.DataFrame:
    """A row for each network, arm, step size and seed that was trained in a folder: accuracy on
    validation and, of seeds that do not choose, on the test set.
    """
    rows = []
    for place in sorted(folder.glob("*-*")):
        seed, network = map(int, place.name.split("-"))
        for at, arm in enumerate(ARMS):
            if (place / str(at)).is_dir():
                runs = own(place / str(at)).runs
                chooses = runs["seed"].isin(DESIGN["choose"])
                known = runs.assign(
                    zoo=seed,
                    network=network,
                    arm=arm,
                    validated=runs["valid_accuracy_last"],
                    accuracy=runs[ACCURACY].mask(chooses),
                )
                rows.append(known[known["state"].isin(("done", "failed", "refused"))])
    columns = [*KEY, "state", "validated", "accuracy", "classes", "id", "path"]
    return pd.concat(rows, ignore_index=True)[columns]


def by_network(table: pd.DataFrame) -> pd.DataFrame:
    """Mean test accuracy (%) of the networks that have all trainings, a column for each arm, at the
    step that validation chose for it. What failed has the accuracy of guessing.
    """
    guess = 1 / table.groupby(NETWORK)["classes"].transform("max")
    known = table.assign(
        validated=table["validated"].fillna(guess), accuracy=table["accuracy"].fillna(guess)
    )
    of = [*NETWORK, "arm"]
    chooses = known["seed"].isin(DESIGN["choose"])
    validated = known[chooses].groupby([*of, STEP])["validated"].mean()
    reached = known[~chooses].groupby([*of, STEP])["accuracy"].mean()
    best = validated.groupby(of).idxmax()  # of equal ones the first, which is the smallest
    chosen = reached.loc[best].droplevel(STEP).unstack("arm").reindex(columns=[*ARMS])
    there = known.groupby(of).size().unstack("arm").reindex(columns=[*ARMS])
    return PERCENT * chosen[(there == TRAININGS).all(axis=1)]


def differences(table: pd.DataFrame) -> dict[tuple[str, str], Comparison]:
    """(arm, that beside which it stands) -> their difference in points, by Holm's method."""
    wide = by_network(table)
    columns = [wide[arm] - wide[other] for arm, other in PAIRS]
    return dict(zip(PAIRS, resampled(np.transpose(columns))))


def answer(table: pd.DataFrame) -> str:
    """Which part carries the effect; how many networks are trained where not all are."""
    count = len(by_network(table)) if len(table) else 0
    if count < DESIGN["networks"]:
        return f"{count} of the {DESIGN['networks']} networks that tell are trained."
    found = differences(table).items()
    parts = {ARMS[arm]["part"] for (arm, _), of in found if of.p < LEVEL and of.mean < 0}
    verdict = "weights" if "weights" in parts else "scale" if parts else "neither"
    return str(DESIGN["words"][verdict].format(told=told(table)))


def told(table: pd.DataFrame) -> str:
    """Which changes reach decidedly less, or more, and of how many no difference is decided."""
    reached: dict[str, list[str]] = {"less": [], "more": []}
    for (arm, _), found in differences(table).items():
        if found.p < LEVEL:
            word = "less" if found.mean < 0 else "more"
            reached[word].append(f"{arm} ({found.mean:+.1f} points)")
    said = [
        f"{several(arms)} {'reach' if len(arms) > 1 else 'reaches'} {word}"
        for word, arms in reached.items()
        if arms
    ]
    rest = len(PAIRS) - sum(map(len, reached.values()))
    said += [f"of {rest} other changes no difference is decided"] if rest else []
    return f"{'; '.join(said)} (n = {len(by_network(table))})."


def drawn_by_all(table: pd.DataFrame) -> pd.DataFrame:
    """The trainings of the networks that every arm could be drawn for."""
    refused = (table["state"] == "refused").groupby([table[key] for key in NETWORK])
    return table[~refused.transform("any")]
