"""The tables of the confirmatory experiment: what it decides, and what it describes."""

from __future__ import annotations

import pandas as pd

from fdi.analysis import zoo
from fdi.analysis.results import Results
from fdi.analysis.statistics import PERCENT
from fdi.figures import words
from fdi.study import confirmed
from pages.headline import datasets, parts
from pages.tables import markdown, unmeasured, with_interval


def answered(measured: Results) -> str:
    """How the README begins."""
    return f"{confirmed.answer(confirmed.measured_members(measured))}\n"


def decided(measured: Results) -> str:
    """The pairs that were declared, at both settings: both means, their difference, its interval
    and the verdict.
    """
    members = confirmed.measured_members(measured)
    if not confirmed.is_complete(members):
        return unmeasured(confirmed.DESIGN["command"])
    judged, shared = confirmed.judge(members), zoo.common(members)
    reached = PERCENT * shared.groupby(["setting", "init"])["accuracy"].mean()
    rows = []
    for own, other in confirmed.PAIRS:
        row = {"weights": f"{words.init(own)} against {words.init(other)}"}
        for setting, title in zoo.SETTINGS.items():
            difference, verdict = judged[own, other, setting]
            means = f"{reached[setting, own]:.1f} against {reached[setting, other]:.1f}"
            row[title] = f"{means}: {with_interval(difference)}, {verdict}"
        rows.append(row)
    return markdown(pd.DataFrame(rows))


def described(measured: Results) -> str:
    """The same networks by kind and by data set, and by the ratio of the weights."""
    members = confirmed.measured_members(measured)
    if not confirmed.is_complete(members):
        return unmeasured(confirmed.DESIGN["command"])
    by_part = markdown(parts(members, members["kind"], datasets(members)))
    strata = [
        {"networks where fluctuation-driven has": title, "n": found.n, "points": difference}
        for title, found in confirmed.by_ratio(members, confirmed.measured_states(measured))
        for difference in [with_interval(found) if found.n > 1 else "-"]
    ]
    return f"{by_part}\n{markdown(pd.DataFrame(strata))}"
