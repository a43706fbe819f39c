"""Points, curves and levels with their intervals, drawn into axes."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from fdi.figures.style import Look

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
