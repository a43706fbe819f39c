"""What convolutional networks reach from each initialization, beside what was published."""

from __future__ import annotations

import pandas as pd

from fdi.analysis.contrasts import PERCENT, moments, setting
from fdi.analysis.results import Results
from fdi.analysis.select import architecture, where, with_layers
from fdi.analysis.studies import published
from fdi.analysis.summary import ACCURACY
from fdi.figures.sweeps import usual
from fdi.study.circumstances import by_authors, standard
from fdi.study.evidence import JOINT
from pages.tables import cell, listed

SHOWN = ("kaiming", "fluct", "fluct_calibrated", "lsuv")
MODELS = ("conv", "conv_recurrent")


def convolutions(measured: Results) -> str:
    """One row per network and size of its data, at the longest of the trainings that compare most
    of the initializations, at sigma_u = 1.
    """
    done = where(standard(measured.runs), JOINT | {"state": "done"})
    runs = with_layers(by_authors(done))
    runs = runs[runs["init"].isin(SHOWN) & runs["model"].map(architecture).isin(MODELS)]
    runs = runs.assign(cut=runs.get("dataset.max_train", 0))
    rows = []
    for _, group in runs.groupby(["dataset", "model", "layers", "cut", "trial"], dropna=False):
        chosen = usual(group)
        several = chosen.groupby("trainer.epochs")["init"].nunique()
        epochs = several[several == several.max()].index.max()
        if several.max() > 1:
            rows.append(_row(chosen[chosen["trainer.epochs"] == epochs]))
    return listed(rows)


def _row(runs: pd.DataFrame) -> dict[str, str]:
    reached = moments(runs, ["init"], ACCURACY, PERCENT, PERCENT).to_dict("records")
    cells = {row["init"]: cell(row) for row in reached}
    whole = runs[runs["cut"].fillna(0) == 0].drop_duplicates("init").to_dict("records")
    return {
        "data and network": setting(runs.iloc[0].to_dict()),
        **{init: cells.get(init, "") for init in SHOWN},
        "published": "<br>".join(f"{p.init} {p}" for run in whole for p in published(run)),
    }
