"""Train the same network with some schedules and draw docs/howto/schedules.png: the learning rate
that each epoch ended with, and what it came to. `python scripts/study/draw_schedules.py`, a minute.
"""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import matplotlib.pyplot as plt
import pandas as pd

import fdi

PICTURE = Path("docs/howto/schedules.png")
SCHEDULES = ("none", "cosine", "one_cycle")


def main() -> int:
    with TemporaryDirectory() as folder:
        found = {name: curves(name, folder) for name in SCHEDULES}
    draw(found).savefig(PICTURE, dpi=150)
    print(PICTURE)
    return 0


def curves(schedule: str, folder: str) -> pd.DataFrame:
    """One row per epoch, with its learning rate."""
    run = fdi.run("trainer.epochs=60", f"scheduler={schedule}", results=folder)
    rows = run.metrics
    return rows if "lr" in rows else rows.assign(lr=run.config["optimizer"]["lr"])


def draw(found: dict[str, pd.DataFrame]) -> plt.Figure:
    figure, (above, below) = plt.subplots(2, 1, figsize=(6, 4.5), sharex=True, layout="constrained")
    for name, rows in found.items():
        above.plot(rows["epoch"], 1000 * rows["lr"], label=f"scheduler={name}")
        below.plot(rows["epoch"], 100 * rows["valid/accuracy"])
    above.set(ylabel="learning rate (1e-3)", ylim=(0, None))
    above.legend(frameon=False, fontsize="small")
    below.set(ylabel="validation accuracy (%)", xlabel="epoch")
    for axes in (above, below):
        axes.spines[["top", "right"]].set_visible(False)
    return figure


if __name__ == "__main__":
    sys.exit(main())
