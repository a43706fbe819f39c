"""The table of docs/comparisons.md that changes the length of the trial."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from fdi.analysis.contrasts import setting
from fdi.analysis.results import Results
from fdi.analysis.select import where, with_layers
from fdi.study.circumstances import standard
from fdi.study.evidence import STATES
from fdi.study.initial_states import largest
from pages.tables import accuracy, having, listed

COMMAND = "fdi-run -m dataset=cifar10 dataset.steps=50,250 init=kaiming,fluct"
VARIED = ["optimizer.eps", "trial", "homeostasis.upper.rate"]


def trials(measured: Results) -> str:
    """A row per initial state, eps, length of the trial and upper bound, for networks on constant
    images that were trained in trials of several lengths: the largest hidden gradient of the
    task over the floor, and the accuracy.
    """
    runs = where(
        standard(with_layers(measured.runs)), {"state": "done", "dataset.encoding": "constant"}
    )
    runs = runs.join(largest(measured)["ratio"], on="path").dropna(subset="ratio")
    runs = having(runs, *VARIED)
    names = [setting(run | {"trial": None}) for run in runs.to_dict("records")]
    runs = runs.assign(network=names)
    rows = [row for _, network in runs.groupby("network") for row in _rows(network)]
    return listed(rows, COMMAND)


def _rows(network: pd.DataFrame) -> Iterator[dict[str, str]]:
    for state, values in STATES.items():
        chosen = where(network, values).dropna(subset="trial")
        for (eps, trial, bound), runs in chosen.groupby(VARIED, dropna=False):
            yield {
                "network": runs["network"].iloc[0],
                "initial state": state,
                "eps": f"{eps:g}",
                "trial (s)": f"{trial:g}",
                "upper bound (Hz)": "none" if pd.isna(bound) else f"{bound:g}",
                "gradient over floor": f"{runs['ratio'].median():.0e}",
                "test accuracy (%)": accuracy(runs),
            }
