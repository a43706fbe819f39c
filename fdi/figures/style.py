"""How every figure looks: as wide as the text of a page, one colour per initialization, legible in
print and to the colour-blind.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib.style
import pandas as pd
from matplotlib import rc_params_from_file
from matplotlib.colors import to_hex, to_rgb

from fdi.analysis.conditions import groups
from fdi.figures import words

COLUMN = 6.7  # inches: 170 mm, both columns of a journal
ROW = 1.2  # inches, height of a row of panels

Look = dict[str, Any]
"""How lines, marks and bars look: keyword arguments of matplotlib."""

STYLE = Path(__file__).with_name("fdi.mplstyle")
RC: Any = dict(rc_params_from_file(STYLE, use_default_template=False))


def house_style() -> AbstractContextManager[None]:
    """What is drawn in its block looks as said here, whatever matplotlibrc is near: one in a
    stranger's folder could name a preamble for LaTeX to run.
    """
    return matplotlib.style.context(["default", STYLE])


OTHER_COLORS = ("#999933", "#44AA99", "#AA4499", "#661100", "#888888")
OTHER_MARKERS = ("d", "8", "<", ">")
LINES = ("-", "--", ":", "-.", (0, (5, 1, 1, 1, 1, 1)))
SHADES = 3  # of a colour up to the colour itself; of more, the others are darker
PRIME = "#EBEBEB"
GREY = "#999999"


def traits(init: str) -> words.Traits:
    """Colour and mark of an initialization, the same in every figure; one that fdi does not know
    gets its own by its name.
    """
    number = zlib.crc32(init.encode())
    color, marker = (each[number % len(each)] for each in (OTHER_COLORS, OTHER_MARKERS))
    return words.INITS.get(init) or words.Traits(init, color, marker)


def color(init: str) -> str:
    """The colour of an initialization."""
    return traits(init).color


def init_look(init: str, number: int = 0, line: bool = True) -> Look:
    """Colour, mark, line style and opacity of the number-th config of an initialization, joined by
    a `line` or not; lines and marks differ, so that they are told apart in grey, too.
    """
    own = traits(init)
    again, place = divmod(number + own.line, len(LINES))
    style = {"linestyle": LINES[place] if line else "", "alpha": 0.5**again}
    return {"color": own.color, **style, "marker": own.marker, "markersize": 3}


class InitialState(NamedTuple):
    """An initialization, at one of the values of the key `shade` if it has several (else NaN)."""

    init: str
    shade: Any
    label: str
    color: str
    line: Any

    def rows(self, table: pd.DataFrame) -> pd.DataFrame:
        same = table["shade"].isna() if pd.isna(self.shade) else table["shade"] == self.shade
        return table[(table["init"] == self.init) & same]

    def look(self) -> Look:
        return init_look(self.init) | {"color": self.color, "linestyle": self.line}


def styled_states(
    table: pd.DataFrame, key: str = "init.sigma_u", alone: bool = False
) -> Iterator[InitialState]:
    """The initializations of a table with the columns init, baseline and shade, the values of
    `key`: baselines first, then each initialization from light to dark. `alone`: the shade is the
    name of those that have several.
    """
    for (_, init), rows in groups(table, [~table["baseline"].astype(bool), "init"]):
        values = sorted(rows["shade"].unique(), key=lambda value: (pd.isna(value), value))
        for i, value in enumerate(values):
            said = not pd.isna(value) or len(values) > 1
            names = [words.init(init)] * (not (alone and said)) + [words.phrase(key, value)] * said
            line = LINES[i % len(LINES)] if len(values) > 1 else init_look(init)["linestyle"]
            shaded = shade(color(init), (i + 1) / min(len(values), SHADES))
            yield InitialState(init, value, ", ".join(names), shaded, line)


def shade(color: str, depth: float) -> str:
    """The colour at `depth` = 1, mixed with white below it, and darker above it."""
    share = min(1, 0.35 + 0.65 * depth)
    red, green, blue = ((share * part + 1 - share) / max(1, depth) for part in to_rgb(color))
    return to_hex((red, green, blue))


def ordered(populations: Sequence[str]) -> dict[str, int]:
    """Populations in order of their layer, excitation before inhibition: e1, i1, e2, i2."""
    depth = {name: int(re.sub(r"\D", "", name) or 0) for name in populations}
    order = sorted(populations, key=lambda name: depth[name])
    return {name: place for place, name in enumerate(order, 1)}
