"""The initial states of each network at a common step size, and each at its best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from fdi.analysis.best import DECIDED, Side, difference, networks
from fdi.analysis.conditions import BASELINE
from fdi.analysis.results import Results
from fdi.analysis.statistics import PERCENT
from fdi.figures import marks, sheet, style, words
from fdi.figures.sweeps import source

PLACE, TITLE = 0.5, "Each initial state at its best"
ABOUT = "test accuracy of each initial state at a common step size, and each at its best one"
NEEDS = "runs of experiment=best"
COMMAND = "fdi-run -m experiment=best"
SIZE = (2 * style.COLUMN, 1.2)
PANELS = {"common": "all at the same step size", "best": "each at its best"}
MEAN: style.Look = {"marker": "|", "markersize": 8, "elinewidth": 1.2}
ROW = 0.8  # of the distance between networks, that the initial states of one take
TALL = 5.0  # rows in a panel of this many inches / ROW


def data(results: Results) -> dict[str, pd.DataFrame]:
    """One page: a row for each network, initial state, setting and seed: network (as text), place,
    init, setting, seed, accuracy (%), n, mean, low, high, chance, `lead` over the baseline where it
    is decided, finding, title, source.
    """
    every = [*networks(results)]
    if not every:
        return {}
    sides = [side for network in every for side in network]
    rows = [row for network in every for side in network for row in _points(side, network)]
    table = pd.DataFrame(rows)
    order = table.drop_duplicates("network")["network"].tolist()
    table["place"] = table["network"].map(order.index)
    seeds = words.over(table["n"], "dots: seeds; line: 95 % interval of the mean,")
    steps = "step and floor chosen on validation with other seeds"
    runs = pd.concat([side.runs for side in sides])
    return {
        "": table.assign(
            finding=_finding(table),
            title=f"{seeds}; {steps}; {words.bounds(runs) or 'bounds as configured'}",
            source=source(runs),
        )
    }


def _points(side: Side, network_of: Sequence[Side]) -> list[dict[str, Any]]:
    first = side.runs.iloc[0]
    data, model = words.data(first["dataset"]).partition(" (")[0], first["model"]
    layers, of = side.network["layers"], side.network
    named = [words.MODELS.get(model, model).removesuffix(" network")]
    named += [f"{layers} layers"] * (layers > 1) + [f"{of['epochs']} epochs", of["settings"]]
    d = difference(side, network_of)
    shared = {
        "network": f"{data}\n{', '.join(filter(None, named))}",
        "init": side.init,
        "setting": side.setting,
        **side.moments[["n", "mean", "low", "high"]],
        "chance": PERCENT / first["classes"],
        "lead": d["difference"] if d.get("verdict") in DECIDED else np.nan,
    }
    values = PERCENT * side.runs.groupby("seed")["test_accuracy_last"].mean()
    return [shared | {"seed": seed, "accuracy": value} for seed, value in values.items()]


def _finding(table: pd.DataFrame) -> str:
    """The lead of fluct over the baseline where it is decided, at the same step and at the best."""
    ours = table[table["init"] == "fluct"].dropna(subset="lead")
    leads = [ours[ours["setting"] == setting]["lead"] for setting in PANELS]
    if any(lead.empty for lead in leads):
        return TITLE
    common, best = (words.span(lead.min(), lead.max()) for lead in leads)
    return (
        f"{words.init('fluct')} against {words.init(BASELINE)}, where decided: {common} points at "
        f"the same step size, {best} with each at its best"
    )


def panels(page: pd.DataFrame) -> list[list[str]]:
    """The two settings beside each other, higher for more networks."""
    rows = page["network"].nunique() * page["init"].nunique()
    return [list(PANELS)] * max(1, round(rows / TALL))


def draw(page: pd.DataFrame, axes: Mapping[str, Axes]) -> None:
    """A line for each initial state of a network with its seeds as dots."""
    inits = sorted(page["init"].unique(), key=lambda init: (init != BASELINE, init))
    order = page.drop_duplicates("network").sort_values("place")["network"].tolist()
    for setting, title in PANELS.items():
        panel, rows = axes[setting], page[page["setting"] == setting]
        for _, row in rows.iterrows():
            look = style.look(row["init"], line=False) | {"alpha": 0.55, "markeredgewidth": 0}
            panel.plot(row["accuracy"], _height(row, inits), **look)
        for _, row in rows.drop_duplicates(["place", "init"]).iterrows():
            bar = MEAN | {"color": style.color(row["init"])}
            interval = (row["low"], row["high"])
            marks.across(panel, row["mean"], interval, _height(row, inits), bar)
        panel.axvline(page["chance"].max(), color=style.GREY, linewidth=0.6, linestyle=":")
        panel.set_xlim(0, 101)
        marks.named_rows(panel, order if setting == "common" else [""] * len(order))
        panel.set_title(title)
        panel.set_xlabel("test accuracy (%)")
        for place in range(1, len(order)):
            panel.axhline(place - 0.5, color=style.PRIME, linewidth=0.6)
    handles = [
        Line2D([], [], **style.look(init, line=False), label=words.init(init)) for init in inits
    ]
    handles.append(Line2D([], [], color=style.GREY, linestyle=":", label="guessing"))
    sheet.head(axes, handles, page)


def _height(row: pd.Series, inits: list[str]) -> float:
    return row["place"] + ROW * ((inits.index(row["init"]) + 0.5) / len(inits) - 0.5)
