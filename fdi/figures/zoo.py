"""Random networks: how many learn from each initial state, and what the probe expected of them."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from fdi.analysis.choice import STEP
from fdi.analysis.conditions import BASELINE
from fdi.analysis.results import Results
from fdi.analysis.statistics import LEVEL, PERCENT
from fdi.analysis.zoo import SCORES, SETTINGS, area, judged, members, only, wilson
from fdi.figures import marks, sheet, style, words

PLACE, TITLE = 0.6, "Random networks"
ABOUT = "how many random networks learn from each initial state, and what the probe said before"
NEEDS = "runs of experiment=zoo"
COMMAND = "fdi-run -m experiment=zoo"
SIZE = (style.COLUMN, 1.9)
PANELS = {"init": "learn, by initial state", "expected": "learn, by what the probe expected"}
APART = 0.18  # between the two settings of a row
INK = "0.25"
MARK: style.Look = {"marker": "o", "markersize": 4, "elinewidth": 1, "clip_on": False}
BESIDE: style.Look = {"textcoords": "offset points", "fontsize": 5, "va": "center"}


def data(results: Results) -> dict[str, pd.DataFrame]:
    """One page: a row for each panel, label and setting: place, k `of` so many networks that learn,
    share, low, high (%), finding, title, source.
    """
    table = members(results)
    if table.empty:
        return {}
    inits = sorted(table["init"].unique(), key=lambda init: (init != BASELINE, init))
    words_of = list(reversed(SCORES))
    rows = [
        {"panel": panel, "label": value, "place": place, "setting": setting}
        | dict(zip(("k", "of", "low", "high"), wilson(of["learns"])))
        for panel, values in (("init", inits), ("expected", words_of))
        for place, value in enumerate(values)
        for setting in SETTINGS
        if not (of := table[(table[panel] == value) & (table["setting"] == setting)]).empty
    ]
    networks = table.drop_duplicates(["zoo", "network"])
    kinds = networks["kind"].replace("dale", "Dale").value_counts()
    drawn = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
    curve = area(judged(table))
    of = dict([*table.groupby("setting")])
    steps = [words.between(of[key][STEP], name) for key, name in SETTINGS.items() if key in of]
    verdict = (
        "" if pd.isna(curve) else f"; what the probe expected: area under its ROC curve {curve:.2f}"
    )
    return {
        "": pd.DataFrame(rows).assign(
            share=lambda shares: PERCENT * shares["k"] / shares["of"],
            finding=_finding(table),
            title=f"{drawn} networks; {', '.join(steps)}",
            note=f"marks: share and 95 % interval, one run of each network{verdict}",
            source=table["source"].iloc[0] if "source" in table else "own runs",
        )
    }


def _finding(table: pd.DataFrame) -> str:
    """In how many networks fluct learns and the baseline does not, and the other way round."""
    if not {"fluct", BASELINE} <= {*table["init"]}:
        return TITLE
    said = []
    for setting, title in SETTINGS.items():
        mine, other, p = only(table, "fluct", setting)
        said.append(f"{mine} and {other} ({title}{'' if p < LEVEL else ', undecided'})")
    sides = f"{words.init('fluct')} weights alone and from {words.init(BASELINE)} weights alone"
    return f"Networks that learn from {sides}: {', '.join(said)}"


def panels(page: pd.DataFrame) -> list[list[str]]:
    """The two beside each other."""
    return [list(PANELS)]


def draw(page: pd.DataFrame, axes: Mapping[str, Axes]) -> None:
    """A row for each initial state and verdict; open at the default step, full at the best."""
    for name, title in PANELS.items():
        panel, of = axes[name], page[page["panel"] == name]
        for _, row in of.iterrows():
            best = row["setting"] == "best"
            color = style.color(row["label"]) if name == "init" else INK
            height = row["place"] + (APART if best else -APART)
            look = MARK | {"color": color, "markerfacecolor": color if best else "white"}
            marks.across(panel, row["share"], (row["low"], row["high"]), height, look)
            place = (min(row["high"], 100), height)
            panel.annotate(f"{row['k']}/{row['of']}", place, xytext=(3, 0), **BESIDE)
        first = of.drop_duplicates("place").set_index("place")["label"]
        shown = first.map(words.init) if name == "init" else first
        marks.named_rows(panel, shown.reindex(range(first.index.max() + 1), fill_value=""))
        panel.set_xlim(0, 112)
        panel.set_xticks(range(0, 101, 25))
        panel.set_title(title)
        panel.set_xlabel("share of networks (%)")
    handles = [
        Line2D([], [], marker="o", linestyle="", color=INK, markerfacecolor=face, label=title)
        for face, title in zip(("white", INK), SETTINGS.values())
    ]
    first, figure = page.iloc[0], axes["init"].figure
    sheet.above(figure, handles, first["finding"], first["title"])
