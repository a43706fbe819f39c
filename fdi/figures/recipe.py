"""The proof of a recipe: learning curves before and after, and what short trainings with each step
reached.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fdi.analysis.choice import Reached
from fdi.analysis.statistics import PERCENT
from fdi.figures import sheet, style

Curve = tuple[Sequence[float], Sequence[float]]
LOOKS: Mapping[str, style.Look] = {"before": {"color": "0.5"}, "after": {"color": "tab:blue"}}


def draw(curves: Mapping[str, Curve], steps: Mapping[float, Reached], epochs: int) -> sheet.Page:
    """Validation accuracy of `curves`, before and after, over epochs; and of `steps` after that
    many `epochs`.
    """
    with style.alone():
        page, axes = sheet.page([["curves", "steps"]], style.COLUMN, style.ROW)
        for name, (epoch, accuracy) in curves.items():
            shown = [PERCENT * value for value in accuracy]
            axes["curves"].plot(epoch, shown, label=name, **LOOKS[name])
        axes["curves"].legend()
        axes["curves"].set(xlabel="epoch", ylabel="validation accuracy (%)", ylim=(0, PERCENT))
        values = sorted(steps)
        reached = [PERCENT * steps[value].accuracy for value in values]
        axes["steps"].plot(values, reached, "o-", color="0.2", markersize=4)
        axes["steps"].set(xlabel="step size", ylabel=f"after {epochs} epochs (%)", xscale="log")
        axes["steps"].set_ylim(0, PERCENT)
        return page
