"""One trial before and after training, or priming: input, hidden spikes, potentials, readout."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from fdi.analysis.collect import Page, Pages
from fdi.analysis.conditions import groups
from fdi.analysis.results import Results
from fdi.figures import sheet, style, words
from fdi.study import looks

PLACE, TITLE = 18, "One trial"
ABOUT = (
    "one trial of Randman before training, after priming and after the task: input, hidden spikes, "
    "potentials of some neurons, readout"
)
NEEDS = "a simulation"
COMMAND = "python scripts/study/simulate_states.py snapshot"
SIZE = (style.COLUMN, 1.6)
MOMENTS = {"before": "before training", "primed": "after priming", "after": "after training"}
PARTS = {
    "input": "input unit",
    "hidden": "hidden neuron",
    "potential": "U (threshold)",
    "readout": "readout",
}
RIGHT: style.Look = {"color": looks.ACCENT, "linewidth": 1.5, "zorder": 3}
WRONG: style.Look = {"color": "0.6", "linewidth": 0.6}
ROOM = 1.1  # between the potentials of two neurons, in units of the largest range of one


def data(results: Results) -> Pages:
    """The table of scripts/study/states/snapshot.py."""
    table = results.csv("snapshot")
    inits = groups(table, "init") if len(table) else ()
    return {str(init): (page, None) for init, page in inits}


def panels(page: Page) -> list[list[str]]:
    """A row for each moment, before training on top; a column for each part."""
    return [[f"{part} {moment}" for part in PARTS] for moment in MOMENTS]


def draw(page: Page, axes: Mapping[str, Axes]) -> None:
    """Draw the trial; the readout of the right class is thick."""
    for (moment, part), rows in groups(page, ["moment", "part"], sort=False):
        if part in PARTS:
            {"potential": _potentials, "readout": _readout}.get(part, _raster)(
                axes[f"{part} {moment}"], rows, page
            )
    right = int(page.loc[page["part"] == "label", "y"].iloc[0])
    for moment in MOMENTS:
        axes[f"input {moment}"].set_title(MOMENTS[moment])
        axes[f"readout {moment}"].set_title(_answer(page, moment, right))
    for part in PARTS:
        _share_limits([axes[f"{part} {moment}"] for moment in MOMENTS])
    sheet.above(
        axes["input before"].figure,
        _handles(),
        _finding(page, right),
        f"the first test sample that both networks know after training, of class {right}, through "
        f"one{_training(page)}; potentials of some neurons of the last layer",
    )
    for name, panel in axes.items():
        part, moment = name.split()
        panel.set_xlim(0, page["x"].max())
        panel.set_ylabel(PARTS[part])
        if moment == "after":
            panel.set_xlabel("time (s)")
        else:
            panel.set_xticklabels([])


def _training(page: Page) -> str:
    """How the network was trained, where that is known."""
    known = page[page["part"].isin(words.RATES)].set_index("part")[["y"]].T
    return f" trained with {words.condition(known)}" * bool(known.size)


def _answer(page: Page, moment: str, right: int) -> str:
    """Whether the class whose readout is highest at any time is the `right` one."""
    readout = page[(page["part"] == "readout") & (page["moment"] == moment)]
    highest = readout.groupby("unit")["y"].max()
    if highest.nunique() == 1:  # nothing arrives at the readout
        return "no answer"
    return "the right answer" if highest.idxmax() == right else "a wrong answer"


def _finding(page: Page, right: int) -> str:
    """What the network answers at each moment."""
    answers = [f"{_answer(page, moment, right)} {MOMENTS[moment]}" for moment in MOMENTS]
    return f"From {words.init(page['init'].iloc[0])} weights: {', '.join(answers)}"


def _handles() -> list[Line2D]:
    threshold: style.Look = {"color": "black", "linestyle": "--", "linewidth": 0.6}
    return [
        Line2D([], [], **threshold, label="threshold"),
        Line2D([], [], **RIGHT, label="readout of the right class"),
        Line2D([], [], **WRONG, label="of the others"),
    ]


def _raster(axes: Axes, rows: pd.DataFrame, page: Page) -> None:
    axes.scatter(
        rows["x"],
        rows["y"],
        s=1.5,
        color="0.2" if rows["part"].iloc[0] == "input" else style.color(page["init"].iloc[0]),
        linewidths=0,
    )


def _potentials(axes: Axes, rows: pd.DataFrame, page: Page) -> None:
    ranges = page[page["part"] == "potential"].groupby(["moment", "unit"])["y"].agg(np.ptp)
    spacing = ROOM * ranges.max()  # so that no trace crosses another
    for unit, trace in groups(rows, "unit"):
        axes.axhline(1 + spacing * unit, color="black", linestyle="--", linewidth=0.4)
        axes.plot(
            trace["x"],
            trace["y"] + spacing * unit,
            color=style.color(page["init"].iloc[0]),
            linewidth=0.8,
        )
    axes.set_yticks([0], ["0"])


def _readout(axes: Axes, rows: pd.DataFrame, page: Page) -> None:
    right = page.loc[page["part"] == "label", "y"].iloc[0]
    for unit, trace in groups(rows, "unit"):
        axes.plot(trace["x"], trace["y"], **RIGHT if unit == right else WRONG)


def _share_limits(panels: list[Axes]) -> None:
    limits = [panel.get_ylim() for panel in panels]
    for panel in panels:
        panel.set_ylim(min(low for low, _ in limits), max(high for _, high in limits))
