"""Three regimes of a spiking neuron: silent below threshold, driven by fluctuations, driven by the
mean.
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes

from fdi.analysis.collect import Page, Pages
from fdi.analysis.conditions import groups
from fdi.analysis.results import Results
from fdi.figures import sheet, style, words
from fdi.study import looks

PLACE, TITLE = 2, "Three regimes of a neuron"
ABOUT = (
    "sub-threshold, fluctuation-driven and mean-driven: potential, inter-spike intervals and "
    "their coefficient of variation"
)
NEEDS = "a simulation"
COMMAND = "python scripts/study/simulate_states.py regimes"
SIZE = (style.COLUMN, 1.2)
COLORS = {
    "sub-threshold": "0.5",
    "fluctuation-driven": style.color("fluct"),
    "mean-driven": looks.ACCENT,
}


def data(results: Results) -> Pages:
    """The table of scripts/study/states/regimes.py."""
    table = results.csv("regimes")
    return {"": (table, None)} if len(table) else {}


def panels(page: Page) -> list[list[str]]:
    """A column a regime: its trace, and below it its intervals."""
    return [
        [f"{part} {regime}" for regime in page["regime"].unique()]
        for part in ("trace", "intervals")
    ]


def draw(page: Page, axes: Mapping[str, Axes]) -> None:
    """Draw the three regimes below one another."""
    for regime, rows in groups(page, "regime", sort=False):
        number = rows[rows["part"].isin(["mu_u", "sigma_u", "rate", "cv"])].set_index("part")["y"]
        _trace(axes[f"trace {regime}"], rows, COLORS[regime])
        axes[f"trace {regime}"].set_title(
            f"{regime}: $\\mu_U$ = {number['mu_u']:g}, $\\sigma_U$ = {number['sigma_u']:g}"
        )
        axes[f"trace {regime}"].set_xlabel("time (s)")
        _intervals(axes[f"intervals {regime}"], rows, COLORS[regime], number)
        axes[f"intervals {regime}"].set_xlabel("interval between spikes (ms)")
    first = page["regime"].iloc[0]
    axes[f"trace {first}"].set_ylabel("U (threshold)")
    axes[f"intervals {first}"].set_ylabel("density (1/s)")
    sheet.above(
        axes[f"trace {first}"].figure,
        [],
        f"Does its mean input make a neuron spike, or fluctuations? Both do: {_both(page)}",
        "one simulated neuron; strokes: its spikes, dashed: its threshold; CV: coefficient of "
        "variation of the intervals (1: as irregular as Poisson)",
    )


def _both(page: Page) -> str:
    """The rate and the irregularity of each regime that spikes."""
    numbers = page[page["part"].isin(["rate", "cv"])].pivot(
        index="regime", columns="part", values="y"
    )
    return words.several(
        [
            f"{regime} at {row['rate']:.0f} Hz ({'irregular' if row['cv'] > 0.5 else 'regular'})"
            for regime, row in numbers.dropna(subset="cv").iterrows()
        ]
    )


def _trace(axes: Axes, rows: pd.DataFrame, color: str) -> None:
    trace = rows[rows["part"] == "trace"]
    axes.plot(trace["x"], trace["y"], color=color, linewidth=0.8)
    axes.vlines(rows.loc[rows["part"] == "spikes", "x"], 1.25, 1.75, color=color, linewidth=0.8)
    axes.axhline(1.0, color="black", linestyle="--", linewidth=0.8)
    axes.set_xlim(0, 0.5)
    axes.set_ylim(-2, 1.9)


def _intervals(axes: Axes, rows: pd.DataFrame, color: str, number: pd.Series) -> None:
    intervals = rows[rows["part"] == "intervals"]
    axes.fill_between(
        intervals["x"], 1e3 * intervals["y"], step="mid", color=color, alpha=0.5, linewidth=0
    )
    axes.set_xlim(0, 200)
    axes.set_ylim(0)
    if intervals["y"].sum() == 0:
        axes.set_yticks([])
    cv = f", CV {number['cv']:.2f}" if pd.notna(number["cv"]) else ""
    axes.set_title(f"{number['rate']:.1f} Hz{cv}" if number["rate"] >= 0.1 else "almost no spikes")
