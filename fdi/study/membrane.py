"""The theory at work: weights, the membrane potential they cause, and its distribution against the
predicted Gaussian, for three xi.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from fdi.analysis.collect import Page, Pages
from fdi.analysis.results import Results
from fdi.config.metric import in_percent
from fdi.figures import sheet, style, words
from fdi.study import looks

PLACE, TITLE = 1, "The theory at work"
ABOUT = (
    "the theory: Poisson input, weights, potential and its distribution against the Gaussian, "
    "for xi = 1, 2, 3"
)
NEEDS = "a simulation"
COMMAND = "python scripts/study/simulate_states.py membrane"
SIZE = (style.COLUMN, 1.15)
THETA = 1.0
FREE, RESET = style.GREY, style.color("fluct")


def data(results: Results) -> Pages:
    """The table of scripts/study/states/membrane.py."""
    table = results.csv("membrane")
    return {"": (table, None)} if len(table) else {}


def panels(page: Page) -> list[list[str]]:
    """Input and weights below one another; beside them, trace and two distributions for each xi."""
    first = ["input", *["weights"] * len(_xis(page))]
    rows = [[f"trace {xi}", f"trace {xi}", f"free {xi}", f"reset {xi}"] for xi in _xis(page)]
    return [[one, one, *row] for one, row in zip(first, rows)]


def draw(page: Page, axes: Mapping[str, Axes]) -> None:
    """Draw the simulated states."""
    _input(axes["input"], page[page["part"] == "raster"])
    _weights(axes["weights"], page)
    for xi in _xis(page):
        rows = page[page["xi"] == xi]
        _trace(axes[f"trace {xi}"], rows, xi)
        _histogram(axes[f"free {xi}"], rows, xi, "own")
        _histogram(axes[f"reset {xi}"], rows, xi, "reset")
    first, last = _xis(page)[0], _xis(page)[-1]
    axes[f"free {first}"].set_title("without reset")
    axes[f"reset {first}"].set_title("with reset")
    axes[f"trace {last}"].set_xlabel("time (s)")
    for kind in ("free", "reset"):
        axes[f"{kind} {last}"].set_xlabel("density")
    sheet.above(
        axes["input"].figure,
        [
            Line2D([], [], color=FREE, label="potential, no reset"),
            Line2D([], [], color=RESET, label="potential"),
            Line2D([], [], color="black", linestyle="--", linewidth=0.8, label="threshold"),
            Line2D([], [], color=looks.ACCENT, label="predicted Gaussian"),
            Patch(color=FREE, alpha=0.5, label="around own mean"),
            Line2D([], [], color="0.25", linewidth=0.7, label="all neurons pooled"),
        ],
        f"Does the membrane potential spread as the theory predicts? Without reset, "
        f"its spread is {_measured(page)} of that",
        "one neuron and its layer under Poisson input, weights drawn for three spreads",
    )


def _measured(page: Page) -> str:
    """Spread of the potential around each neuron's mean over the predicted one, for each xi."""
    shares = []
    for xi in _xis(page):
        rows = page[(page["part"] == "histogram") & (page["kind"] == "own") & (page["xi"] == xi)]
        mean = np.average(rows["x"], weights=rows["y"])
        shares.append(xi * np.sqrt(np.average(np.square(rows["x"] - mean), weights=rows["y"])))
    return words.several([in_percent(share) for share in shares])


def _xis(page: Page) -> list[int]:
    return sorted(xi for xi in page["xi"].unique() if xi > 0)


def _input(axes: Axes, raster: pd.DataFrame) -> None:
    axes.scatter(raster["x"], raster["y"], s=1.0, color="0.2", linewidths=0)
    axes.set_title("60 of 700 inputs")
    axes.set_xlabel("time (s)")
    axes.set_ylabel("input unit")
    axes.set_xlim(0, 0.5)


def _weights(axes: Axes, page: Page) -> None:
    xis = _xis(page)
    for xi, shade in zip(xis, looks.shades(len(xis))):
        rows = page[(page["part"] == "weights") & (page["xi"] == xi)]
        sigma_w = page.loc[
            (page["part"] == "number") & (page["xi"] == xi) & (page["kind"] == "sigma_w"), "y"
        ].iloc[0]
        axes.fill_between(rows["x"], rows["y"], step="mid", color=shade, alpha=0.35, linewidth=0)
        axes.plot(
            rows["x"],
            _gauss(rows["x"], sigma_w),
            color=shade,
            linewidth=0.9,
            label=f"$\\xi$ = {xi}",
        )
    axes.set_title("weights")
    axes.set_xlabel("W (units of threshold)")
    axes.set_ylabel("density")
    axes.set_ylim(0)
    axes.legend(loc="upper right", handlelength=1.0, borderaxespad=0)


def _trace(axes: Axes, rows: pd.DataFrame, xi: int) -> None:
    traces = rows[rows["part"] == "trace"]
    for kind, color, width in (("free", FREE, 0.8), ("reset", RESET, 0.9)):
        trace = traces[traces["kind"] == kind]
        axes.plot(trace["x"], trace["y"], color=color, linewidth=width)
    axes.vlines(rows.loc[rows["part"] == "spikes", "x"], 2.3, 2.8, color=RESET, linewidth=0.8)
    axes.axhline(THETA, color="black", linestyle="--", linewidth=0.8)
    rate = rows.loc[(rows["part"] == "number") & (rows["kind"] == "rate"), "y"].iloc[0]
    axes.set_title(f"$\\xi$ = {xi}, $\\sigma_U$ = {'1' if xi == 1 else f'1/{xi:g}'}: {rate:.1f} Hz")
    axes.set_xlim(0, 0.5)
    axes.set_ylim(-3, 3)
    axes.set_yticks([-2, 0, 2])
    axes.set_ylabel("U (threshold)")


def _histogram(axes: Axes, rows: pd.DataFrame, xi: int, kind: str) -> None:
    """Density sideways, so that it lines up with the trace."""
    histograms = rows[rows["part"] == "histogram"]
    shown = histograms[histograms["kind"] == kind]
    if kind == "own":
        axes.fill_betweenx(shown["x"], shown["y"], step="mid", color=FREE, alpha=0.5, linewidth=0)
        pooled = histograms[histograms["kind"] == "free"]
        axes.step(pooled["y"], pooled["x"], where="mid", color="0.25", linewidth=0.7)
    else:
        axes.fill_betweenx(shown["x"], shown["y"], step="mid", color=RESET, alpha=0.35, linewidth=0)
    axes.plot(_gauss(shown["x"], 1 / xi), shown["x"], color=looks.ACCENT, linewidth=1.0)
    axes.axhline(THETA, color="black", linestyle="--", linewidth=0.8)
    axes.set_ylim(-3, 3)
    axes.set_xlim(0, 1.4 * xi / np.sqrt(2 * np.pi))
    axes.xaxis.set_major_locator(MaxNLocator(2))
    axes.set_yticks([-2, 0, 2])
    if kind == "reset":
        axes.set_yticklabels([])


def _gauss(x: pd.Series, sigma: float) -> np.ndarray:
    return np.exp(-np.square(x.to_numpy() / sigma) / 2) / (sigma * np.sqrt(2 * np.pi))
