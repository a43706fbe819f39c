"""Depth: which initial states still train deep networks, and how activity propagates through them
before training.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from fdi.analysis.contrasts import accuracies, moments
from fdi.analysis.results import Results
from fdi.analysis.select import kept
from fdi.analysis.statistics import chance_share
from fdi.figures import marks, sheet, style, sweeps, words
from fdi.figures.style import State, states

PLACE, TITLE = 8, "Deep networks"
ABOUT = (
    "accuracy by depth and initial state, and the rate of each layer of the deepest network "
    "before training"
)
NEEDS = "runs with at least two values of model.depth"
COMMAND = "fdi-run -m experiment=depth"
NAMED = 4  # initializations that a finding names one by one
SIZE = (style.COLUMN, 1.35)
KEYS = ["init", "baseline", "sigma_u"]
SILENT = 0.02  # Hz, where layers without spikes are drawn
DODGE = 0.02  # of the horizontal axis, between lines that would hide one another


def data(results: Results) -> dict[str, pd.DataFrame]:
    """Page -> a row per part and point: part (accuracy in %, rate in Hz), init, baseline, sigma_u,
    x (depth or layer), mean, sd, n, low, high, of the accuracy guess (share of the runs no better
    than guessing), versus and verdict (against kaiming of the same depth), chance (%), finding,
    title, source. Networks without bounds on the activity have a page of their own.
    """
    joint = results.runs.get("homeostasis.joint", pd.Series(True, index=results.runs.index))
    bounded = _pages(kept(results.runs, joint.ne(False)), results, "")
    return bounded | _pages(kept(results.runs, joint.eq(False)), results, "_unbounded")


def _pages(runs: pd.DataFrame, results: Results, suffix: str) -> dict[str, pd.DataFrame]:
    pages = {}
    for (dataset, model), group in sweeps.sweeps(runs, _deep_and_shallow, ["model.depth"]):
        chosen = sweeps.crossed(sweeps.states(group.dropna(subset=["model.depth"])), "model.depth")
        chosen = chosen.assign(x=chosen["model.depth"])
        deepest = chosen[chosen["x"] == chosen["x"].max()]
        layers = results.layers.reindex(columns=["path", "population", "rate"]).merge(
            deepest[["path", "seed", *KEYS]], on="path"
        )
        layers = layers.assign(x=layers.groupby("path").cumcount() + 1)
        accuracy = accuracies(chosen, [*KEYS, "x"], within=["x"])
        accuracy = accuracy.merge(_guesses(chosen), on=[*KEYS, "x"])
        rate = moments(layers, [*KEYS, "x"], "rate")
        table = pd.concat(
            [accuracy.assign(part="accuracy"), rate.assign(part="rate")], ignore_index=True
        )
        title = [
            f"{words.setting(chosen, 'epochs')}: {sheet.over(accuracy['n'])}",
            words.condition(chosen),
        ]
        pages[f"{dataset}_{model}{suffix}"] = table.assign(
            chance=100 / chosen["classes"].iloc[0],
            finding=finding(accuracy),
            title="; ".join(filter(None, title)),
            source=sweeps.source(chosen),
        )
    return pages


def _guesses(runs: pd.DataFrame) -> pd.DataFrame:
    """The share of the runs at each point that are no better than guessing."""
    classes, samples = (int(runs[column].iloc[0]) for column in ("classes", "test_samples"))
    groups = runs.groupby([*KEYS, "x"], dropna=False)["test_accuracy_last"]
    shares = groups.apply(lambda accuracy: chance_share(accuracy.dropna(), classes, samples))
    return shares.rename("guess").reset_index()


def _deep_and_shallow(runs: pd.DataFrame) -> int:
    """At how many depths an initial state was trained; 0 if at fewer than two."""
    depths = sweeps.levels(runs, "model.depth")
    compared = depths >= 2 and len(sweeps.crossed(sweeps.states(runs), "model.depth")) > 0
    return depths if compared else 0


def finding(accuracy: pd.DataFrame) -> str:
    """What the deepest networks reach from the best state of each initialization (the range if
    there are many), and from which depth on others stay at chance.
    """
    deepest = accuracy["x"].max()
    rows = accuracy[accuracy["x"] == deepest].sort_values("mean", ascending=False)
    rows = rows.drop_duplicates("init")
    lost = rows[rows["guess"] == 1]
    learning = rows[rows["guess"] < 1]
    each = [
        f"{words.init(init, True)} {mean:.0f} %"
        for init, mean in zip(learning["init"], learning["mean"])
    ]
    reached = words.several(each) if len(each) <= NAMED else f"from {each[-1]} to {each[0]}"
    parts = [f"With {words.layers(deepest)}: {reached}"] if reached else []
    for init in lost["init"]:
        own = accuracy[accuracy["init"] == init]
        better = own.loc[own["guess"] < 1, "x"]
        first = own.loc[own["x"] > (better.max() if len(better) else -np.inf), "x"].min()
        on = f"from {words.layers(first)} on" if first > own["x"].min() else "at every depth"
        parts.append(f"{words.init(init)} at chance {on}")
    return "; ".join(parts)


def panels(page: pd.DataFrame) -> list[list[str]]:
    """Accuracy over depth above, rates per layer below."""
    return [["accuracy"], *([["rate"]] if "rate" in set(page["part"]) else [])]


def draw(page: pd.DataFrame, axes: Mapping[str, Axes]) -> None:
    """A line for each initial state."""
    drawn = list(states(page))
    rows = page[page["part"] == "accuracy"]
    _accuracies(axes["accuracy"], rows, drawn)
    if "rate" in axes:
        _rates(axes["rate"], page[page["part"] == "rate"], drawn)
    handles = [Line2D([], [], **state.look(), label=state.label) for state in drawn]
    handles.append(Line2D([], [], color=style.GREY, linestyle=":", label="chance"))
    first = page.iloc[0]
    sheet.above(axes["accuracy"].figure, handles, first["finding"], first["title"])


def _dodged(rows: pd.DataFrame, number: int, of: int) -> pd.Series:
    return rows["x"] + DODGE * np.ptp([1, rows["x"].max()]) * (number - (of - 1) / 2)


def _accuracies(axes: Axes, rows: pd.DataFrame, drawn: list[State]) -> None:
    for number, state in enumerate(drawn):
        line = state.rows(rows).sort_values("x")
        marks.points(axes, line.assign(x=_dodged(line, number, len(drawn))), state.look())
    axes.axhline(rows["chance"].iloc[0], color=style.GREY, linewidth=0.8, linestyle=":", zorder=0)
    axes.set_ylim(0, 103)
    axes.set_xticks(sorted(rows["x"].unique()))
    axes.set_xlabel("number of hidden layers")
    axes.set_ylabel("test accuracy (%)")


def _rates(axes: Axes, rows: pd.DataFrame, drawn: list[State]) -> None:
    for number, state in enumerate(drawn):
        line = state.rows(rows).sort_values("x")
        line = line.assign(x=_dodged(line, number, len(drawn)))
        line[["mean", "low"]] = line[["mean", "low"]].clip(lower=SILENT)
        marks.points(axes, line, state.look())
    axes.set_yscale("log")
    axes.set_ylim(SILENT / 1.5, max(250, 1.3 * rows[["mean", "high"]].max(axis=None)))
    axes.set_yticks([SILENT, 0.1, 1, 10, 100], ["silent", "0.1", "1", "10", "100"])
    axes.minorticks_off()
    axes.set_xticks(sorted(rows["x"].unique()))
    axes.set_xlabel("layer of the deepest network")
    axes.set_ylabel("rate before training (Hz)")
