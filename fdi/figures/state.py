"""How initial states are told apart in a figure: the colour of the initialization, light to dark in
sigma_u.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import pandas as pd
from matplotlib.colors import to_hex, to_rgb

from fdi.analysis.select import groups
from fdi.figures import style, words


class State(NamedTuple):
    """An initialization at one sigma_u, or without any (NaN)."""

    init: str
    sigma_u: float
    color: str
    baseline: bool

    @property
    def label(self) -> str:
        name = words.init(self.init)
        return name if pd.isna(self.sigma_u) else f"{name}, $\\sigma_U$ = {self.sigma_u:g}"

    def rows(self, table: pd.DataFrame) -> pd.DataFrame:
        same = (
            table["sigma_u"].isna() if pd.isna(self.sigma_u) else table["sigma_u"] == self.sigma_u
        )
        return table[(table["init"] == self.init) & same]

    def look(self) -> dict[str, Any]:
        return style.look(self.init) | {"color": self.color}


def states(table: pd.DataFrame) -> Iterator[State]:
    """The states of a table with the columns init, baseline and sigma_u: baselines first, then each
    initialization from small sigma_u to large.
    """
    for (other, init), rows in groups(table, [~table["baseline"].astype(bool), "init"]):
        values = sorted(rows["sigma_u"].unique())
        for i, value in enumerate(values):
            yield State(init, value, shade(style.color(init), (i + 1) / len(values)), not other)


def shade(color: str, depth: float) -> str:
    """The colour at `depth` = 1, mixed with white below it."""
    share = 0.35 + 0.65 * depth
    red, green, blue = (share * channel + 1 - share for channel in to_rgb(color))
    return to_hex((red, green, blue))


def places(populations: Sequence[str]) -> dict[str, int]:
    """Populations in order of their layer, excitation before inhibition: e1, i1, e2, i2."""
    depth = {name: int(re.sub(r"\D", "", name) or 0) for name in populations}
    order = sorted(populations, key=lambda name: depth[name])
    return {name: place for place, name in enumerate(order, 1)}
