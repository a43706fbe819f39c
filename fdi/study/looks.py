"""Colours and an axis of the figures of this study."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_hex

from fdi.figures import marks

ACCENT = "#AA3377"  # what is no initialization: a theory, the right class
BAND = "#E8F1F8"  # the recommended range of sigma_u
EXCITATION, INHIBITION = "#117733", "#AA4466"
SEQUENCE = ("#A6CDE8", "#56A0D3", "#0072B2", "#004B78", "#002A45", "#001522")
"""Light to dark, for an ordered quantity."""


def shades(number: int) -> list[str]:
    """`number` colours for an ordered quantity, from light to dark."""
    if number <= 4:
        return list(SEQUENCE[:number])
    between = LinearSegmentedColormap.from_list("sequence", SEQUENCE)
    return [to_hex(between(place)) for place in np.linspace(0, 1, number)]


def sigma_axis(axes: Axes, values: pd.Series) -> None:
    """The `log_axis` of sigma_u."""
    marks.log_axis(axes, values)
    axes.set_xlabel("$\\sigma_U$ (units of threshold)")
