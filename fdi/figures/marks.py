"""Points, curves and levels with their intervals, drawn into axes."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import fill
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import ticker
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from fdi.analysis.choice import SETTINGS
from fdi.figures import style
from fdi.figures.style import GREY, InitialState, Look
from fdi.figures.words import LEAST

MARKS = 4  # of a curve


def bars(rows: pd.DataFrame) -> np.ndarray:
    """Lengths of error bars from the columns mean, low and high; 0 where there is no interval."""
    lengths = [rows["mean"] - rows["low"], rows["high"] - rows["mean"]]
    return np.nan_to_num(np.clip(lengths, 0, None))  # not -1e-17


def points(axes: Axes, rows: pd.DataFrame, look: Look) -> None:
    """Columns x, mean, low, high of `rows` with error bars; hollow where seeds are too few."""
    bar: Look = {"capsize": 1.5, "elinewidth": 0.8, "zorder": 3}
    axes.errorbar(rows["x"], rows["mean"], bars(rows), **look | bar)
    single = rows[rows["n"] < LEAST]
    face: Look = {"linestyle": "", "markerfacecolor": "white", "markeredgewidth": 0.7, "zorder": 4}
    if len(single):
        axes.plot(single["x"], single["mean"], **look | face)


def curve(axes: Axes, rows: pd.DataFrame, look: Look, shift: float = 0.0) -> None:
    """Columns x, mean, low, high of `rows` as a line with few marks, and a band of the interval;
    thin where seeds are too few for one. `shift`: of the marks, in widths of a mark, so that they
    do not hide those of others.
    """
    every = max(1, len(rows) // MARKS)
    first = round(every * (0.5 + shift / 8)) % max(1, every)
    single = rows["n"].max() < LEAST
    face: Look = {"markerfacecolor": "white", "linewidth": 0.7} if single else {}
    axes.plot(rows["x"], rows["mean"], **look | face, markevery=(first, every))
    band: Look = {"color": look["color"], "alpha": 0.2, "linewidth": 0}
    axes.fill_between(rows["x"], rows["low"], rows["high"], **band)


def level(axes: Axes, row: pd.Series, look: Look) -> None:
    """A horizontal line at the mean of a row, with a band of its interval."""
    line = {key: look[key] for key in ("color", "linestyle")}
    axes.axhline(row["mean"], linewidth=0.9, **line)
    if pd.notna(row["low"]):
        axes.axhspan(row["low"], row["high"], color=look["color"], alpha=0.15, linewidth=0)


def across(
    axes: Axes, value: float, interval: tuple[float, float], height: float, look: Look
) -> None:
    """A mark with its interval along the horizontal axis, without one where it is NaN."""
    low, high = interval
    reach = None if np.isnan(low) else [[value - low], [high - value]]
    axes.errorbar(value, height, xerr=reach, **look)


BESIDE: Look = {"textcoords": "offset points", "xytext": (3, 0), "fontsize": 6, "va": "center"}
SETTING: Look = {"marker": "o", "markersize": 4, "elinewidth": 1, "clip_on": False}
LETTERS_OF_ROW = 26


def setting_marks(axes: Axes, rows: pd.DataFrame, apart: float = 0.36) -> None:
    """A mark with its interval for each row, around its `place`: above, open, at the default step,
    and below it at the best one; on its right the `text` that it has.
    """
    for row in rows.to_dict("records"):
        best, color = row["setting"] == "best", style.color(row["init"])
        height = row["place"] + apart * (best - 0.5)
        look = SETTING | {"color": color, "markerfacecolor": color if best else "white"}
        across(axes, row["mean"], (row["low"], row["high"]), height, look)
        axes.annotate(row.get("text", ""), (np.fmax(row["mean"], row["high"]), height), **BESIDE)


def of_settings() -> list[Line2D]:
    """The legend of `setting_marks`."""
    look: Look = {"marker": "o", "linestyle": "", "color": "0.25"}
    faces = {"common": "white", "best": "0.25"}
    return [
        Line2D([], [], **look, markerfacecolor=face, label=SETTINGS[name])
        for name, face in faces.items()
    ]


def row_name(name: str) -> str:
    """In lines that leave room for the marks."""
    return fill(name, LETTERS_OF_ROW)


def named_rows(axes: Axes, names: Sequence[str]) -> None:
    """A row of the vertical axis for each name, the first on top."""
    axes.set_yticks(range(len(names)), [*map(row_name, names)])
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)


def depths(axes: Axes, rows: pd.DataFrame, look: Look, place: float, n: int, width: float) -> None:
    """A line over layers for each kind of population (E and I are not joined), shifted for the
    `place` of `n` initializations by so many times `width`.
    """
    rows = rows.assign(x=rows["x"] + width * (place - (n - 1) / 2)).sort_values("x")
    for _, kind in rows.groupby(rows["population"].str.replace(r"\d", "", regex=True), sort=False):
        points(axes, kind, look)


CHANCE: Look = {"color": GREY, "linewidth": 0.8, "linestyle": ":"}


ROUND = (0.01, 0.1, 1, 10)  # ticks that others make room for


def percent(axes: Axes, rows: pd.DataFrame, chance: float | None = None) -> None:
    """An axis of accuracies that just holds all marks and intervals of `rows`. A dotted line shows
    what guessing reaches, if it lies near.
    """
    low, high = rows[["mean", "low"]].min(axis=None), rows[["mean", "high"]].max(axis=None)
    room = max(0.06 * (high - low), 0.5)
    axes.set_ylim(max(low - room, -3), min(high + room, 103))
    axes.yaxis.set_major_locator(ticker.MaxNLocator(4, steps=[1, 2, 2.5, 5, 10], prune=None))
    if chance is not None and low - 3 * room < chance:
        axes.set_ylim(min(axes.get_ylim()[0], chance - room))
        axes.axhline(chance, **CHANCE, zorder=0)


def log_axis(axes: Axes, values: pd.Series) -> None:
    """A logarithmic axis with small ticks at all `values`, and large ones at those that leave room
    for another, or at powers of ten.
    """
    axes.set_xscale("log")
    axes.set_xlim(values.min() / 1.25, values.max() * 1.25)
    if values.max() >= EVEN * values.min():
        axes.xaxis.set_major_locator(ticker.LogLocator(numticks=4))
    else:
        axes.xaxis.set_major_locator(ticker.FixedLocator(spaced(values)))
        axes.xaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:.3g}"))
    axes.xaxis.set_minor_locator(ticker.FixedLocator(sorted(values.unique())))
    axes.xaxis.set_minor_formatter(ticker.NullFormatter())


def spaced(values: pd.Series) -> list[float]:
    """Those of `values` that lie at least a sixth of their logarithmic range apart, round ones
    first.
    """
    room = np.log(values.max() / values.min()) / 6
    chosen: list[float] = []
    for value in sorted(values.unique(), key=lambda value: (value not in ROUND, value)):
        if all(abs(np.log(value / other)) > room for other in chosen):
            chosen.append(float(value))
    return sorted(chosen)


def from_zero(axes: Axes) -> None:
    """The vertical axis starts at 0, with room above the highest point drawn so far."""
    axes.set_ylim(0, 1.05 * axes.get_ylim()[1])


WIDTH = 0.7  # of the points of one choice, in units of the distance between choices
LETTERS = 12  # in an inch below the horizontal axes of a page
EVEN = 100  # largest over smallest value of an axis whose ticks are powers of ten


def beside(
    axes: Axes,
    rows: pd.DataFrame,
    initials: Sequence[InitialState],
    order: Sequence[Any],
    names: Sequence[str],
    columns: int,
) -> None:
    """A point with its interval for each initialization, at each x in this order, a level for one
    that has no x; in one of so many panels side by side.
    """
    for i, initial in enumerate(initials):
        shown = initial.rows(rows)
        for _, row in shown[shown["x"].isna()].iterrows():
            level(axes, row, initial.look())
        shown = shown.dropna(subset=["x"])
        x = shown["x"].map(list(order).index).astype(float)
        x = x + WIDTH * ((i + 0.5) / len(initials) - 0.5)
        points(axes, shown.assign(x=x), initial.look() | {"linestyle": ""})
    axes.set_xlim(-0.5, len(order) - 0.5)
    inches = axes.figure.bbox.width / axes.figure.dpi
    width = max(6, round(LETTERS * inches) // columns // len(order))
    axes.set_xticks(
        range(len(order)),
        [name if "$" in name else fill(name, width, break_long_words=False) for name in names],
    )


def lines(
    axes: Axes, rows: pd.DataFrame, initials: Sequence[InitialState], scale: str, values: pd.Series
) -> None:
    """A line for each initialization over the column x, a level for one without x; the axis is that
    of all `values`.
    """
    values = values.dropna().astype(float)
    log = scale == "log" or (scale == "auto" and _by_factors(values))
    for initial in initials:
        shown = initial.rows(rows)
        line = shown.dropna(subset="x").astype({"x": float}).sort_values("x")
        if len(line):
            points(axes, line, initial.look())
        for _, row in shown[shown["x"].isna()].iterrows():
            level(axes, row, initial.look())
    if log:
        log_axis(axes, values)
    else:
        ticks = np.sort(values.unique())
        axes.set_xticks(ticks, minor=True)
        if np.all(np.diff(ticks) > np.ptp(ticks) / 12):
            axes.set_xticks(ticks)
        else:
            axes.xaxis.set_major_locator(ticker.MaxNLocator(5))


def _by_factors(values: pd.Series) -> bool:
    """Whether values lie more evenly on a logarithmic axis."""
    there = np.sort(values.unique())
    if len(there) < 3 or there[0] <= 0:
        return False
    steps, factors = np.diff(there), np.diff(np.log(there))
    return bool(np.std(factors) / np.mean(factors) < np.std(steps) / np.mean(steps))
