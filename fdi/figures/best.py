"""The initializations of each network at the default step size, and each at its best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from fdi.analysis.best import HEADLINE, Arm, networks
from fdi.analysis.choice import SETTINGS, STEP, TUNED
from fdi.analysis.collect import Page, Pages, Runs
from fdi.analysis.conditions import BASELINE
from fdi.analysis.results import Results
from fdi.analysis.statistics import PERCENT
from fdi.config.metric import ACCURACY as OF_CLASSES
from fdi.config.metric import Metric
from fdi.figures import marks, sheet, style, words

PLACE, TITLE = 0.6, "Each initialization at its best"
ABOUT = "test accuracy of each initialization at the default step size, and each at its best one"
NEEDS = "runs of experiment=best"
COMMAND = "fdi-run -m experiment=best"
SIZE = (style.COLUMN, 0.105)  # of a line of text
DRAWN = {name: SETTINGS[name] for name in ("common", "best")}
WITHIN = 0.8  # of the height of the row of a network, for its initializations


def data(results: Results) -> Pages:
    """A page for each metric, that of accuracies without a name: a row for each network,
    initialization and setting: network (as text), place (where it is drawn), init, setting, n,
    mean, sd, low, high, chance, versus (the baseline) and verdict, finding, title.
    """
    by_metric: dict[Metric, list[Arm]] = {}
    pair = {_name(arm): arm for arms in networks(results, *HEADLINE) for arm in arms}
    for arm in (arm for network in networks(results) for arm in network):
        if arm.setting in DRAWN:
            by_metric.setdefault(arm.metric, []).append(pair.get(_name(arm), arm))
    return {m.name * (m != OF_CLASSES): _page(arms, m) for m, arms in by_metric.items()}


def _name(arm: Arm) -> tuple[Any, ...]:
    return arm.network, arm.init, arm.setting


def _page(arms: Sequence[Arm], metric: Metric) -> tuple[Page, Runs]:
    table = pd.DataFrame([_row(arm) for arm in arms])
    places = table.drop_duplicates(["network", "init"])[["network", "init"]]
    places = places.sort_values("init", key=lambda inits: inits.ne(BASELINE), kind="stable")
    net = places.groupby("network", sort=False)["init"]
    number = places["network"].map([*table["network"].unique()].index)
    places["place"] = number + WITHIN * ((net.cumcount() + 0.5) / net.transform("size") - 0.5)
    runs = pd.concat([arm.runs.assign(setting=arm.setting) for arm in arms])
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


def _row(arm: Arm) -> dict[str, Any]:
    dataset, model, layers, epochs, settings = arm.network
    named = [
        words.dataset_name(dataset).partition(" (")[0],
        words.model_name(model).replace(" network", ""),
    ]
    sizes = [words.layers(layers).replace("hidden ", ""), f"{epochs} epochs"]
    named += [*(size.replace(" ", "\N{NBSP}") for size in sizes), settings]
    return {
        "network": ", ".join(filter(None, named)),
        "init": arm.init,
        "setting": arm.setting,
        **arm.reached._asdict(),
        "chance": PERCENT / arm.runs["classes"].iloc[0],
        "versus": arm.difference.mean if arm.difference else np.nan,
        "verdict": arm.verdict,
        "metric": arm.metric.title,
    }


def panels(page: Page) -> list[list[str]]:
    """One, higher for more networks, more initializations and longer names."""
    lines = [
        max(marks.row_name(str(name)).count("\n") + 2, 2 * rows["init"].nunique())
        for name, rows in page.groupby("network")
    ]
    return [["all"]] * (max(lines) * len(lines))


def draw(page: Page, axes: Mapping[str, Axes]) -> None:
    """A row for each network, with its initializations below one another."""
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
