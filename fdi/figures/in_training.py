"""The state of a network while it is trained, as the probe measures it every `probe_every` epochs:
rates, means and spreads of the potential, and what spike counts tell of the class.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pandas as pd
from matplotlib.axes import Axes

from fdi.analysis.collect import Page, Pages, Runs
from fdi.analysis.results import VALID, Results
from fdi.figures import learning_curves, sheet, style

PLACE, TITLE = 10.5, "States in training"
ABOUT = (
    "rate, spread of the potential, and the share of samples whose class a linear readout of spike "
    "counts knows, over epochs, in three layers"
)
NEEDS = "finished runs with probe_every that do better than guessing"
COMMAND = "fdi-run -m experiment=homeostatic budget=laptop"
SIZE = (style.COLUMN, 1.25)
QUANTITIES = {
    "rate": "rate (Hz)",
    "free_sigma": "$\\sigma_U$ (threshold)",
    "decoded": "class decoded (%)",
}
PROBE = "probe/"


def data(results: Results) -> Pages:
    """Pages as those of the learning curves, for probe/<quantity>/<population>, of runs that have
    some; the initial state stands before the first epoch.
    """
    if "probe_every" not in results.runs:
        return {}
    probed = replace(results, runs=results.runs[results.runs["probe_every"] > 0])

    def with_start(runs: Runs) -> pd.DataFrame:
        states, curves = results.probe_of(runs), results.curves_of(runs)
        wide = states.reindex(columns=["path", "seed", "population", *QUANTITIES]).pivot(
            index=["path", "seed"], columns="population", values=[*QUANTITIES]
        )
        wide.columns = [f"{PROBE}{quantity}/{name}" for quantity, name in wide.columns]
        known = [column for column in wide if column in curves]
        start = wide[known].reset_index().assign(epoch=0, phase="start")
        return pd.concat([start, curves.astype({"path": str, "phase": str})], ignore_index=True)

    pages = learning_curves.paginate(
        probed, with_start, lambda q: q.startswith(PROBE) or q == VALID
    )
    return {
        name: (page, runs)
        for name, (page, runs) in pages.items()
        if page["quantity"].str.startswith(PROBE).any()
    }


def panels(page: Page) -> list[list[str]]:
    """A row for each quantity, with the first, the middle and the last population."""
    first = f"{PROBE}rate/"
    names = [q.removeprefix(first) for q in page["quantity"].unique() if q.startswith(first)]
    shown = dict.fromkeys((names[0], names[len(names) // 2], names[-1]))
    return [[f"{PROBE}{quantity}/{name}" for name in shown] for quantity in QUANTITIES]


def draw(page: Page, axes: Mapping[str, Axes]) -> None:
    """Draw a page of `data`; panels of a row share their limits."""
    rows = panels(page)
    learning_curves.over_epochs(page, axes)
    for row, title in zip(rows, QUANTITIES.values()):
        limits = [axes[name].get_ylim() for name in row]
        for name in row:
            axes[name].set_ylim(min(low for low, _ in limits), max(high for _, high in limits))
            axes[name].tick_params(labelleft=name == row[0], labelbottom=row == rows[-1])
        axes[row[0]].set_ylabel(title)
    for name, last in zip(*rows[:: len(rows) - 1]):
        axes[name].set_title(f"population {name.rpartition('/')[2]}")
        axes[last].set_xlabel("epoch")
    sheet.head(axes, learning_curves.entries(page), page)
