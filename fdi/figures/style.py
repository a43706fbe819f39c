"""How every figure looks: one journal column, one colour per initialization, legible in print and
to the colour-blind.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Sequence
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_hex
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from fdi.track.files import atomic

COLUMN = 3.35  # inches: 85 mm, one column of a journal
ROW = 1.2  # inches, height of a row of panels
HEAD = 0.4  # inches, title above and axis label below the panels
FOOT_LINE = 0.09  # inches
FOOT_WIDTH = 86  # characters in one column

RC = {
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
MARKERS = {
    "kaiming": "s",
    "xavier": "^",
    "pytorch": "v",
    "orthogonal": "P",
    "lsuv": "X",
    "ikun": "p",
    "spytorch": "*",
    "micheli": "h",
}
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
PRIME = "#EBEBEB"
GREY = "#999999"
ACCENT = "#AA3377"  # what is no initialization: a theory, the right class
BAND = "#E8F1F8"  # the recommended range of sigma_u
MAP = "cividis"  # of heat maps
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
    return (
        COLORS.get(ALIKE.get(init, init))
        or OTHER_COLORS[zlib.crc32(init.encode()) % len(OTHER_COLORS)]
    )


def look(init: str, number: int) -> dict[str, Any]:
    """Colour, mark, line style and opacity of the number-th config of an initialization; lines and
    marks differ, so that they are told apart in grey, too.
    """
    again, style = divmod(number + FIRST_LINE.get(init, 0), len(LINES))
    return {
        "color": color(init),
        "linestyle": LINES[style],
        "alpha": 0.5**again,
        "marker": MARKERS.get(init),
        "markersize": 2.5,
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


def mark(init: str, line: bool = True, number: int = 0) -> dict[str, Any]:
    """Colour, mark and line style of points of an initialization, joined by the number-th `line` or
    by none.
    """
    return {
        "color": color(init),
        "linestyle": LINES[number % len(LINES)] if line else "",
        "marker": "o" if line else MARKERS.get(init, "D"),
        "markersize": 3,
    }


def points(axes: Axes, rows: pd.DataFrame, init: str, line: bool = True, number: int = 0) -> None:
    """Columns x, mean, low, high of `rows` with error bars, in the colour of an initialization."""
    look = mark(init, line, number) | {"capsize": 1.5, "elinewidth": 0.8, "zorder": 3}
    axes.errorbar(rows["x"], rows["mean"], bars(rows), **look)


def sigma_axis(axes: Axes, values: pd.Series) -> None:
    """A logarithmic axis of sigma_u, with ticks at those of the `values` that leave room for
    another.
    """
    axes.set_xscale("log")
    axes.set_xlim(values.min() / 1.25, values.max() * 1.25)
    axes.xaxis.set_major_locator(FixedLocator(apart(values)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.2g}"))
    axes.xaxis.set_minor_locator(NullLocator())
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


class Page(Figure):
    """A figure that a notebook shows, whether or not pyplot is there."""

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        """As sharp as the file, at half its size."""
        content = io.BytesIO()
        self.savefig(content, format="png", dpi=RC["savefig.dpi"])
        return content.getvalue(), {"width": round(self.get_figwidth() * RC["savefig.dpi"] / 2)}


def page(
    mosaic: Sequence[Sequence[str]], width: float = COLUMN, row: float = ROW
) -> tuple[Page, dict[str, Axes]]:
    """A figure `width` inches wide, `row` inches a row, with a panel for each name in `mosaic` ("."
    stays empty).
    """
    figure = Page(figsize=(width, HEAD + row * len(mosaic)), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.03, h_pad=0.03, wspace=0.02, hspace=0.03)
    return figure, figure.subplot_mosaic([list(row) for row in mosaic], empty_sentinel=".")


def foot(figure: Figure, source: str) -> None:
    """Small lines below everything that say where the data come from; the figure grows by them."""
    text = fill(f"data: {source}", round(FOOT_WIDTH * figure.get_figwidth() / COLUMN))
    inches = FOOT_LINE * (text.count("\n") + 1.4)
    height = figure.get_figheight() + inches
    figure.set_figheight(height)
    figure.get_layout_engine().set(rect=(0, inches / height, 1, 1 - inches / height))
    figure.text(0.01, 0.3 * FOOT_LINE / height, text, fontsize=5, color="0.4", va="bottom")


def save(figure: Figure, path: Path) -> list[Path]:
    """Write `path`.pdf and `path`.png, without dates and with the panels at rounded places, so that
    equal figures are equal files: last bits of the layout depend on where it lies in memory.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.set_dpi(RC["savefig.dpi"])
    for _ in range(2):  # the first places ticks, the second makes room for them
        figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for panel in figure.axes:
        panel.set_position(np.round(panel.get_position(original=True).bounds, 6))
    files = [path.with_name(f"{path.name}.{kind}") for kind in ("pdf", "png")]
    for file, metadata in zip(files, ({"CreationDate": None}, {})):
        with atomic(file) as temporary:
            figure.savefig(temporary, format=file.suffix[1:], metadata=metadata)
    return files
