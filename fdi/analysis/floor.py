"""How far above the floor of its optimizer the initial gradients of a run lie."""

from __future__ import annotations

import numpy as np
import pandas as pd

from fdi.analysis.bounds import unbounded
from fdi.analysis.results import READOUT, Results
from fdi.analysis.select import kept, records
from fdi.train.optimizers import floor


def task_gradient(results: Results) -> pd.Series:
    """Norm of the gradient of the task alone in each population, by the index of `results.probe`:
    measured as such, or that of an objective without bounds; NaN where bounds hide it.
    """
    free = set(unbounded(results.runs)["path"])
    probe = results.probe.reindex(columns=["path", "grad", "grad_task"])  # of no run: without
    return probe["grad_task"].fillna(probe["grad"].where(probe["path"].isin(free)))


def largest(results: Results) -> pd.DataFrame:
    """By the path of the run: `gradient`, the largest `task_gradient` of a hidden population, and
    `layers`, how many there are.
    """
    probe = results.probe.assign(gradient=task_gradient(results))
    hidden = probe[probe["population"] != READOUT].groupby("path")["gradient"]
    return pd.DataFrame({"gradient": hidden.max(), "layers": hidden.size()})


def ratios(results: Results) -> pd.DataFrame:
    """By the path of the run, for the finished runs without bounds whose initial state was measured
    and whose optimizer has a floor: `gradient`, the largest norm over the hidden populations of the
    gradient of their afferent weights, `floor`, and `ratio`, one over the other.
    """
    runs = unbounded(kept(results.runs, results.runs["state"] == "done"))
    measured = results.layers.reindex(columns=["path", "grad"])  # of no run: without columns
    gradient = measured.groupby("path")["grad"].max()
    table = pd.DataFrame(
        {
            "gradient": gradient.reindex(runs["path"]).astype(float),
            "floor": [floor(run) for run in records(runs, "optimizer.")],
        },
        index=runs["path"],
    )
    table["ratio"] = table["gradient"] / table["floor"]
    return table[np.isfinite(table["ratio"])]
