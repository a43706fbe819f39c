"""The initial states of each network at the default step size, at one that suits all of them, and
each at its best.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import fill
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from fdi.analysis.best import HEADLINE, Side, networks
from fdi.analysis.choice import SETTINGS, STEP, TUNED
from fdi.analysis.collect import ACCURACY, Page, Pages, Runs
from fdi.analysis.conditions import BASELINE
from fdi.analysis.results import Results
from fdi.analysis.statistics import PERCENT
from fdi.config.metric import ACCURACY as OF_CLASSES
from fdi.config.metric import Metric
from fdi.figures import marks, sheet, style, words

PLACE, TITLE = 0.5, "Each initial state at its best"
ABOUT = "test accuracy of each initial state at a common step size, and each at its best one"
NEEDS = "runs of experiment=best"
COMMAND = "fdi-run -m experiment=best"
SIZE = (style.COLUMN, 0.34)
PANELS = {"common": "all at the same step size", "best": SETTINGS["best"]}
SEED: style.Look = {"alpha": 0.45, "markeredgewidth": 0, "markersize": 2.5}
MEAN: style.Look = {"marker": "|", "markersize": 5, "elinewidth": 1.2}
WITHIN = 0.7  # of the height of the row of a network, for its initial states
WRAP = 40  # characters of a line of what tells a network from others


def data(results: Results) -> Pages:
    """A page for each metric, that of accuracies without a name: a row for each network, initial
    state, setting and seed: network (as text), row (where it is drawn), init, setting, accuracy
    (%), n, mean, sd, low, high, chance, versus (the baseline) and verdict, finding, title.
    """
    of: dict[Metric, list[Side]] = {}
    pair = {_name(side): side for sides in networks(results, *HEADLINE) for side in sides}
    for side in (side for network in networks(results) for side in network):
        of.setdefault(side.metric, []).append(pair.get(_name(side), side))
    return {m.name * (m != OF_CLASSES): _page(sides, m) for m, sides in of.items()}


def _name(side: Side) -> tuple[Any, ...]:
    return side.network, side.init, side.setting


def _page(sides: Sequence[Side], metric: Metric) -> tuple[Page, Runs]:
    table = pd.DataFrame([row for side in sides for row in _points(side)])
    places = table.drop_duplicates(["network", "init"])[["network", "init"]]
    places = places.sort_values("init", key=lambda inits: inits.ne(BASELINE), kind="stable")
    of = places.groupby("network", sort=False)["init"]
    number = places["network"].map([*table["network"].unique()].index)
    places["row"] = number + WITHIN * ((of.cumcount() + 0.5) / of.transform("size") - 0.5)
    runs = pd.concat([side.runs.assign(setting=side.setting) for side in sides])
    of_setting = dict([*runs.groupby("setting")])
    steps = [
        f"{words.between(of[STEP], name)}, {words.between(of[TUNED[1]], 'eps')}"
        for setting, name in SETTINGS.items()
        if (of := of_setting.get(setting)) is not None
    ]
    once = table.drop_duplicates(["network", "init", "setting"])
    said = [
        f"{text} ({name})"
        for key, name in PANELS.items()
        if (text := words.verdicts(once[once["setting"] == key], metric))
    ]
    page = table.merge(places, on=["network", "init"]).assign(
        finding=f"{words.PAIR}: {'; '.join(said)}" if said else TITLE,
        title="; ".join(filter(None, [*steps, words.bounds(runs)])),
        note="dots: seeds; line: mean and 95 % interval; steps chosen with other seeds",
    )
    return page, runs


def _points(side: Side) -> list[dict[str, Any]]:
    dataset, model, layers, epochs, settings = side.network
    data = words.data(dataset).partition(" (")[0]
    named = [words.kind(model), words.layers(layers).replace("hidden ", ""), f"{epochs} epochs"]
    shared = {
        "network": "\n".join(filter(None, [data, ", ".join(named), fill(settings, WRAP)])),
        "init": side.init,
        "setting": side.setting,
        **side.reached._asdict(),
        "chance": PERCENT / side.runs["classes"].iloc[0],
        "versus": side.difference.mean if side.difference else np.nan,
        "verdict": side.verdict,
        "metric": side.metric.title,
    }
    return [shared | {"accuracy": side.metric.scale * value} for value in side.seeds.of(ACCURACY)]


def _settings(page: pd.DataFrame) -> list[str]:
    return [setting for setting in SETTINGS if (page["setting"] == setting).any()]


def panels(page: pd.DataFrame) -> list[list[str]]:
    """The settings beside each other, higher for more networks and longer names of them."""
    names = page["network"].drop_duplicates()
    return [_settings(page)] * -(-len(names) * (1 + names.str.count("\n").max()) // 2)


def draw(page: pd.DataFrame, axes: Mapping[str, Axes]) -> None:
    """A row for each network, with its initial states below one another, their seeds as dots."""
    inits = sorted(page["init"].unique(), key=lambda init: (init != BASELINE, init))
    names = page.sort_values("row")["network"].unique()
    titles = SETTINGS | ({} if "shared" in axes else PANELS)
    chance = bool(page["chance"].notna().any())
    for place, setting in enumerate(_settings(page)):
        panel, rows = axes[setting], page[page["setting"] == setting]
        for init, of in rows.groupby("init"):
            panel.plot(of["accuracy"], of["row"], **style.look(str(init), line=False) | SEED)
        for _, row in rows.drop_duplicates("row").iterrows():
            bar = MEAN | {"color": style.color(row["init"])}
            marks.across(panel, row["mean"], (row["low"], row["high"]), row["row"], bar)
        if chance:
            panel.axvline(page["chance"].max(), **marks.CHANCE, zorder=0)
            panel.set_xlim(0, 101)
        marks.named_rows(panel, names if not place else [""] * len(names))
        panel.set_title(titles[setting])
        panel.set_xlabel(f"test {page['metric'].iloc[0]}")
        for end in range(1, len(names)):
            panel.axhline(end - 0.5, color=style.PRIME, linewidth=0.6)
    handles = [
        Line2D([], [], **style.look(init, line=False), label=words.init(init)) for init in inits
    ]
    handles += [Line2D([], [], **marks.CHANCE, label="chance")] * chance
    sheet.head(axes, handles, page)
