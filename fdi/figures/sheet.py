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
from matplotlib.transforms import ScaledTranslation, Transform
from PIL import Image

from fdi.figures import style, words
from fdi.figures.style import COLUMN, RC, ROW
from fdi.track.files import atomic

HEAD = 0.4  # inches, title above and axis label below the panels
FOOT_LINE = 0.1  # inches
FOOT_WIDTH = 150  # characters in COLUMN
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


def foot(figure: Figure, page: pd.DataFrame) -> None:
    """Small lines below everything that say how the marks are read (`note` of a page, that of means
    over seeds by default) and where the data come from; the figure grows by them.
    """
    first = page.iloc[0]
    note = first.get("note", words.reading(page["n"]) if "n" in page else None)
    said = "; ".join(filter(None, [note, f"data: {first['source']}"]))
    text = fill(said, round(FOOT_WIDTH * figure.get_figwidth() / COLUMN))
    inches = FOOT_LINE * (text.count("\n") + 1.4)
    grow(figure, below=inches)
    height = figure.get_figheight()
    figure.text(0.01, 0.3 * FOOT_LINE / height, text, fontsize=5.5, color="0.4", va="bottom")


def grow(
    figure: Figure, above: float = 0, below: float = 0, right: float = 0, within: float = 0
) -> None:
    """Make the figure higher by so many inches that panels leave free, as they do on its right, and
    the panels by those `within`.
    """
    engine, height = figure.get_layout_engine(), figure.get_figheight()
    assert isinstance(engine, ConstrainedLayoutEngine)
    _, bottom, wide, share = engine.get().get("rect", (0, 0, 1, 1))
    below += bottom * height
    above += (1 - bottom - share) * height
    panels = share * height + within
    figure.set_figheight(panels + below + above)
    whole = figure.get_figheight()
    wide -= right / figure.get_figwidth()
    engine.set(rect=(0, below / whole, wide, panels / whole))


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
    _settle(figure)
    content = BytesIO()
    with rc_context({"svg.hashsalt": "fdi"}):
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


MARGIN = 0.04  # inches
GAP = 0.05  # inches between lines of different kinds
LONGEST = 150  # characters of a line
ENTRY = 24  # characters of a line of a legend
FINDING = {"fontsize": 8, "fontweight": "bold"}
DETAILS = {"fontsize": 6, "color": "0.3"}
LEGEND: style.Look = {"loc": "upper right", "bbox_to_anchor": (1, 1), "labelspacing": 0.6}
LEGEND |= {"borderaxespad": 0, "borderpad": 0.1}


def above(
    figure: Figure | SubFigure, handles: Sequence[Artist], finding: str, details: str = ""
) -> None:
    """The finding, below it the details, and one legend beside the panels; the figure grows by
    what they need.
    """
    assert isinstance(figure, Figure)
    top = MARGIN
    for text, look in ((finding, FINDING), (details, DETAILS)):
        if text:
            top += _line(figure, text, top, look) + GAP
    grow(figure, above=top)
    if handles:
        where = _from_top(figure, top, -MARGIN)
        labels = [_entry(str(handle.get_label())) for handle in handles]
        legend = figure.legend(handles, labels, bbox_transform=where, **LEGEND)
        wide, high = (size / figure.dpi for size in legend.get_window_extent().size)
        lacks = max(0.0, top + high - figure.get_figheight())
        grow(figure, right=wide + 2 * MARGIN, within=lacks)


def head(axes: Mapping[str, Axes], handles: Sequence[Artist], page: pd.DataFrame) -> None:
    """`above`, with the finding and the title of a page, and its numbers of seeds."""
    first, figure = page.iloc[0], next(iter(axes.values())).figure
    above(figure, handles, first["finding"], f"{first['title']}; {words.over(page['n'])}")


def _line(figure: Figure, text: str, top: float, look: dict[str, Any]) -> float:
    """Text in as few lines as fit, `top` inches from the top; its height in inches."""
    text = text.replace(" %", "\N{NBSP}%").replace(" = ", "\N{NBSP}=\N{NBSP}")
    line = figure.text(0, 1, text, va="top", transform=_from_top(figure, top), **look)
    for characters in range(LONGEST, 20, -2):
        line.set_text(fill(text, characters, break_long_words=False))
        if line.get_window_extent().width <= _room(figure):
            break
    return line.get_window_extent().height / figure.dpi


def _entry(label: str) -> str:
    """The label of an entry of the legend, in lines; a formula is not parted."""
    label = label.replace("sigma_u", "$\\sigma_U$").replace(" = ", "\N{NBSP}=\N{NBSP}")
    return fill(label, ENTRY, break_on_hyphens=False, break_long_words=False)


def _from_top(figure: Figure, inches: float, aside: float = MARGIN) -> Transform:
    return figure.transFigure + ScaledTranslation(aside, -inches, figure.dpi_scale_trans)


def _room(figure: Figure) -> float:
    return (0.98 * figure.get_figwidth() - 2 * MARGIN) * figure.dpi


def entry(look: style.Look, label: str, n: pd.Series) -> Line2D:
    """The entry of the legend for what `marks.points` draws over so many seeds."""
    hollow: style.Look = {"markerfacecolor": "white"} if n.max() < words.LEAST else {}
    return Line2D([], [], **look | hollow, label=label)
