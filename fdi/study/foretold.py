"""What the verdict of the probe on random networks is worth."""

from __future__ import annotations

import numpy as np
import pandas as pd

from fdi.analysis.formats import number
from fdi.analysis.zoo import inits

SCORES = {"no": 0, "not known": 1, "doubtful": 1, "yes": 2}
"""What the probe expects, in the order of hope; before 0.3 it said doubtful and yes, too."""


def verdicts(members: pd.DataFrame) -> pd.DataFrame:
    """For each initial state, kind and verdict how many learn at the default step and at the best,
    and the area under the curve: the probability that of two runs of which one learns the verdict
    prefers it.
    """
    rows = []
    known = judged(members)
    states = [(f"from {init}", known[known["init"] == init]) for init in inits(known)]
    for kind, of in [("all", known), *states, *known.groupby("kind")]:
        row = {"networks": kind}
        for word in filter({*known["expected"]}.__contains__, reversed(SCORES)):
            those = of[of["expected"] == word]["learns"]
            row[f"expected: {word}"] = f"{those.sum()} of {len(those)} learn" if len(those) else "-"
        rows.append(row | {"area under the curve": number(area(of), ".2f")})
    return pd.DataFrame(rows)


def judged(members: pd.DataFrame) -> pd.DataFrame:
    """The rows with a verdict."""
    return members[members["expected"].isin(SCORES)] if len(members) else members


def area(known: pd.DataFrame) -> float:
    """Area under the ROC curve of the verdict; NaN where all learn or none."""
    from scipy.stats import mannwhitneyu

    scores = known["expected"].map(SCORES)
    good, bad = scores[known["learns"]], scores[~known["learns"]]
    if good.empty or bad.empty:
        return np.nan
    return float(mannwhitneyu(good, bad).statistic / (len(good) * len(bad)))
