"""How every figure looks: one journal column, one colour per initialization, legible in print and to the colour-blind."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from pathlib import Path
from textwrap import fill
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

COLUMN = 3.35  # inches: 85 mm, one column of a journal
ROW = 1.2  # inches, height of a row of panels
HEAD = 0.4  # inches, title above and axis label below the panels
LEGEND_LINE = 0.15  # inches
LEGEND_WIDTH = 60  # characters in one column

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
}
OTHER_COLORS = ("#999933", "#44AA99", "#AA4499", "#661100", "#888888")
LINES = ("-", "--", ":", "-.", (0, (5, 1, 1, 1, 1, 1)))
PRIME = "#EBEBEB"


def color(init: str) -> str:
    """The colour of an initialization, the same in every figure; one that fdi does not know gets its own by its name."""
    return COLORS.get(init) or OTHER_COLORS[zlib.crc32(init.encode()) % len(OTHER_COLORS)]


def look(init: str, number: int) -> dict[str, Any]:
    """Colour, line style and opacity of the number-th config of an initialization."""
    again, style = divmod(number, len(LINES))
    return {"color": color(init), "linestyle": LINES[style], "alpha": 0.5**again}


def page(mosaic: Sequence[Sequence[str]]) -> tuple[Figure, dict[str, Axes]]:
    """A figure one column wide, with a panel for each name in `mosaic` ("." stays empty)."""
    figure = Figure(figsize=(COLUMN, HEAD + ROW * len(mosaic)), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.03, h_pad=0.03, wspace=0.02, hspace=0.03)
    return figure, figure.subplot_mosaic([list(row) for row in mosaic], empty_sentinel=".")


def legend(figure: Figure, handles: Sequence[Artist], title: str) -> None:
    """One legend above the panels, in two columns if the labels are short; the figure grows by what it needs."""
    labels = [fill(str(handle.get_label()), LEGEND_WIDTH) for handle in handles]
    columns = 2 if max(map(len, labels)) <= LEGEND_WIDTH // 2 else 1
    title = fill(title, LEGEND_WIDTH + 5)
    lines = title.count("\n") + -(-sum(label.count("\n") + 1 for label in labels) // columns)
    figure.set_figheight(figure.get_figheight() + LEGEND_LINE * lines)
    figure.legend(handles=handles, labels=labels, title=title, loc="outside upper left", alignment="left", ncols=columns)


def save(figure: Figure, path: Path) -> list[Path]:
    """Write `path`.pdf and `path`.png, without dates, so that equal figures are equal files."""
    path.parent.mkdir(parents=True, exist_ok=True)
    files = [path.with_name(f"{path.name}.{kind}") for kind in ("pdf", "png")]
    figure.savefig(files[0], metadata={"CreationDate": None})
    figure.savefig(files[1])
    return files
