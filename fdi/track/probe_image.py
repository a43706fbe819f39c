"""The initial state as a picture, for those who look at runs in a browser."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib import style
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

PANELS = (
    (
        "spread of U",
        {
            "target_sigma_u": "target",
            "theory_sigma_u": "theory",
            "free_sigma": "measured",
            "sigma": "with reset",
        },
    ),
    ("rate (Hz)", {"rate": "rate"}),
    ("norm of the gradient", {"grad": "gradient"}),
)


@style.context("default")
def probe_image(rows: list[dict[str, Any]]) -> np.ndarray:
    """The rows of fdi.init.probe against depth, uint8 [height, width, 3]."""
    figure = Figure(figsize=(9, 2.8), layout="constrained")
    canvas = FigureCanvasAgg(figure)
    for axes, (title, curves) in zip(figure.subplots(1, len(PANELS)), PANELS):
        for key, label in curves.items():
            values = [np.nan if row[key] is None else row[key] for row in rows]
            axes.plot(range(len(rows)), values, marker="o", label=label)
        axes.set_xticks(range(len(rows)), [row["population"] for row in rows], rotation=90)
        axes.set_title(title)
        axes.set_ylim(bottom=0)
    figure.axes[0].legend()
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3]
