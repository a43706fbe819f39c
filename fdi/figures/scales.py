"""Axes that several figures share: of accuracies, of sigma_u, and those that start at 0."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullFormatter

from fdi.figures.style import GREY

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
