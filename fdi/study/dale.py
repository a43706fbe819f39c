"""Dale's law: excitation and inhibition balance, weights have one sign, and networks of them
learn.
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from fdi.analysis.results import Results
from fdi.analysis.select import groups
from fdi.figures import sheet, style, words
from fdi.study import dale_runs

PLACE, TITLE = 16, "Dale's law"
ABOUT = (
    "networks that obey Dale's law: spikes, balance of excitation and inhibition, weights; "
    "learning curves"
)
NEEDS = "a simulation, or runs of model=dale"
COMMAND = "python scripts/study/simulate_states.py dale; fdi-run -m experiment=dale"
SIZE = (style.COLUMN, 1.15)
CELLS = {"E": style.EXCITATION, "I": style.INHIBITION}
TRACES = {"excitation": style.EXCITATION, "inhibition": style.INHIBITION, "sum": "black"}
KINDS: dict[str, style.Look] = {
    "input to E": {"color": style.GREY, "linestyle": "-"},
    "E to E": {"color": style.EXCITATION, "linestyle": "--"},
    "I to E": {"color": style.INHIBITION, "linestyle": ":"},
}
LAWS = {"fluct": "exponential", "fluct_lognormal": "log-normal"}


def data(results: Results) -> dict[str, pd.DataFrame]:
    """Page "" -> the table of scripts/study/states/dale.py; the other pages are those of
    fdi.study.dale_runs.
    """
    simulated = results.csv("dale")
    return ({"": simulated} if len(simulated) else {}) | dale_runs.pages(results)


def panels(page: pd.DataFrame) -> list[list[str]]:
    """Of the simulation: raster, traces, and below them weights and balance of both laws."""
    if "title" in page:
        return dale_runs.panels(page)
    inits = list(page["init"].unique())
    return [
        ["raster"] * 2,
        ["trace"] * 2,
        [f"weights {init}" for init in inits],
        [f"balance {init}" for init in inits],
    ]


def draw(page: pd.DataFrame, axes: Mapping[str, Axes]) -> None:
    """Draw a simulated state or runs."""
    if "title" in page:
        dale_runs.draw(page, axes)
        return
    for init, rows in groups(page, "init", sort=False):
        _weights(axes[f"weights {init}"], rows[rows["part"] == "weights"])
        _balance(axes[f"balance {init}"], rows[rows["part"] == "balance"], init)
        axes[f"weights {init}"].set_title(f"{LAWS[init]} weights")
    first = page[page["init"] == page["init"].iloc[0]]
    _raster(axes["raster"], first[first["part"] == "raster"])
    _traces(axes["trace"], first[first["part"] == "trace"])
    handles = [Line2D([], [], color=color, label=kind) for kind, color in TRACES.items()]
    handles += [Line2D([], [], **look, label=f"weights, {kind}") for kind, look in KINDS.items()]
    sheet.above(
        axes["raster"].figure,
        handles,
        f"Do excitation and inhibition balance when weights have one sign? Mean inhibition is "
        f"{_shares(page)} of mean excitation",
        "one layer that obeys Dale's law, before training, for two laws of the weights",
    )


def _shares(page: pd.DataFrame) -> str:
    """Mean inhibition over mean excitation, for each law of the weights."""
    rows = page[page["part"] == "balance"].groupby("init", sort=False)[["x", "y"]].mean()
    return words.several([f"{share:.0%}".replace("%", " %") for share in rows["y"] / rows["x"]])


def _raster(axes: Axes, rows: pd.DataFrame) -> None:
    offset = {"E": 0, "I": rows.loc[rows["kind"] == "E", "y"].max() + 5}
    for kind, spikes in groups(rows, "kind", sort=False):
        axes.scatter(
            spikes["x"], spikes["y"] + offset[kind], s=1.2, color=CELLS[kind], linewidths=0
        )
    kinds = {kind: spikes["y"].mean() + offset[kind] for kind, spikes in groups(rows, "kind")}
    axes.set_yticks(list(kinds.values()), list(kinds))
    axes.tick_params(axis="y", length=0)
    axes.set_xlim(0, 0.4)
    axes.set_xticklabels([])
    axes.set_title("spikes of excitatory (E) and inhibitory (I) neurons")


def _traces(axes: Axes, rows: pd.DataFrame) -> None:
    for kind, trace in groups(rows, "kind", sort=False):
        axes.plot(trace["x"], trace["y"], color=TRACES[kind], linewidth=0.9)
    axes.axhline(1, color="black", linestyle="--", linewidth=0.6)
    axes.set_xlim(0, 0.4)
    axes.set_xlabel("time (s)")
    axes.set_ylabel("U (threshold)")
    axes.set_title("free potential of one E neuron and its parts")


def _weights(axes: Axes, rows: pd.DataFrame) -> None:
    for kind, shown in groups(rows, "kind", sort=False):
        axes.plot(shown["x"], shown["y"], **KINDS[kind])
    axes.set_yscale("log")
    axes.set_xlabel("W (threshold)")
    axes.set_ylabel("density")


def _balance(axes: Axes, rows: pd.DataFrame, init: str) -> None:
    axes.scatter(rows["x"], rows["y"], s=4, color=style.color(init), linewidths=0, alpha=0.7)
    top = 1.05 * max(rows["x"].max(), rows["y"].max())
    axes.plot([0, top], [0, top], color="black", linewidth=0.8, linestyle=":", zorder=1)
    axes.set_xlim(0, top)
    axes.set_ylim(0, top)
    axes.set_title("a dot per neuron")
    axes.set_xlabel("mean excitation")
    axes.set_ylabel("mean inhibition")
