"""The sheet that a figure is drawn on: its panels, its foot, and how it becomes a file."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from PIL import Image

from fdi.figures import style, words
from fdi.figures.style import COLUMN, RC, ROW
from fdi.track.files import atomic

HEAD = 0.4  # inches, title above and axis label below the panels
POINTS = 72.0  # in an inch
WIDE = 0.62  # mean width of a letter over its size
ENTRY = 24  # characters of a line of a legend
TIED = "\N{NBSP}=\N{NBSP}"
FINDING: style.Look = {"fontsize": 8, "fontweight": "bold"}
DETAILS: style.Look = {"fontsize": 5.5, "color": "0.3"}
LEGEND: style.Look = {"loc": "outside right center", "labelspacing": 0.6}
SHADES = 256  # of a PNG


class Page(Figure):
    """A figure that a notebook shows, whether or not pyplot is there."""

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        """As sharp as the file, at half its size."""
        content = BytesIO()
        self.savefig(content, format="png", dpi=RC["savefig.dpi"])
        return content.getvalue(), {"width": round(self.get_figwidth() * RC["savefig.dpi"] / 2)}


def page(
    mosaic: Sequence[Sequence[str]], width: float = COLUMN, row: float = ROW
) -> tuple[Page, dict[str, Axes]]:
    """A figure `width` inches wide, `row` inches a row, with a panel for each name in `mosaic` ("."
    stays empty).
    """
    layout = ConstrainedLayoutEngine(w_pad=0.03, h_pad=0.03, wspace=0.02, hspace=0.03)
    figure = Page(figsize=(width, HEAD + row * len(mosaic)), layout=layout)
    return figure, figure.subplot_mosaic([list(row) for row in mosaic], empty_sentinel=".")


SYMBOLS = r"\\(?:sigma_U|mu_U|alpha|xi|theta)|10\^\{-?\d+\}|[-=()/ ]"
MATH = re.compile(rf"(\$(?:_0|\^2|(?:{SYMBOLS})+)\$)")  # that figures of fdi have


def plain(content: pd.DataFrame) -> pd.DataFrame:
    """The page as it is drawn: without intervals of fewer than words.LEAST seeds, and with its text
    as matplotlib shows it. What users name their runs is no formula, and one that cannot be read
    would end the command; only the symbols of fdi are.
    """
    ends = [name for name in content if str(name).rpartition("_")[2] in ("low", "high")]
    if ends and "n" in content:
        content = content.assign(**content[ends].where(content["n"] >= words.LEAST))
    text = content.select_dtypes(["object", "string"])
    return content.assign(**{name: text[name].map(_plain, na_action="ignore") for name in text})


def _plain(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    parts = MATH.split(value)  # every second one is a formula
    parts[::2] = [part.replace("$", r"\$") for part in parts[::2]]
    return "".join(parts)


def above(
    figure: Figure | SubFigure, handles: Sequence[Artist], finding: str, details: str = ""
) -> None:
    """The finding above the panels, one legend beside them, and the details below; the figure grows
    by what they need.
    """
    assert isinstance(figure, Figure)
    text = _lines(figure, finding, FINDING["fontsize"])
    figure.suptitle(text, x=0.01, ha="left", **FINDING)
    figure.supxlabel(details, x=0.01, ha="left", **DETAILS)
    height = figure.get_figheight() + _inches(text, FINDING["fontsize"])
    if handles:
        names = [str(h.get_label()).replace("sigma_u", "$\\sigma_U$") for h in handles]
        labels = [
            fill(name.replace(" = ", TIED), ENTRY, break_on_hyphens=False, break_long_words=False)
            for name in names
        ]
        figure.legend(handles, labels, **LEGEND)
        least = _inches("\n".join(labels), 7) + 0.06 * len(labels)
        height = max(height, least + 2 * _inches(text, FINDING["fontsize"]))
    figure.set_figheight(height)


def head(axes: Mapping[str, Axes], handles: Sequence[Artist], page: pd.DataFrame) -> None:
    """`above`, with the finding and the title of a page, and its numbers of seeds."""
    first, figure = page.iloc[0], next(iter(axes.values())).figure
    above(figure, handles, first["finding"], f"{first['title']}; {words.over(page['n'])}")


def foot(figure: Figure, page: pd.DataFrame) -> None:
    """Small lines below everything: the details, how the marks are read (`note` of a page, that of
    means over seeds by default), and where the data come from; the figure grows by them.
    """
    first = page.iloc[0]
    note = first.get("note", words.reading(page["n"]) if "n" in page else None)
    said = [figure.get_supxlabel(), note, f"data: {first['source']}"]
    text = _lines(figure, "; ".join(filter(None, said)), DETAILS["fontsize"])
    figure.supxlabel(text, x=0.01, ha="left", **DETAILS)
    figure.set_figheight(figure.get_figheight() + _inches(text, DETAILS["fontsize"]))


def _lines(figure: Figure, text: str, size: float) -> str:
    """The text in lines that fit on the figure, numbers with their units."""
    text = text.replace(" %", "\N{NBSP}%").replace(" = ", TIED)
    characters = round(figure.get_figwidth() * POINTS / (WIDE * size))
    return fill(text, characters, break_long_words=False)


def _inches(text: str, size: float) -> float:
    """The height of lines of text."""
    return (text.count("\n") + 1) * 1.25 * size / POINTS


def entry(look: style.Look, label: str, n: pd.Series) -> Line2D:
    """The entry of the legend for what `marks.points` draws over so many seeds."""
    hollow: style.Look = {"markerfacecolor": "white"} if n.max() < words.LEAST else {}
    return Line2D([], [], **look | hollow, label=label)


def save(figure: Figure, path: Path) -> list[Path]:
    """Write `path`.pdf and `path`.png without dates; returns both."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _settle(figure)
    files = [path.with_name(f"{path.name}.{kind}") for kind in ("pdf", "png")]
    with atomic(files[0]) as temporary:
        figure.savefig(temporary, format="pdf", metadata={"CreationDate": None})
    pixels, dpi = BytesIO(), RC["savefig.dpi"]
    figure.savefig(pixels, format="rgba", dpi=dpi)
    width, height = map(int, figure.bbox.size)
    picture = Image.frombytes("RGBA", (width, height), pixels.getvalue())
    palette = picture.convert("RGB").quantize(SHADES)  # a third of the bytes
    with atomic(files[1]) as temporary:
        palette.save(temporary, format="PNG", optimize=True, dpi=(dpi, dpi))
    return files


def svg(figure: Figure) -> bytes:
    """The figure as SVG, without a date."""
    content = BytesIO()
    with style.alone(), rc_context({"svg.hashsalt": "fdi"}):
        _settle(figure)
        figure.savefig(content, format="svg", metadata={"Date": None})
    return content.getvalue()


def _settle(figure: Figure) -> None:
    """Place the panels for good, at rounded positions, so that equal figures are equal files: the
    last bits of the layout depend on where it lies in memory.
    """
    figure.set_dpi(RC["savefig.dpi"])
    for _ in range(2):  # the first places ticks, the second makes room for them
        figure.draw_without_rendering()
    figure.set_layout_engine(None)  # "none" would have each file drawn twice, for the layout
    for panel in figure.axes:
        panel.set_position(np.round(panel.get_position(original=True).bounds, 6))
