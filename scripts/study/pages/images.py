"""Networks on images: what convolutions reach beside what was published, whole sets plain and with
what the field uses, and what makes the spread behind pooled spikes large.
"""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from fdi.analysis.collect import ACCURACY
from fdi.analysis.conditions import moments, where
from fdi.analysis.derived import COLUMNS, with_layers
from fdi.analysis.results import Results
from fdi.analysis.statistics import PERCENT
from fdi.figures import words
from fdi.figures.sweeps import usual
from fdi.figures.words import SCHEDULE
from fdi.study.circumstances import by_authors, standard
from fdi.study.contrasts import depth, training_of_run
from fdi.study.evidence import JOINT
from fdi.study.published import architecture, published
from pages.tables import accuracy, cell, having, listed, markdown

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
    reached = moments(runs, ["init"], ACCURACY, PERCENT).to_dict("records")
    cells = {row["init"]: cell(row) for row in reached}
    whole = runs[runs["cut"].fillna(0) == 0].drop_duplicates("init").to_dict("records")
    return {
        "data and network": training_of_run(runs.iloc[0].to_dict()),
        **{init: cells.get(init, "") for init in SHOWN},
        "published": "<br>".join(
            f"{p.init} {p}" for run in whole for p in published(run, depth(run))
        ),
    }


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
            "schedule": "none" if pd.isna(schedule) else words.schedule_name(schedule),
            "crops, flips": "no" if pd.isna(run[CROP]) and pd.isna(run[FLIP]) else "yes",
            "step size": f"{run['optimizer.lr']:g}",
            "init": run["init"],
            "test accuracy (%)": accuracy(recipe),
        }


def pooled(measured: Results) -> str:
    """A row per kind of sources: rate and spread, means over seeds."""
    means = measured.csv("pooling").groupby("sources", sort=False).mean(numeric_only=True)
    table = pd.DataFrame(
        {
            "the third layer hears": means.index,
            "rate (Hz)": means["rate"].map("{:.0f}".format),
            "sigma_U, whole trial": means["sigma_u"].map("{:.2f}".format),
            "sigma_U, without its first 0.1 s": means["sigma_u_later"].map("{:.2f}".format),
        }
    )
    return markdown(table)
