"""The sheet that a figure is drawn on: its panels, its foot, and how it becomes a file."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from textwrap import fill

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from PIL import Image

from fdi.figures.style import COLUMN, RC, ROW
from fdi.track.files import atomic

HEAD = 0.4  # inches, title above and axis label below the panels
FOOT_LINE = 0.09  # inches
FOOT_WIDTH = 86  # characters in one column
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


def foot(figure: Figure, source: str) -> None:
    """Small lines below everything that say where the data come from; the figure grows by them."""
    text = fill(f"data: {source}", round(FOOT_WIDTH * figure.get_figwidth() / COLUMN))
    inches = FOOT_LINE * (text.count("\n") + 1.4)
    grow(figure, below=inches)
    height = figure.get_figheight()
    figure.text(0.01, 0.3 * FOOT_LINE / height, text, fontsize=5, color="0.4", va="bottom")


def grow(figure: Figure, above: float = 0.0, below: float = 0.0) -> None:
    """Make the figure higher by so many inches that panels leave free."""
    engine, height = figure.get_layout_engine(), figure.get_figheight()
    assert isinstance(engine, ConstrainedLayoutEngine)
    _, bottom, _, share = engine.get().get("rect", (0, 0, 1, 1))
    below += bottom * height
    above += (1 - bottom - share) * height
    panels = share * height
    figure.set_figheight(panels + below + above)
    whole = figure.get_figheight()
    engine.set(rect=(0, below / whole, 1, panels / whole))


def save(figure: Figure, path: Path) -> list[Path]:
    """Write `path`.pdf and `path`.png without dates; returns both."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _settle(figure)
    files = [path.with_name(f"{path.name}.{kind}") for kind in ("pdf", "png")]
    with atomic(files[0]) as temporary:
        figure.savefig(temporary, format="pdf", metadata={"CreationDate": None})
    pixels = BytesIO()
    figure.savefig(pixels, format="png")
    dpi = RC["savefig.dpi"]
    palette = Image.open(pixels).convert("RGB").quantize(SHADES)  # a third of the bytes
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
    figure.set_layout_engine("none")
    for panel in figure.axes:
        panel.set_position(np.round(panel.get_position(original=True).bounds, 6))
