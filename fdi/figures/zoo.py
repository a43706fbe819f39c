"""Random networks: what they reach from each initialization."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes

from fdi.analysis.choice import STEP
from fdi.analysis.collect import Pages
from fdi.analysis.conditions import BASELINE
from fdi.analysis.results import Results
from fdi.analysis.statistics import LEVEL, PERCENT, Comparison
from fdi.analysis.zoo import SETTINGS, common, inits, leads, members, runs_of
from fdi.figures import marks, sheet, style, words

PLACE, TITLE = 0.5, "Random networks"
ABOUT = "what random networks reach from each initialization"
NEEDS = "runs of experiment=zoo"
COMMAND = "fdi-run -m experiment=zoo"
SIZE = (style.COLUMN, 1.9)


def data(results: Results) -> Pages:
    """One page, of the networks that all initializations can be drawn for: a row for each init and
    setting: place, mean accuracy (%), `low` and `high`, where the baseline and the interval of the
    lead over it end, `text`: how many networks learn, finding, title.
    """
    table = members(results)
    if table.empty:
        return {}
    shared, ahead = common(table), leads(table)
    rows = []
    for place, init in enumerate(inits(shared)):
        for setting in SETTINGS:
            arm = shared[(shared["init"] == init) & (shared["setting"] == setting)]
            if arm.empty:
                continue
            mean, lead = PERCENT * arm["accuracy"].mean(), ahead.get((init, BASELINE, setting))
            row = {"init": init, "place": place, "setting": setting, "mean": mean}
            row |= {"text": f"{arm['learns'].sum()}/{len(arm)}", "low": mean, "high": mean}
            if lead:
                row |= {
                    "low": mean - lead.mean + lead.low,
                    "high": mean - lead.mean + lead.high,
                }
            rows.append(row)
    networks = shared.drop_duplicates(["zoo", "network"])
    kinds = networks["kind"].replace("dale", "Dale").value_counts()
    drawn = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
    arms = dict([*shared.groupby("setting")])
    steps = [words.between(arms[key][STEP], name) for key, name in SETTINGS.items() if key in arms]
    page = pd.DataFrame(rows).assign(
        finding=_finding(ahead),
        title=f"{len(networks)} random networks ({drawn}); {', '.join(steps)}",
        note=f"marks: mean over networks; lines: 95 % interval of the difference to "
        f"{words.init(BASELINE)} weights; numbers: networks that learn",
    )
    if "source" in table:  # published without its runs
        return {"": (page.assign(source=table["source"].iloc[0]), None)}
    return {"": (page, runs_of(shared, results))}


def _finding(ahead: Mapping[tuple[str, str, str], Comparison]) -> str:
    """The lead of fluct over the baseline, at each setting."""
    said = [
        f"{found.mean:+.1f} points ({title}{'' if found.p < LEVEL else ', undecided'})"
        for setting, title in SETTINGS.items()
        if (found := ahead.get(("fluct", BASELINE, setting)))
    ]
    sides = f"{words.init('fluct').capitalize()} minus {words.init(BASELINE)}"
    return f"{sides}: {', '.join(said)}" if said else ""


def panels(page: pd.DataFrame) -> list[list[str]]:
    """The only one."""
    return [["learn"]]


def draw(page: pd.DataFrame, axes: Mapping[str, Axes]) -> None:
    """A row for each initialization, beside its marks in how many networks it learns."""
    panel = axes["learn"]
    marks.setting_marks(panel, page)
    marks.named_rows(panel, page.drop_duplicates("place")["init"].map(words.init).tolist())
    panel.set_xlim(0, 112)
    panel.set_xticks(range(0, 101, 25))
    panel.set_xlabel("mean test accuracy (%)")
    first = page.iloc[0]
    sheet.above(panel.figure, marks.of_settings(), first["finding"], first["title"])
