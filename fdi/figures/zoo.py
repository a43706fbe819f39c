"""Random networks: how many learn from each initial state."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from fdi.analysis.choice import STEP
from fdi.analysis.conditions import BASELINE
from fdi.analysis.results import Results
from fdi.analysis.statistics import LEVEL, PERCENT
from fdi.analysis.zoo import SETTINGS, decided, inits, members, wilson
from fdi.figures import marks, sheet, style, words

PLACE, TITLE = 0.6, "Random networks"
ABOUT = "how many random networks learn from each initial state"
NEEDS = "runs of experiment=zoo"
COMMAND = "fdi-run -m experiment=zoo"
SIZE = (style.COLUMN, 1.9)
APART = 0.18  # between the two settings of a row
INK = "0.25"
MARK: style.Look = {"marker": "o", "markersize": 4, "elinewidth": 1, "clip_on": False}
BESIDE: style.Look = {"textcoords": "offset points", "fontsize": 5, "va": "center"}


def data(results: Results) -> dict[str, pd.DataFrame]:
    """One page: a row for each init and setting: place, k `of` so many networks that learn,
    share, low, high (%), finding, title, source.
    """
    table = members(results)
    if table.empty:
        return {}
    rows = [
        {"init": init, "place": place, "setting": setting}
        | dict(zip(("k", "of", "low", "high"), wilson(of["learns"])))
        for place, init in enumerate(inits(table))
        for setting in SETTINGS
        if not (of := table[(table["init"] == init) & (table["setting"] == setting)]).empty
    ]
    networks = table.drop_duplicates(["zoo", "network"])
    kinds = networks["kind"].replace("dale", "Dale").value_counts()
    drawn = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
    of = dict([*table.groupby("setting")])
    steps = [words.between(of[key][STEP], name) for key, name in SETTINGS.items() if key in of]
    return {
        "": pd.DataFrame(rows).assign(
            share=lambda shares: PERCENT * shares["k"] / shares["of"],
            finding=_finding(table),
            title=f"{drawn} networks; {', '.join(steps)}",
            note="marks: share and 95 % interval, each network by the mean of its runs",
            source=table["source"].iloc[0] if "source" in table else "own runs",
        )
    }


def _finding(table: pd.DataFrame) -> str:
    """In how many networks fluct learns and the baseline does not, and the other way round."""
    if not {"fluct", BASELINE} <= {*table["init"]}:
        return TITLE
    said = []
    for setting, title in SETTINGS.items():
        mine, other, p = decided(table, setting)["fluct", BASELINE]
        said.append(f"{mine} and {other} ({title}{'' if p < LEVEL else ', undecided'})")
    sides = f"{words.init('fluct')} weights alone and from {words.init(BASELINE)} weights alone"
    return f"Networks that learn from {sides}: {', '.join(said)}"


def panels(page: pd.DataFrame) -> list[list[str]]:
    """The only one."""
    return [["learn"]]


def draw(page: pd.DataFrame, axes: Mapping[str, Axes]) -> None:
    """A row for each initial state; open at the default step, full at the best."""
    panel = axes["learn"]
    for _, row in page.iterrows():
        best, color = row["setting"] == "best", style.color(row["init"])
        height = row["place"] + (APART if best else -APART)
        look = MARK | {"color": color, "markerfacecolor": color if best else "white"}
        marks.across(panel, row["share"], (row["low"], row["high"]), height, look)
        place = (min(row["high"], 100), height)
        panel.annotate(f"{row['k']}/{row['of']}", place, xytext=(3, 0), **BESIDE)
    marks.named_rows(panel, page.drop_duplicates("place")["init"].map(words.init).tolist())
    panel.set_xlim(0, 112)
    panel.set_xticks(range(0, 101, 25))
    panel.set_xlabel("share of networks that learn (%)")
    handles = [
        Line2D([], [], marker="o", linestyle="", color=INK, markerfacecolor=face, label=title)
        for face, title in zip(("white", INK), SETTINGS.values())
    ]
    first = page.iloc[0]
    sheet.above(panel.figure, handles, first["finding"], first["title"])
