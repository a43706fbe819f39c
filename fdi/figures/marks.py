"""Points, curves and levels with their intervals, drawn into axes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullFormatter

from fdi.figures import marks
from fdi.figures.style import GREY, Look, states

MARKS = 4  # of a curve
FEW = 5  # seeds of a band; the interval of fewer is drawn at the marks


def bars(rows: pd.DataFrame) -> np.ndarray:
    """Lengths of error bars from the columns mean, low and high; 0 where there is no interval."""
    lengths = [rows["mean"] - rows["low"], rows["high"] - rows["mean"]]
    return np.nan_to_num(np.clip(lengths, 0, None))  # not -1e-17


def points(axes: Axes, rows: pd.DataFrame, look: Look) -> None:
    """Columns x, mean, low, high of `rows` with error bars; hollow where there is a single seed."""
    bar: Look = {"capsize": 1.5, "elinewidth": 0.8, "zorder": 3}
    axes.errorbar(rows["x"], rows["mean"], bars(rows), **look | bar)
    hollow(axes, rows[rows["n"] == 1], look)


def curve(axes: Axes, rows: pd.DataFrame, look: Look, shift: float = 0.0) -> None:
    """Columns x, mean, low, high of `rows` as a line with few marks, and a band of the interval;
    thin where there is a single seed, with bars in place of the band where there are too few for
    one. `shift`: of the marks, in widths of a mark, so that they do not hide those of others.
    """
    every = max(1, len(rows) // MARKS)
    first = round(every * (0.5 + shift / 8)) % max(1, every)
    single = rows["n"].max() == 1
    face: Look = {"markerfacecolor": "white", "linewidth": 0.7} if single else {}
    axes.plot(rows["x"], rows["mean"], **look | face, markevery=(first, every))
    if rows["n"].max() < FEW:
        shown = rows.iloc[first::every]
        bar: Look = {"linestyle": "", "elinewidth": 0.7, "capsize": 1.5}
        axes.errorbar(shown["x"], shown["mean"], bars(shown), color=look["color"], **bar)
        return
    axes.fill_between(
        rows["x"], rows["low"], rows["high"], color=look["color"], alpha=0.2, linewidth=0
    )


def hollow(axes: Axes, rows: pd.DataFrame, look: Look) -> None:
    """White marks at x, mean of `rows`: single runs."""
    face: Look = {"linestyle": "", "markerfacecolor": "white", "markeredgewidth": 0.7, "zorder": 4}
    if len(rows):
        axes.plot(rows["x"], rows["mean"], **look | face)


def level(axes: Axes, row: pd.Series, look: Look) -> None:
    """A horizontal line at the mean of a row, with a band of its interval."""
    line = {key: look[key] for key in ("color", "linestyle")}
    axes.axhline(row["mean"], linewidth=0.9, **line)
    if pd.notna(row["low"]):
        axes.axhspan(row["low"], row["high"], color=look["color"], alpha=0.15, linewidth=0)


ROUND = (0.01, 0.1, 1, 10)  # ticks that others make room for


def percent(axes: Axes, rows: pd.DataFrame, chance: float | None = None) -> None:
    """An axis of accuracies that just holds all marks and intervals of `rows`. A dotted line shows
    what guessing reaches, if it lies near.
    """
    low, high = rows[["mean", "low"]].min(axis=None), rows[["mean", "high"]].max(axis=None)
    room = max(0.06 * (high - low), 0.5)
    axes.set_ylim(max(low - room, -3), min(high + room, 103))
    axes.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10], prune=None))
    if chance is not None and low - 3 * room < chance:
        axes.set_ylim(min(axes.get_ylim()[0], chance - room))
        axes.axhline(chance, color=GREY, linewidth=0.8, linestyle=":", zorder=0)


def sigma_axis(axes: Axes, values: pd.Series) -> None:
    """A logarithmic axis of sigma_u, with ticks at those of the `values` that leave room for
    another.
    """
    axes.set_xscale("log")
    axes.set_xlim(values.min() / 1.25, values.max() * 1.25)
    axes.xaxis.set_major_locator(FixedLocator(apart(values)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.2g}"))
    axes.xaxis.set_minor_locator(FixedLocator(sorted(values.unique())))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("$\\sigma_U$ (units of threshold)")


def apart(values: pd.Series) -> list[float]:
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


def beside(
    axes: Axes, rows: pd.DataFrame, key: str, order: Sequence[str], page: pd.DataFrame
) -> None:
    """A point with its interval for each of the `states` of `page`, at each value of the column
    `key` in this order.
    """
    drawn = list(states(page))
    for i, state in enumerate(drawn):
        shown = state.rows(rows)
        x = shown[key].map(list(order).index).astype(float) + WIDTH * ((i + 0.5) / len(drawn) - 0.5)
        marks.points(axes, shown.assign(x=x), state.look() | {"linestyle": ""})
    axes.set_xlim(-0.5, len(order) - 0.5)
    axes.set_xticks(range(len(order)), order)


def handles(page: pd.DataFrame, before: str = "") -> list[Line2D]:
    """The entries of the legend."""
    return [
        Line2D([], [], **state.look() | {"linestyle": ""}, label=f"{before}{state.label}")
        for state in states(page)
    ]
