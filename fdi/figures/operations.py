"""What an initialization reaches, and what the trained network costs."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from fdi.analysis.collect import ACCURACY, Page, Pages, metric_of
from fdi.analysis.conditions import groups, moments
from fdi.analysis.derived import OPERATIONS, energies, energy
from fdi.analysis.results import Results
from fdi.figures import marks, sheet, style, words
from fdi.figures.sweeps import learned

PLACE, TITLE = 10.7, "What is reached, and what it costs"
ABOUT = "test accuracy against synaptic operations and energy per sample, for each initialization"
NEEDS = "finished runs of at least two initializations"
COMMAND = "fdi-run -m init=kaiming,fluct 'seed=range(3)'"
SIZE = (style.COLUMN, 1.8)


def data(results: Results) -> Pages:
    """Page -> a row per quantity (operations; energy in nJ) and initialization: quantity, init,
    mean, low, high and n of what it is judged by, x, x_low and x_high of the quantity, dense (what
    the energy would be), metric, title.
    """
    done = results.runs[results.runs["state"] == "done"]
    known = done.dropna(subset=[OPERATIONS]) if OPERATIONS in done else done.iloc[:0]
    pages: Pages = {}
    for (dataset, model), runs in learned(known):
        if runs["init"].nunique() < 2:
            continue
        reached = moments(runs, ["init"], ACCURACY, metric_of(runs).scale)
        named = {"mean": "x", "low": "x_low", "high": "x_high"}
        parts = []
        for quantity, values in (("operations", runs[OPERATIONS]), ("energy", energy(runs))):
            cost = moments(runs.assign(of=values), ["init"], "of").drop(columns=["sd", "n"])
            part = reached.merge(cost.rename(columns=named), on="init")
            parts += [part.assign(quantity=quantity)] * bool(len(part))
        page = pd.concat(parts, ignore_index=True).assign(
            dense=energy(runs, dense=True).mean(),
            metric=metric_of(runs).title,
            title=words.trained(runs),
        )
        pages[f"{dataset}_{model}"] = page, runs
    return pages


def panels(page: Page) -> list[list[str]]:
    """Over operations and, where it is known, over energy."""
    return [[*page["quantity"].unique()]]


def draw(page: Page, axes: Mapping[str, Axes]) -> None:
    """A mark for each initialization, with its intervals both ways."""
    handles = {}
    for (quantity, init), row in groups(page, ["quantity", "init"], sort=False):
        panel, look = axes[quantity], style.init_look(init, line=False)
        marks.points(panel, row, look)
        low, high = row["x"] - row["x_low"], row["x_high"] - row["x"]
        reach = np.nan_to_num(np.clip([low, high], 0, None))
        panel.errorbar(row["x"], row["mean"], xerr=reach, color=look["color"], elinewidth=0.8)
        handles[init] = sheet.legend_entry(look, words.init(init), row["n"])
    axes["operations"].set_xlabel("synaptic operations per sample")
    axes["operations"].set_title(f"test {page['metric'].iloc[0]}")
    if "energy" in axes:
        addition, both = energies()
        axes["energy"].set_xlabel(f"estimated energy (nJ, at {addition:g} and {both:g} pJ)")
        axes["energy"].set_title(f"if dense: {page['dense'].iloc[0]:,.1f} nJ")
    for panel in axes.values():
        panel.set_xlim(0, 1.05 * panel.get_xlim()[1])
        panel.xaxis.set_major_locator(MaxNLocator(4))
        panel.xaxis.set_major_formatter("{x:,.10g}")
    sheet.head(axes, list(handles.values()), page)
