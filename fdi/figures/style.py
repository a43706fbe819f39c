"""How every figure looks: one journal column, one colour per initialization, legible in print and
to the colour-blind.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_hex
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullFormatter

if TYPE_CHECKING:
    from matplotlib.typing import RcKeyType

COLUMN = 3.35  # inches: 85 mm, one column of a journal
ROW = 1.2  # inches, height of a row of panels

Look = dict[str, Any]
"""How lines, marks and bars look: keyword arguments of matplotlib."""

RC: dict[RcKeyType, Any] = {
    "font.size": 7,
    "axes.titlesize": 7,
    "axes.labelsize": 7,
    "xtick.labelsize": 6.5,
    "ytick.labelsize": 6.5,
    "legend.fontsize": 7,
    "legend.title_fontsize": 7,
    "legend.frameon": False,
    "legend.handlelength": 1.8,
    "axes.titlelocation": "left",
    "axes.titlepad": 4,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "lines.linewidth": 1.1,
    "savefig.dpi": 300,
    "pdf.fonttype": 42,
}

COLORS = {  # Okabe and Ito 2008; fluct and its relatives are blue and green, baselines warm
    "fluct": "#0072B2",
    "fluct_mu": "#56B4E9",
    "fluct_calibrated": "#009E73",
    "fluct_lognormal": "#332288",
    "kaiming": "#D55E00",
    "xavier": "#E69F00",
    "pytorch": "#CC79A7",
    "orthogonal": "#882255",
    "lsuv": "#000000",
    "ikun": "#CC6677",
    "spytorch": "#996633",
    "micheli": "#C4B000",
}
ALIKE = {"gain": "kaiming"}  # Kaiming weights with a gain
OTHER_COLORS = ("#999933", "#44AA99", "#AA4499", "#661100", "#888888")
MARKERS = {  # one each, so that they are told apart in grey, too
    "fluct": "o",
    "fluct_mu": "<",
    "fluct_calibrated": "D",
    "fluct_lognormal": ">",
    "kaiming": "s",
    "xavier": "^",
    "pytorch": "v",
    "orthogonal": "P",
    "lsuv": "X",
    "ikun": "p",
    "spytorch": "*",
    "micheli": "h",
}
OTHER_MARKERS = ("d", "H", "8", "<", ">")
ROUND = (0.01, 0.1, 1, 10)  # ticks that others make room for
LINES = ("-", "--", ":", "-.", (0, (5, 1, 1, 1, 1, 1)))
FIRST_LINE = {
    "kaiming": 1,
    "xavier": 2,
    "pytorch": 3,
    "orthogonal": 4,
    "lsuv": 3,
    "ikun": 1,
    "spytorch": 4,
    "micheli": 2,
    "fluct_mu": 4,
    "fluct_calibrated": 2,
    "fluct_lognormal": 3,
}
MARKS = 4  # of a curve
FEW = 5  # seeds of a band; the interval of fewer is drawn at the marks
PRIME = "#EBEBEB"
GREY = "#999999"
ACCENT = "#AA3377"  # what is no initialization: a theory, the right class
BAND = "#E8F1F8"  # the recommended range of sigma_u
EXCITATION, INHIBITION = "#117733", "#AA4466"
SEQUENCE = (
    "#A6CDE8",
    "#56A0D3",
    "#0072B2",
    "#004B78",
    "#002A45",
    "#001522",
)  # light to dark, for an ordered quantity


def color(init: str) -> str:
    """The colour of an initialization, the same in every figure; one that fdi does not know gets
    its own by its name.
    """
    return COLORS.get(ALIKE.get(init, init)) or _by_name(init, OTHER_COLORS)


def marker(init: str) -> str:
    """The mark of an initialization, the same in every figure."""
    return MARKERS.get(ALIKE.get(init, init)) or _by_name(init, OTHER_MARKERS)


def _by_name(init: str, choices: Sequence[str]) -> str:
    return choices[zlib.crc32(init.encode()) % len(choices)]


def look(init: str, number: int = 0, line: bool = True) -> Look:
    """Colour, mark, line style and opacity of the number-th config of an initialization, joined by
    a `line` or not; lines and marks differ, so that they are told apart in grey, too.
    """
    again, style = divmod(number + FIRST_LINE.get(init, 0), len(LINES))
    return {
        "color": color(init),
        "linestyle": LINES[style] if line else "",
        "alpha": 0.5**again,
        "marker": marker(init),
        "markersize": 3,
    }


def shades(number: int) -> list[str]:
    """So many colours for an ordered quantity, light to dark."""
    if number <= 4:
        return list(SEQUENCE[:number])
    between = LinearSegmentedColormap.from_list("sequence", SEQUENCE)
    return [to_hex(between(place)) for place in np.linspace(0, 1, number)]


def fraction(whole: float) -> str:
    """1 / whole, as text."""
    return "1" if whole == 1 else f"1/{whole:g}"


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


def percent(axes: Axes, rows: pd.DataFrame, chance: float | None = None) -> None:
    """An axis of accuracies that holds all marks and intervals of `rows` and little else; dotted:
    what guessing reaches, where it lies near.
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
    """Those of `values` that lie a sixth of their logarithmic range apart, round ones first."""
    room = np.log(values.max() / values.min()) / 6
    chosen: list[float] = []
    for value in sorted(values.unique(), key=lambda value: (value not in ROUND, value)):
        if all(abs(np.log(value / other)) > room for other in chosen):
            chosen.append(float(value))
    return sorted(chosen)


def from_zero(axes: Axes) -> None:
    """The vertical axis starts at 0, with room above the highest point drawn so far."""
    axes.set_ylim(0, 1.05 * axes.get_ylim()[1])
