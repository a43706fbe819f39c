"""The legend above the panels: its entries, and of how many seeds they are."""

from __future__ import annotations

import re
from collections.abc import Sequence
from textwrap import fill

import pandas as pd
from matplotlib.artist import Artist
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D

from fdi.figures import style

LINE_HEIGHT = 0.15  # inches
WIDTH = 60  # characters in one column
OVER = "mean and 95 % interval over n seeds"
MANY = 6  # entries of a legend that leave no room for numbers of seeds
SEEDS = re.compile(r" \(n = ([^)]*)\)$")  # at the end of a label
SHOWN = re.compile(r"(mean and [^:]*) over n seeds")
FORMULA = re.compile(r"\$.*?\$")


def above(figure: Figure | SubFigure, handles: Sequence[Artist], title: str) -> None:
    """One legend above the panels, in as many columns as the labels leave room for; the figure
    grows by what it needs.
    """
    assert isinstance(figure, Figure)
    room = round(WIDTH * figure.get_figwidth() / style.COLUMN)
    names = [str(handle.get_label()).replace("sigma_u", "$\\sigma_U$") for handle in handles]
    seeds = [found[1] for found in map(SEEDS.search, names) if found]
    if len(set(seeds)) == 1 or len(seeds) > MANY:  # said once, in the title
        names = [SEEDS.sub("", name) for name in names]
        numbers = pd.Series(" to ".join(seeds).split(" to ")).astype(int)
        title = SHOWN.sub(lambda shown: over(numbers, shown[1]), title)
    labels = [fill(name, room) for name in names]
    columns = max(1, min(len(labels), room // (max(map(_length, labels), default=room) + 6)))
    title = fill(title.replace(" %", "\N{NBSP}%").replace(" = ", "\N{NBSP}=\N{NBSP}"), room)
    lines = title.count("\n") + -(-sum(label.count("\n") + 1 for label in labels) // columns)
    figure.set_figheight(figure.get_figheight() + LINE_HEIGHT * lines)
    figure.legend(
        handles=handles,
        labels=labels,
        title=title,
        loc="outside upper left",
        alignment="left",
        ncols=columns,
    )


def entry(
    init: str, least: int, most: int, line: bool = True, number: int = 0, label: str = ""
) -> Line2D:
    """The legend's entry of what `style.points` draws, with the number of seeds."""
    n = span(pd.Series([least, most]))
    return Line2D([], [], **style.mark(init, line, number), label=f"{label or init} (n = {n})")


def span(n: pd.Series) -> str:
    """Numbers of seeds, as text."""
    return f"{n.min()}" if n.min() == n.max() else f"{n.min()} to {n.max()}"


def over(n: pd.Series, what: str = "mean and 95 % interval") -> str:
    """What is shown of so many seeds, as text: a single one has no mean."""
    return "one seed" if n.max() == 1 else f"{what} over n = {span(n)} seeds"


def _length(label: str) -> int:
    """Characters, formulas counted as two."""
    return len(FORMULA.sub("xx", label))
