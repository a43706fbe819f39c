"""What stands above the panels: the finding or question of a figure, what was measured, and the
legend.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from textwrap import fill
from typing import Any

import pandas as pd
from matplotlib.artist import Artist
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from matplotlib.transforms import ScaledTranslation, Transform

from fdi.figures import sheet, style, words

MARGIN = 0.04  # inches
GAP = 0.05  # inches between lines of different kinds
LONGEST = 110  # characters of a line
OVER = "mean and 95 % interval over n seeds"
MANY = 5  # entries of a legend that leave no room for numbers of seeds
SEEDS = re.compile(r" \(n = ([^)]*)\)$")  # at the end of a label
SHOWN = re.compile(r"(mean and [^:;]*) over n seeds")
FINDING = {"fontsize": 8, "fontweight": "bold"}
DETAILS = {"fontsize": 6.5, "color": "0.3"}


def above(
    figure: Figure | SubFigure, handles: Sequence[Artist], finding: str, details: str = ""
) -> None:
    """The finding, below it the details and one legend in as many columns as the figure has room
    for; the figure grows by what they need.
    """
    assert isinstance(figure, Figure)
    labels = [str(handle.get_label()).replace("sigma_u", "$\\sigma_U$") for handle in handles]
    seeds = [match[1] for match in map(SEEDS.search, labels) if match]
    if len(set(seeds)) == 1 or len(seeds) > MANY:  # once, in the details
        labels = [SEEDS.sub("", label) for label in labels]
        numbers = pd.Series(" to ".join(seeds).split(" to ")).astype(int)
        details = SHOWN.sub(lambda shown: over(numbers, shown[1]), details)
    top = MARGIN
    for text, look in ((finding, FINDING), (details, DETAILS)):
        if text:
            top += _line(figure, text, top, look) + GAP
    if handles:
        top += _legend(figure, handles, labels, top) + GAP
    sheet.grow(figure, above=top)


def _line(figure: Figure, text: str, top: float, look: dict[str, Any]) -> float:
    """Text in as few lines as fit, `top` inches from the top; its height in inches."""
    text = text.replace(" %", "\N{NBSP}%").replace(" = ", "\N{NBSP}=\N{NBSP}")
    line = figure.text(0, 1, text, va="top", transform=_from_top(figure, top), **look)
    for characters in range(LONGEST, 20, -2):
        line.set_text(fill(text, characters, break_long_words=False))
        if line.get_window_extent().width <= _room(figure):
            break
    return line.get_window_extent().height / figure.dpi


def _legend(figure: Figure, handles: Sequence[Artist], labels: Sequence[str], top: float) -> float:
    for columns in range(min(len(handles), 6), 0, -1):
        legend = figure.legend(
            handles=handles,
            labels=labels,
            loc="upper left",
            bbox_to_anchor=(0, 1),
            bbox_transform=_from_top(figure, top),
            borderaxespad=0,
            borderpad=0.1,
            ncols=columns,
            columnspacing=1.2,
        )
        if columns == 1 or legend.get_window_extent().width <= _room(figure):
            break
        legend.remove()
    return legend.get_window_extent().height / figure.dpi


def _from_top(figure: Figure, inches: float) -> Transform:
    return figure.transFigure + ScaledTranslation(MARGIN, -inches, figure.dpi_scale_trans)


def _room(figure: Figure) -> float:
    return (0.98 * figure.get_figwidth() - 2 * MARGIN) * figure.dpi


def entry(
    init: str, least: int, most: int, line: bool = True, number: int = 0, label: str = ""
) -> Line2D:
    """The entry of the legend for what `marks.points` draws, with the number of seeds."""
    n = span(pd.Series([least, most]))
    look = style.look(init, number, line) | ({"markerfacecolor": "white"} if most == 1 else {})
    return Line2D([], [], **look, label=f"{label or words.init(init)} (n = {n})")


def span(n: pd.Series) -> str:
    """Numbers of seeds, as text."""
    return f"{n.min()}" if n.min() == n.max() else f"{n.min()} to {n.max()}"


def over(n: pd.Series, what: str = "mean and 95 % interval") -> str:
    """How many seeds the values shown are from, as text; a single seed has no mean."""
    if n.max() == 1:
        return "one seed"
    hollow = "; hollow: a single seed" if n.min() == 1 else ""
    return f"{what} over n = {span(n)} seeds{hollow}"
