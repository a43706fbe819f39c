"""Runs with known numbers: folders with learning curves, and tables in memory; and what every
drawing must keep.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import making
import pandas as pd
import pytest
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.text import Text

from fdi.analysis.collect import KEYS
from fdi.analysis.results import Results
from fdi.figures import sheet, style

BASELINES = ("kaiming", "xavier", "pytorch", "orthogonal", "lsuv", "gain")


@pytest.fixture
def write_run(tmp_path: Path) -> Callable[..., Path]:
    """`making.write_run` below tmp_path, with the last validation accuracy as that on the test
    set; `sigma_u`: that of fluct, and the gain of others.
    """

    def write(
        init: str,
        seed: int,
        curve: Sequence[float],
        *,
        hidden: int = 128,
        sigma_u: float = 1.0,
        populations: Sequence[str] = ("h1",),
        done: bool = True,
        **more: Any,
    ) -> Path:
        own = "init.sigma_u" if init == "fluct" else "init.gain"
        config = {"model.hidden": hidden, own: sigma_u, "trainer.epochs": len(curve)}
        rates = dict.fromkeys(populations, 8.0)
        accuracy = curve[-1] if done else None
        given = {"config": config, "rates": rates, "curve": curve}
        return making.write_run(tmp_path, init, seed, accuracy, **given, **more)

    return write


@pytest.fixture
def results(tmp_path: Path) -> Callable[..., Results]:
    """Tables in memory, from runs given as (init, seed, accuracy, layers, config columns).

    A hidden layer i has the initial rate 10 i Hz, spread 0.9 i, gradient 0.1 i and predicted spread
    0.2; 5 Hz after training. Validation accuracy grows over three epochs to that on the test set.
    """

    def build(
        runs: Iterable[tuple[str, int, float, int, dict[str, Any]]],
        model: str = "dense",
        state: str = "done",
    ) -> Results:
        rows, probe, curves = [], [], []
        for number, (init, seed, accuracy, layers, config) in enumerate(runs):
            path = f"{model}/{init}/{number}"
            values = (path, "randman", model, init, seed, f"{number:08x}", state)
            keys = dict(zip(KEYS, values))
            judged = ("test_accuracy_last", "test_accuracy_best", "valid_accuracy_last")
            numbers = {"epoch": 3.0, "epochs": 3.0, **dict.fromkeys(judged, accuracy)}
            rates = {f"rate/h{i}": 5.0 for i in range(1, layers + 1)}
            fixed = {
                "source": "own runs",
                "baseline": init in BASELINES,
                "classes": 10.0,
                "test_samples": 1000.0,
                "seed": seed,
                "trainer.epochs": 3,
            }
            rows.append({**keys, "error": None, **numbers, **rates, **fixed, **config})
            for i in range(1, layers + 1):
                measured = {
                    "rate": 10.0 * i,
                    "grad": 0.1 * i,
                    "grad_task_max": 0.1 * i,
                    "floor_steady": 0.1 * config.get("optimizer.eps", 1e-16) ** 0.5,
                    "floor_noisy": config.get("optimizer.eps", 1e-16) ** 0.5,
                    "free_sigma": 0.9 * i,
                    "theory_sigma_u": 0.2,
                    "target_sigma_u": 1.0,
                }
                probe.append({**keys, "population": f"h{i}", **measured})
            for epoch in (1, 2, 3):
                grown = dict.fromkeys(("valid/accuracy", "train/accuracy"), accuracy * epoch / 3)
                curves.append({**keys, "epoch": epoch, "phase": "task", **grown, **rates})
        return Results(pd.DataFrame(rows), pd.DataFrame(curves), pd.DataFrame(probe), tmp_path)

    return build


@pytest.fixture
def drawn() -> Callable[..., tuple[Figure, dict[str, Axes]]]:
    """Draws a page, and checks that it says what it shows, that each entry of a legend has its
    mark, that intervals are drawn, and that no text overlaps another one or leaves the page.
    """

    def draw(module, page: pd.DataFrame) -> tuple[Figure, dict[str, Axes]]:
        page = sheet.as_drawn(page)
        with rc_context(style.RC):
            figure, axes = sheet.page(module.panels(page), *module.SIZE)
            module.draw(page, axes)
            sheet.around(figure, page, module.TITLE)
            renderer = FigureCanvasAgg(figure).get_renderer()
            figure.draw_without_rendering()
            boxes = [
                (text.get_text(), text.get_window_extent(renderer)) for text in _visible(figure)
            ]
        assert not [
            (a, b)
            for i, (a, box) in enumerate(boxes)
            for b, other in boxes[:i]
            if box.overlaps(other)
        ]
        outside = [
            a
            for a, box in boxes
            if box.x0 < figure.bbox.x0
            or box.x1 > figure.bbox.x1
            or box.y0 < -1
            or box.y1 > figure.bbox.y1 + 1
        ]
        assert not outside
        headline = [text for text in figure.texts if text.get_fontweight() == "bold"]
        assert [text.get_text().strip() != "" for text in headline] == [True], "a title, and one"
        assert not {name for legend in figure.legends for name in _unmarked(legend)}
        if {"mean", "low", "n"} <= set(page):
            assert _bars(figure) >= page["low"].notna().any()
        return figure, axes

    return draw


def _unmarked(legend: Legend) -> set[str]:
    """Entries that show neither a line nor a mark nor an area."""
    return {
        text.get_text()
        for handle, text in zip(legend.legend_handles, legend.get_texts())
        if isinstance(handle, Line2D)
        and handle.get_linestyle() == "None"
        and handle.get_marker() in (None, "", "None")
    }


def _bars(figure: Figure) -> bool:
    """Is there an interval: an error bar with a length, a band, or two numbers in a cell?"""
    drawn = [each for panel in figure.axes for each in panel.collections]
    bars = [each for each in drawn if isinstance(each, LineCollection) and each.get_segments()]
    bands = [each for each in drawn if isinstance(each, PolyCollection)]
    cells = [t for a in figure.axes for t in a.texts if re.search(r"\d\.\.\d", t.get_text())]
    return bool(bars or bands or cells)


def _visible(figure: Figure) -> list[Text]:
    """All texts but the labels of ticks outside the limits of their axis, which are not drawn."""
    hidden = set()
    for axis in (axis for panel in figure.axes for axis in (panel.xaxis, panel.yaxis)):
        low, high = sorted(axis.get_view_interval())
        ticks = [*axis.get_major_ticks(), *axis.get_minor_ticks()]
        hidden |= {tick.label1 for tick in ticks if not low <= tick.get_loc() <= high}
    return [
        text
        for text in figure.findobj(Text)
        if text.get_text() and text.get_visible() and text not in hidden
    ]
