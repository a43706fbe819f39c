"""Initial states side by side at each of several choices."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from fdi.figures import marks
from fdi.figures.state import states

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
