"""Speed: one training step in fdi and in other libraries, from the benchmark."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import cycle
from textwrap import fill

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter

from fdi.analysis.collect import Page, Pages
from fdi.analysis.results import Results
from fdi.figures import sheet, style, words
from fdi.study import looks

PLACE, TITLE = 19, "Speed"
ABOUT = "time of a training step (forward, loss, backward, optimizer) of fdi and of other libraries"
NEEDS = "a benchmark"
COMMAND = "make bench"
SIZE = (style.COLUMN, 0.26)
OWN = "fdi"
OURS = {OWN: style.color("fluct"), "reference": looks.SEQUENCE[0]}
NAMES = {"stork": "stork, the library of the paper's authors", OWN: "fdi, with the time of a step"}
ROOM = 6  # times the highest ratio: for the times beside the dots
MARKERS = ("s", "^", "v", "D", "P", "X")
LABEL = 50  # characters of a line of the label of a workload
TIED = "\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}"


def data(results: Results) -> Pages:
    """The table of scripts/bench.py."""
    table = results.csv("bench")
    return {} if table.empty else {"": (bench_page(table), None)}


def bench_page(table: pd.DataFrame) -> pd.DataFrame:
    """A table of scripts/bench.py with a line that says what was measured, and where."""
    where = pd.Series(
        [f"{row.machine}, {row.threads} threads, torch {row.torch}" for row in table.itertuples()],
        table.index,
    )
    parts = [
        place if where.nunique() == 1 else f"{', '.join(rows['workload'].unique())}: {place}"
        for place, rows in table.groupby(where, sort=False)
    ]
    return table.assign(source=f"bench.csv, {'; '.join(parts)}")


def panels(page: Page) -> list[list[str]]:
    """One panel for all workloads, so that they are read on one scale."""
    return [["speed"]] * page["workload"].nunique()


def draw(page: Page, axes: Mapping[str, Axes]) -> None:
    """A row for each workload and a dot for each library: how many times as fast it is as the one
    it is compared with, with the quartiles over the rounds.
    """
    panel = axes["speed"]
    names = list(page.groupby("library")["ratio"].median().sort_values(ascending=False).index)
    machines = page.groupby("about", sort=False)["machine"].first()
    abouts = sorted(machines.index, key=lambda about: [*machines.unique()].index(machines[about]))
    others = zip(cycle(style.OTHER_COLORS), cycle(MARKERS))
    handles = []
    for name in names:
        rows = page[page["library"] == name]
        color, marker = (OURS[name], "o") if name in OURS else next(others)
        spread = [rows["ratio"] - rows["ratio_low"], rows["ratio_high"] - rows["ratio"]]
        look: style.Look = {"color": color, "marker": marker, "markersize": 4, "linestyle": ""}
        panel.errorbar(
            rows["ratio"],
            rows["about"].map(abouts.index),
            xerr=np.clip(spread, 0, None),
            capsize=2,
            elinewidth=0.8,
            **look,
        )
        handles.append(Line2D([], [], **look, label=NAMES.get(name, name)))
    if "median_ms" in page:
        _times(panel, page, abouts)
    _machines(panel, [machines[about] for about in abouts])
    panel.axvline(1, color=style.GREY, linewidth=0.7, linestyle=":", zorder=0)
    panel.set_xscale("log")
    panel.set_xlim(page["ratio"].min() / 1.5, page["ratio"].max() * ROOM)
    panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    panel.set_yticks(
        range(len(abouts)), [fill(about.replace(" = ", TIED), LABEL) for about in abouts]
    )
    panel.set_ylim(len(abouts) - 0.5, -0.5)
    panel.tick_params(axis="y", length=0)
    base = " or ".join(page["relative_to"].unique())
    panel.set_xlabel(f"times as fast as {base}")
    rounds = f"median and quartiles of {words.ends(page['rounds'])} rounds"
    title = f"training step relative to {NAMES.get(base, base)}: {rounds}"
    sheet.above(panel.figure, handles, _finding(page, base), title)


def _finding(page: Page, base: str) -> str:
    """How many times as fast fdi is, over all workloads."""
    ours = page.loc[page["library"] == OWN, "ratio"]
    if ours.empty:
        return "How long does a training step take?"
    low, high = (f"{ratio:.2g}" for ratio in (ours.min(), ours.max()))
    span = low if low == high else f"{low} to {high}"
    return f"A training step of fdi is {span} times as fast as one of {base}"


def _machines(panel: Axes, machines: list[str]) -> None:
    """A line between the workloads of two machines, with the name of each below its first one."""
    if len(set(machines)) == 1:
        return
    for place, machine in enumerate(machines):
        if place and machine == machines[place - 1]:
            continue
        if place:
            panel.axhline(place - 0.5, color="black", linewidth=0.6)
        where = panel.get_yaxis_transform()
        name = machine.partition(",")[0]
        panel.text(0.01, place - 0.44, name, fontsize=5.5, color="0.4", va="top", transform=where)


def _times(panel: Axes, page: Page, abouts: list[str]) -> None:
    """The milliseconds of fdi beside its dot."""
    ours = page[page["library"] == OWN]
    for about, ratio, milliseconds in zip(ours["about"], ours["ratio"], ours["median_ms"]):
        panel.annotate(
            f"{milliseconds:,.0f} ms" if milliseconds >= 100 else f"{milliseconds:.3g} ms",
            (ratio, abouts.index(about)),
            (5, 0),
            textcoords="offset points",
            va="center",
            fontsize=6,
        )
