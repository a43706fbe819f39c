"""The tables of the experiments on random networks that were written down before they were run."""

from __future__ import annotations

import pandas as pd

from fdi.analysis import zoo
from fdi.analysis.results import Results
from fdi.analysis.statistics import PERCENT
from fdi.figures import words
from fdi.study import confirmed, ingredients, longer
from pages.headline import datasets, parts
from pages.tables import difference, markdown, unmeasured, with_interval


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
        row = {"weights": _pair(own, other)}
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


def lasting(measured: Results) -> str:
    """Whether the lead outlasts a long training."""
    return f"{longer.answer(measured.csv(longer.NAME))}\n"


def outlasting(measured: Results) -> str:
    """Whether the lead outlasts a long training, and the pairs after each number of updates."""
    table = measured.csv(longer.NAME)
    rows: dict[tuple[str, str], dict[str, str]] = {}
    means = longer.by_network(table).mean() if len(table) else None
    for (own, other, updates), found in longer.leads(table).items() if len(table) else ():
        row = rows.setdefault((own, other), {"weights": _pair(own, other)})
        reached = f"{means[updates, own]:.1f} against {means[updates, other]:.1f}"
        row[f"after {updates:,} updates"] = f"{reached}: {difference(found)}"
    shown = f"\n{markdown(pd.DataFrame([*rows.values()]))}" if rows else ""
    return f"{lasting(measured)}{shown}"


def carried(measured: Results) -> str:
    """What carries the effect."""
    return f"{ingredients.answer(measured.csv(ingredients.NAME))}\n"


def carrying(measured: Results) -> str:
    """Each change of the weights beside what it changes, as far as networks are trained."""
    table = measured.csv(ingredients.NAME)
    if table.empty or not len(wide := ingredients.by_network(table)):
        return carried(measured)
    found, means = ingredients.differences(table), wide.mean()
    rows = [
        {
            "weights": arm,
            "beside": other,
            "accuracy (%)": f"{means[arm]:.1f} against {means[other]:.1f}",
            "points": difference(found[arm, other]),
        }
        for arm, other in ingredients.PAIRS
    ]
    refused = table[table["state"] == "refused"]
    if refused.empty:
        return markdown(pd.DataFrame(rows))
    arms = words.several(list(refused["arm"].unique()))
    rest = ingredients.told(ingredients.drawn_by_all(table))
    said = f"Weights that cannot be drawn ({len(refused)} of {len(table)} trainings, of {arms}) "
    said += f"count as guessing. Over the networks that all can be drawn for: {rest}"
    return f"{markdown(pd.DataFrame(rows))}\n{said}\n"


def _pair(own: str, other: str) -> str:
    return f"{words.init(own)} against {words.init(other)}"
