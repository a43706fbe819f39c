"""The sheet that a figure is drawn on: its panels, its foot, and how it becomes a file."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from itertools import product
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure, SubFigure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.text import Text
from PIL import Image

from fdi.analysis.summary import tex
from fdi.figures import style, words
from fdi.figures.style import COLUMN, RC, ROW
from fdi.track.files import atomic

HEAD = 0.4  # inches, title above and axis label below the panels
POINTS, MM = 72.0, 25.4  # in an inch
WIDE = 0.62  # mean width of a letter over its size
ENTRY = 24  # characters of a line of a legend
TIED = "\N{NBSP}=\N{NBSP}"
FINDING: style.Look = {"fontsize": 8, "fontweight": "bold"}
DETAILS: style.Look = {"fontsize": 5.5, "color": "0.3"}
LEGEND: style.Look = {"loc": "outside right center", "labelspacing": 0.6}
SHADES = 256  # of a PNG
SPOKEN = 25  # words of an alternative text


PAPER_MM = (85, 180)  # one column of a journal, for panels below one another, and two
LOW = 2.2  # inches, least height of a figure in a paper
SIZES = (7, 9)  # points, least and largest of the text in a paper
INK = 250  # brightness below which a pixel is drawn on
ROOM = (20, 10, 3)  # pixels around a legend, most first


class Page(Figure):
    """A figure that a notebook shows, whether or not pyplot is there. `caption`: what stands around
    its panels, which for a `paper` (its width in mm, else 0) stands in files beside it.
    """

    paper, caption, finding, details = 0, "", "", ""
    entries: Sequence[Artist] = ()

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        """As sharp as the file, at half its size."""
        content = BytesIO()
        self.savefig(content, format="png", dpi=RC["savefig.dpi"])
        return content.getvalue(), {"width": round(self.get_figwidth() * RC["savefig.dpi"] / 2)}


def page(
    mosaic: Sequence[Sequence[str]], width: float = COLUMN, row: float = ROW, paper: bool = False
) -> tuple[Page, dict[str, Axes]]:
    """A figure `width` inches wide, or as wide as columns of a `paper`, `row` inches a row, with a
    panel for each name in `mosaic` ("." stays empty).
    """
    layout = ConstrainedLayoutEngine(w_pad=0.03, h_pad=0.03, wspace=0.02, hspace=0.03)
    wide = PAPER_MM[len({*mosaic[0]}) > 1] * paper
    high = HEAD + row * len(mosaic)
    size = (wide / MM, max(high, LOW)) if wide else (width, high)
    figure = Page(figsize=size, layout=layout)
    figure.paper = wide
    return figure, figure.subplot_mosaic([list(row) for row in mosaic], empty_sentinel=".")


SYMBOLS = r"\\(?:sigma_U|mu_U|alpha|xi|theta)|10\^\{-?\d+\}|[-=()/ ]"
MATH = re.compile(rf"(\$(?:_0|\^2|(?:{SYMBOLS})+)\$)")  # that figures of fdi have


WHOLE = re.compile(r"\S(.*\S)?", re.DOTALL)  # a text without the white space around it


def as_drawn(content: pd.DataFrame) -> pd.DataFrame:
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
    """The entries of the legend, what the figure says, and its details: `around` places them."""
    assert isinstance(figure, Page)
    figure.entries, figure.finding, figure.details = handles, finding, details


def head(axes: Mapping[str, Axes], handles: Sequence[Artist], page: pd.DataFrame) -> None:
    """`above`, with the finding and the title of a page, and its numbers of seeds."""
    first, figure = page.iloc[0], next(iter(axes.values())).figure
    details = f"{first['title']}; {words.seeds_shown(page['n'])}"
    above(figure, handles, first.get("finding", ""), details)


def around(figure: Page, page: pd.DataFrame, title: str) -> None:
    """The title above the panels, the legend beside them, and small lines below: what the figure
    says, its details, how the marks are read (`note` of a page, that of means over seeds by
    default), and where the data come from. The figure grows by them. In a paper only the legend, in
    the panels where there is room for it.
    """
    first = page.iloc[0]
    note = first.get("note", words.reading(page["n"]) if "n" in page else None)
    said = "; ".join(filter(None, [figure.details, note, f"data: {first['source']}"]))
    if figure.finding:
        said = f"{figure.finding}. {said[0].upper()}{said[1:]}"
    figure.caption = f"{f'{title}. ' * bool(title)}{said[0].upper()}{said[1:]}."
    names = [str(h.get_label()).replace("sigma_u", "$\\sigma_U$") for h in figure.entries]
    labels = [
        fill(name.replace(" = ", TIED), ENTRY, break_on_hyphens=False, break_long_words=False)
        for name in names
    ]
    if figure.paper:
        for written in figure.findobj(Text):
            assert isinstance(written, Text)
            written.set_fontsize(float(np.clip(written.get_fontsize(), *SIZES)))
        _legend_inside(figure, labels)
        return
    height, text = figure.get_figheight(), _lines(figure, title, FINDING["fontsize"])
    foot = _lines(figure, said, DETAILS["fontsize"])
    over, under = _inches(text, FINDING["fontsize"]), _inches(foot, DETAILS["fontsize"])
    if title:
        figure.suptitle(text, x=0.01, ha="left", **FINDING)
        height += over
    figure.supxlabel(foot, x=0.01, ha="left", **DETAILS)
    height += under
    if labels:
        figure.legend(figure.entries, labels, **LEGEND)
        least = _inches("\n".join(labels), 7) + 0.06 * len(labels)
        height = max(height, least + 2 * over + under, least + 2 * under)
    figure.set_figheight(height)


def _legend_inside(figure: Page, labels: Sequence[str]) -> None:
    """The legend where most room is left in a panel, in one or more columns; above the panels where
    none has room.
    """
    canvas, counts = FigureCanvasAgg(figure), range(1, len(labels) + 1)
    canvas.draw()
    ink, pixels = np.ones(canvas.get_width_height()[::-1], bool), np.asarray(canvas.buffer_rgba())
    for panel in figure.axes:
        if panel.images:  # white says something there
            continue
        left, low, right, high = map(round, panel.bbox.extents)
        ink[low:high, left:right] = pixels[::-1, :, :3][low:high, left:right].min(2) < INK
    within = np.pad(ink.cumsum(0).cumsum(1), ((1, 0), (1, 0)))

    def legend(columns: int, place: Any) -> tuple[Legend, float, float]:
        made = figure.legend(figure.entries, labels, ncols=columns, loc=place)
        box = made.get_window_extent(canvas.get_renderer())
        return made, box.height, box.width

    for gap, columns in product(ROOM, counts):
        made, height, width = legend(columns, "lower left")
        high, wide = round(height + 2 * gap), round(width + 2 * gap)
        across = within[:, wide:] - within[:, :-wide]
        free = np.argwhere(across[high:] == across[:-high])
        if len(free):
            y, x = free[-1] + gap
            corner = x / ink.shape[1], y / ink.shape[0]
            made.set_bbox_to_anchor(corner, figure.transFigure)
            made.set_in_layout(False)
            return
        made.remove()
    for columns in reversed(counts):
        made, height, width = legend(columns, "outside upper left")
        if width <= ink.shape[1] or columns == 1:
            figure.set_figheight(figure.get_figheight() + height / figure.dpi)
            return
        made.remove()


def _lines(figure: Figure, text: str, size: float) -> str:
    """The text in lines that fit on the figure, numbers with their units."""
    text = text.replace(" %", "\N{NBSP}%").replace(" = ", TIED)
    characters = round(figure.get_figwidth() * POINTS / (WIDE * size))
    return fill(text, characters, break_long_words=False)


def _inches(text: str, size: float) -> float:
    """The height of lines of text."""
    return (text.count("\n") + 1) * 1.25 * size / POINTS


def legend_entry(look: style.Look, label: str, n: pd.Series) -> Line2D:
    """The entry of the legend for what `marks.points` draws over so many seeds."""
    hollow: style.Look = {"markerfacecolor": "white"} if n.max() < words.LEAST else {}
    return Line2D([], [], **look | hollow, label=label)


def caption_text(caption: str, form: Callable[[str], str] = str) -> str:
    """A caption as plain text, or in the form of LaTeX with its formulas."""
    parts = MATH.split(caption)
    plain = (part.replace(r"\$", "$") for part in parts[::2])
    parts[::2] = [WHOLE.sub(lambda text: form(text[0]), part) for part in plain]
    if form is not tex:
        parts[1::2] = [part.strip("$").replace("\\", "") for part in parts[1::2]]
    return " ".join("".join(parts).split())


def alternative(figure: Page) -> str:
    """What the picture shows, for those who do not see it: its title and finding; without one, its
    axes and legend, in at most SPOKEN words.
    """
    labels = {
        "Over": [panel.get_xlabel() for panel in figure.axes if panel.axison],
        "Legend": [str(entry.get_label()) for entry in figure.entries],
    }
    text = ". ".join(filter(None, [figure.caption.partition(". ")[0], figure.finding]))
    for name, names in labels.items():
        longer = f"{text}. {name}: {'; '.join(dict.fromkeys(filter(None, names)))}"
        if not figure.finding and any(names) and len(longer.split()) <= SPOKEN:
            text = longer
    return caption_text(f"{text}.")


def save(figure: Figure, path: Path) -> list[Path]:
    """Write `path`.pdf and `path`.png without dates, and for a paper its caption as text and as a
    figure of LaTeX; returns them.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _settle(figure)
    files = [path.with_name(f"{path.name}.{kind}") for kind in ("pdf", "png")]
    with atomic(files[0]) as temporary:
        figure.savefig(temporary, format="pdf", metadata={"CreationDate": None})
    with atomic(files[1]) as temporary:
        temporary.write_bytes(png(figure))
    if isinstance(figure, Page) and figure.paper:
        texts = {"txt": caption_text(figure.caption), "tex": _of_latex(figure, path.name)}
        for kind, text in texts.items():
            files.append(path.with_name(f"{path.name}.{kind}"))
            with atomic(files[-1]) as temporary:
                temporary.write_text(f"{text}\n", encoding="utf-8")
    return files


def _of_latex(figure: Page, name: str) -> str:
    """The environment of a figure whose file is `name`.pdf."""
    lines = [
        r"\centering",
        rf"\includegraphics[width={figure.paper}mm]{{{name}.pdf}}",
        rf"\caption{{{caption_text(figure.caption, tex)}}}",
        rf"\label{{fig:{name}}}",
    ]
    return "\n  ".join([r"\begin{figure}", *lines]) + "\n" + r"\end{figure}"


def png(figure: Figure) -> bytes:
    """The figure as a PNG of few colours, which is a third of the bytes, without a date."""
    pixels, content, dpi = BytesIO(), BytesIO(), RC["savefig.dpi"]
    with style.house_style():
        _settle(figure)
        figure.savefig(pixels, format="rgba", dpi=dpi)
    width, height = map(int, figure.bbox.size)
    picture = Image.frombytes("RGBA", (width, height), pixels.getvalue())
    palette = picture.convert("RGB").quantize(SHADES)
    palette.save(content, format="PNG", optimize=True, dpi=(dpi, dpi))
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
