"""The initial states of each network at the default step size, at one that suits all of them, and
each at its best.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from fdi.analysis.best import DECIDED, Side, networks
from fdi.analysis.choice import SETTINGS
from fdi.analysis.collect import metric_of
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
PANELS = {"common": "all at the same step size", "best": SETTINGS["best"]}
MEAN: style.Look = {"marker": "|", "markersize": 6, "elinewidth": 1.2}
GAP = 0.6  # rows between networks
TALL = 9.0  # rows in a panel as high as SIZE says


def data(results: Results) -> dict[str, pd.DataFrame]:
    """One page: a row for each network, initial state, setting and seed: network (as text), row
    (where it is drawn), init, setting, seed, accuracy (%), n, mean, low, high, chance, `lead` over
    the baseline where it is decided, finding, title, source.
    """
    sides = [side for network in networks(results) for side in network]
    if not sides:
        return {}
    table = pd.DataFrame([row for side in sides for row in _points(side)])
    first = table.drop_duplicates(["network", "init"])
    order = first["init"].ne(BASELINE).groupby(first["network"], sort=False)
    first = first.loc[[row for _, of in order for row in of.sort_values(kind="stable").index]]
    begins = ~first["network"].duplicated()
    rows = np.arange(len(first)) + GAP * (begins.cumsum() - 1)
    places = first[["network", "init"]].assign(row=rows)
    seeds = words.over(table["n"], "dots: seeds; line: 95 % interval of the mean,")
    steps = "step and floor chosen on validation with other seeds"
    runs = pd.concat([side.runs for side in sides])
    return {
        "": table.merge(places, on=["network", "init"]).assign(
            finding=_finding(table),
            title=f"{seeds}; {steps}; {words.bounds(runs) or 'bounds as configured'}",
            source=source(runs),
        )
    }


def _points(side: Side) -> list[dict[str, Any]]:
    first, of, metric = side.runs.iloc[0], side.network, metric_of(side.runs)
    data, model = words.data(first["dataset"]).partition(" (")[0], first["model"]
    named = [words.MODELS.get(model, model).removesuffix(" network")]
    named += [f"{of['layers']} layers"] * (of["layers"] > 1)
    named += [f"{of['epochs']} epochs", of["settings"]]
    lead = side.difference.mean if side.difference and side.verdict in DECIDED else np.nan
    shared = {
        "network": f"{data}\n{', '.join(filter(None, named))}",
        "init": side.init,
        "setting": side.setting,
        **side.moments[["n", "mean", "low", "high"]],
        "chance": PERCENT / first["classes"],
        "lead": lead,
        "metric": metric.title,
    }
    values = metric.scale * side.runs.groupby("seed")["test_accuracy_last"].mean()
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


def _settings(page: pd.DataFrame) -> list[str]:
    return [setting for setting in SETTINGS if (page["setting"] == setting).any()]


def panels(page: pd.DataFrame) -> list[list[str]]:
    """The settings beside each other, higher for more rows."""
    return [_settings(page)] * max(1, round((page["row"].max() + 1) / TALL))


def draw(page: pd.DataFrame, axes: Mapping[str, Axes]) -> None:
    """A line for each initial state of a network with its seeds as dots."""
    inits = sorted(page["init"].unique(), key=lambda init: (init != BASELINE, init))
    names = page.groupby("network", sort=False)["row"].agg(["min", "max"]).sort_values("min")
    titles = SETTINGS | ({} if "shared" in axes else PANELS)
    for place, setting in enumerate(_settings(page)):
        panel, rows = axes[setting], page[page["setting"] == setting]
        for _, row in rows.iterrows():
            look = style.look(row["init"], line=False) | {"alpha": 0.55, "markeredgewidth": 0}
            panel.plot(row["accuracy"], row["row"], **look)
        for _, row in rows.drop_duplicates("row").iterrows():
            bar = MEAN | {"color": style.color(row["init"])}
            marks.across(panel, row["mean"], (row["low"], row["high"]), row["row"], bar)
        panel.axvline(page["chance"].max(), color=style.GREY, linewidth=0.6, linestyle=":")
        if page["chance"].notna().any():
            panel.set_xlim(0, 101)
        panel.set_yticks(names.mean(axis=1), [*names.index] if not place else [""] * len(names))
        panel.set_ylim(page["row"].max() + 0.5 + GAP / 2, -0.5 - GAP / 2)
        panel.tick_params(axis="y", length=0)
        panel.set_title(titles[setting])
        panel.set_xlabel(f"test {page['metric'].iloc[0]}")
        for end in names["max"].iloc[:-1]:
            panel.axhline(end + 0.5 + GAP / 2, color=style.PRIME, linewidth=0.6)
    handles = [
        Line2D([], [], **style.look(init, line=False), label=words.init(init)) for init in inits
    ]
    handles.append(Line2D([], [], color=style.GREY, linestyle=":", label="guessing"))
    sheet.head(axes, handles, page)
