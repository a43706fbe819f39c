"""The table of docs/comparisons.md of whole sets of images, plain and with what the field uses."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from fdi.analysis.derived import COLUMNS
from fdi.analysis.results import Results
from fdi.analysis.select import with_layers
from fdi.figures import words
from fdi.figures.words import SCHEDULE
from pages.tables import accuracy, having, listed

WHOLE = ("cifar10", "fashion_mnist")
CROP, FLIP = "dataset.crop", "dataset.flip"
NETWORK = ["dataset", "model", "layers", "dataset.steps", "trainer.epochs"]
RECIPE = ["condition", SCHEDULE, CROP, FLIP, "optimizer.lr", "init"]
COMMAND = "fdi-run dataset=fashion_mnist model=conv scheduler=cosine model.norm=tdbn"


def whole(measured: Results) -> str:
    """A row per network, length of training and recipe of runs with all training images."""
    columns = (*NETWORK, *RECIPE, "model.norm", "model.skip", "dataset.max_train")
    runs = with_layers(having(measured.runs, *columns))
    runs = runs[runs["dataset"].isin(WHOLE) & (runs["state"] == "done")]
    runs = runs[runs["dataset.max_train"].isna()]
    runs = runs.assign(condition=COLUMNS["instead"].of(runs.fillna({"model.norm": "none"})))
    return listed(list(_rows(runs)), COMMAND)


def _rows(runs: pd.DataFrame) -> Iterator[dict[str, str]]:
    for key, recipe in runs.groupby([*NETWORK, *RECIPE], dropna=False):
        run = dict(zip([*NETWORK, *RECIPE], key))
        schedule = run[SCHEDULE]
        yield {
            "network": f"{run['dataset']}, {run['model']}, {words.layers(run['layers'])}",
            "steps": f"{run['dataset.steps']:.0f}",
            "epochs": f"{run['trainer.epochs']:.0f}",
            "normalization, skip": run["condition"],
            "schedule": "none" if pd.isna(schedule) else words.schedule(schedule),
            "crops, flips": "no" if pd.isna(run[CROP]) and pd.isna(run[FLIP]) else "yes",
            "step size": f"{run['optimizer.lr']:g}",
            "init": run["init"],
            "test accuracy (%)": accuracy(recipe),
        }
