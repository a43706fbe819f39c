"""The initial states of each network at the default step size, and each at its best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from fdi.analysis.best import HEADLINE, Side, networks
from fdi.analysis.choice import SETTINGS, STEP, TUNED
from fdi.analysis.collect import Page, Pages, Runs
from fdi.analysis.conditions import BASELINE
from fdi.analysis.results import Results
from fdi.analysis.statistics import PERCENT
from fdi.config.metric import ACCURACY as OF_CLASSES
from fdi.config.metric import Metric
from fdi.figures import marks, sheet, style, words

PLACE, TITLE = 0.6, "Each initial state at its best"
ABOUT = "test accuracy of each initial state at the default step size, and each at its best one"
NEEDS = "runs of experiment=best"
COMMAND = "fdi-run -m experiment=best"
SIZE = (style.COLUMN, 0.105)  # of a line of text
DRAWN = {name: SETTINGS[name] for name in ("common", "best")}
WITHIN = 0.8  # of the height of the row of a network, for its initial states


def data(results: Results) -> Pages:
    """A page for each metric, that of accuracies without a name: a row for each network, initial
    state and setting: network (as text), place (where it is drawn), init, setting, n, mean, sd,
    low, high, chance, versus (the baseline) and verdict, finding, title.
    """
    by_metric: dict[Metric, list[Side]] = {}
    pair = {_name(side): side for sides in networks(results, *HEADLINE) for side in sides}
    for side in (side for network in networks(results) for side in network):
        if side.setting in DRAWN:
            by_metric.setdefault(side.metric, []).append(pair.get(_name(side), side))
    return {m.name * (m != OF_CLASSES): _page(sides, m) for m, sides in by_metric.items()}


def _name(side: Side) -> tuple[Any, ...]:
    return side.network, side.init, side.setting


def _page(sides: Sequence[Side], metric: Metric) -> tuple[Page, Runs]:
    table = pd.DataFrame([_row(side) for side in sides])
    places = table.drop_duplicates(["network", "init"])[["network", "init"]]
    places = places.sort_values("init", key=lambda inits: inits.ne(BASELINE), kind="stable")
    net = places.groupby("network", sort=False)["init"]
    number = places["network"].map([*table["network"].unique()].index)
    places["place"] = number + WITHIN * ((net.cumcount() + 0.5) / net.transform("size") - 0.5)
    runs = pd.concat([side.runs.assign(setting=side.setting) for side in sides])
    of_setting = dict([*runs.groupby("setting")])
    steps = [
        f"{words.between(trained[STEP], name)}, {words.between(trained[TUNED[1]], 'eps')}"
        for setting, name in DRAWN.items()
        if (trained := of_setting.get(setting)) is not None
    ]
    said = [
        f"{text} ({name})"
        for key, name in DRAWN.items()
        if (text := words.verdicts(table[table["setting"] == key], metric))
    ]
    page = table.merge(places, on=["network", "init"]).assign(
        finding=f"{words.PAIR}: {'; '.join(said)}" if said else "",
        title="; ".join(filter(None, [*steps, words.bounds(runs)])),
        note=f"{words.reading(table['n'])}; steps chosen with other seeds",
    )
    return page, runs


def _row(side: Side) -> dict[str, Any]:
    dataset, model, layers, epochs, settings = side.network
    named = [
        words.dataset_name(dataset).partition(" (")[0],
        words.model_name(model).replace(" network", ""),
    ]
    sizes = [words.layers(layers).replace("hidden ", ""), f"{epochs} epochs"]
    named += [*(size.replace(" ", "\N{NBSP}") for size in sizes), settings]
    return {
        "network": ", ".join(filter(None, named)),
        "init": side.init,
        "setting": side.setting,
        **side.reached._asdict(),
        "chance": PERCENT / side.runs["classes"].iloc[0],
        "versus": side.difference.mean if side.difference else np.nan,
        "verdict": side.verdict,
        "metric": side.metric.title,
    }


def panels(page: Page) -> list[list[str]]:
    """One, higher for more networks, more initial states and longer names."""
    lines = [
        max(marks.row_name(str(name)).count("\n") + 2, 2 * rows["init"].nunique())
        for name, rows in page.groupby("network")
    ]
    return [["all"]] * (max(lines) * len(lines))


def draw(page: Page, axes: Mapping[str, Axes]) -> None:
    """A row for each network, with its initial states below one another."""
    panel, names = axes["all"], page.sort_values("place")["network"].unique()
    inits = sorted(page["init"].unique(), key=lambda init: (init != BASELINE, init))
    apart = WITHIN / page.groupby("network")["init"].nunique().max() / 2
    marks.setting_marks(panel, page, apart)
    chance = bool(page["chance"].notna().any())
    if chance:
        panel.axvline(page["chance"].max(), **marks.CHANCE, zorder=0)
        panel.set_xlim(0, 101)
    marks.named_rows(panel, names)
    for end in range(1, len(names)):
        panel.axhline(end - 0.5, color=style.PRIME, linewidth=0.6)
    panel.set_xlabel(f"test {page['metric'].iloc[0]}")
    handles = [
        Line2D([], [], color=style.color(init), linewidth=2, label=words.init(init))
        for init in inits
    ]
    handles += [*marks.of_settings(), *[Line2D([], [], **marks.CHANCE, label="chance")] * chance]
    sheet.head(axes, handles, page)
