"""Train the same network with some schedules and draw docs/howto/schedules.png: the learning rate
that each epoch ended with, and what it came to. `python scripts/study/draw_schedules.py`, a minute.
"""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
from matplotlib.lines import Line2D

import fdi
from fdi.figures import sheet, style, words
from fdi.study import looks

PICTURE = Path("docs/howto/schedules.png")
SCHEDULES = ("none", "cosine", "one_cycle")


def main() -> int:
    with TemporaryDirectory() as folder:
        found = {name: curves(name, folder) for name in SCHEDULES}
    with style.alone():
        draw(found).savefig(PICTURE)
    print(PICTURE)
    return 0


def curves(schedule: str, folder: str) -> pd.DataFrame:
    """One row per epoch, with its learning rate."""
    run = fdi.run("trainer.epochs=60", f"scheduler={schedule}", results=folder)
    rows = run.metrics
    return rows if "lr" in rows else rows.assign(lr=run.config["optimizer"]["lr"])


def draw(found: dict[str, pd.DataFrame]) -> sheet.Page:
    figure, axes = sheet.page([["rate", "accuracy"]])
    handles = []
    for (name, rows), color, line in zip(found.items(), looks.shades(4)[1:], style.LINES):
        look: style.Look = {"color": color, "linestyle": line}
        axes["rate"].plot(rows["epoch"], 1000 * rows["lr"], **look)
        axes["accuracy"].plot(rows["epoch"], 100 * rows["valid/accuracy"], **look)
        handles.append(Line2D([], [], **look, label=f"scheduler={name}"))
    axes["rate"].set(title="learning rate (1e-3)", xlabel="epoch", ylim=(0, None))
    axes["accuracy"].set(title="validation accuracy (%)", xlabel="epoch")
    last = {name: 100 * rows["valid/accuracy"].iloc[-1] for name, rows in found.items()}
    reached = words.several([f"{name} {value:.0f} %" for name, value in last.items()])
    sheet.above(figure, handles, f"Three schedules: {reached}", "Randman, one network, one seed")
    return figure


if __name__ == "__main__":
    sys.exit(main())
