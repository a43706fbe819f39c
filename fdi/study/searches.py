"""What a recipe reaches on random networks, and what it costs, beside other searches for a step:
the rows of scripts/study/recipe_zoo.py.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from fdi.analysis.choice import learning_threshold
from fdi.analysis.collect import Page, Pages
from fdi.analysis.results import Results
from fdi.analysis.statistics import PERCENT, summary
from fdi.figures import sheet, style, words

PLACE, TITLE = 9.5, "What a recipe is worth"
ABOUT = "test accuracy against the cost of a search, on random networks that nobody chose"
NEEDS = "a recipe and other searches on random networks"
COMMAND = "python scripts/study/recipe_zoo.py 61120262 30 threads=1"
SIZE = (style.COLUMN, 2.0)
CLASSES = 10  # of the networks of experiment=zoo
SEARCHES = {
    "default": "the configured step",
    "initialized": "fluct at the configured step",
    "range test, steepest": "range test, steepest loss",
    "range test, a tenth of the least": "range test, least loss / 10",
    "recipe": "recipe",
    "grid of five": "grid of five steps",
    "TPE": "Optuna, 12 trials of step and initialization",
    "best": "experiment=best: step, eps and initialization",
}
"""Column `search` -> in words."""
MARKERS = dict(zip(SEARCHES, "osv^DP*X"))


def known(table: pd.DataFrame) -> pd.DataFrame:
    """Of rows of recipe_zoo.csv those of networks that can be initialized so: Dale's law forbids
    weights of both signs.
    """
    refused = table[table["accuracy"].isna()].set_index(["start", "place"]).index
    return table[~table.set_index(["start", "place"]).index.isin(refused)]


def data(results: Results) -> Pages:
    """Page "" -> a row per initialization that networks have before, `start`, and search: cost,
    their mean, in trainings; mean, low and high of the accuracy in % with its 95 % interval over
    networks; median, of the cost; learn, of n.
    """
    table = results.csv("recipe_zoo")
    if table.empty:
        return {}
    rows = []
    for (start, search), found in known(table).groupby(["start", "search"], sort=False):
        of = summary(PERCENT * found["accuracy"])
        learn = int((found["accuracy"] >= learning_threshold(CLASSES)).sum())
        cost, median = found["cost"].mean(), found["cost"].median()
        rows.append([start, search, cost, median, of.mean, of.low, of.high, learn, of.n])
    names = ["start", "search", "cost", "median", "mean", "low", "high", "learn", "networks"]
    page = pd.DataFrame(rows, columns=names)
    best = page.loc[page["search"] == "recipe"]
    finding = f"A recipe reaches {best['mean'].min():.0f} to {best['mean'].max():.0f} % for "
    finding += f"{best['cost'].mean():.1f} trainings"
    page = page.assign(
        finding=finding,
        note="marks: mean and 95 % interval over networks",
        source=table["source"].iloc[0],
    )
    return {"": (page, None)}


def panels(page: Page) -> list[list[str]]:
    """A panel for each initialization that networks have before."""
    return [list(page["start"].unique())]


def draw(page: Page, axes: Mapping[str, Axes]) -> None:
    """Accuracy with its interval over the cost, a mark for each search."""
    handles = []
    for search, name in SEARCHES.items():
        color = "tab:blue" if search == "recipe" else "0.35"
        look: style.Look = {"marker": MARKERS[search], "color": color, "linestyle": ""}
        rows = page[page["search"] == search]
        if rows.empty:
            continue
        handles.append(sheet.legend_entry(look, name, rows["networks"]))
        for row in rows.itertuples():
            ends = [[row.mean - row.low], [row.high - row.mean]]
            axes[row.start].errorbar(row.cost, row.mean, ends, elinewidth=0.8, **look)
    ticks = 2.0 ** np.arange(np.ceil(np.log2(page["cost"].max())) + 1)
    for start, panel in axes.items():
        panel.set_title(f"before: {words.init(start)} weights")
        panel.set_xscale("log")
        panel.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        panel.minorticks_off()
        panel.set_xlabel("cost (trainings)")
        panel.set_ylim(0, 80)
    next(iter(axes.values())).set_ylabel("test accuracy (%)")
    first, figure = page.iloc[0], next(iter(axes.values())).figure
    details = f"{words.ends(page['networks'])} random networks, one training each"
    sheet.above(figure, handles, first["finding"], details)
