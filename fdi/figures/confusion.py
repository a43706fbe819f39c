"""Which classes are taken for which, and the accuracy of each class."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from fdi.analysis.collect import METRIC, Page, Pages
from fdi.analysis.conditions import groups, moments
from fdi.analysis.results import Results
from fdi.analysis.statistics import PERCENT
from fdi.figures import marks, sheet, style, words
from fdi.figures.sweeps import learned
from fdi.track.record import look

PLACE, TITLE = 10.8, "Which classes are taken for which"
ABOUT = "which share of the test samples of each class is taken for which, and its accuracy"
NEEDS = "finished runs of classes, one a sample"
COMMAND = "fdi-run -m dataset=digits init=kaiming,fluct 'seed=range(3)'"
SIZE = (style.COLUMN, 2.0)
BY_CLASS = "accuracy of each class (%)"
ACROSS, DODGE = 3, 0.15  # panels in a row; how far marks of a class are apart


def data(results: Results) -> Pages:
    """Page -> a row per initialization, class and predicted class: init, x, predicted, mean (%, of
    the samples of class x); where these two are the same, low and high; n, title.
    """
    done = results.runs[results.runs["state"] == "done"]
    done = done[done[METRIC].isna()] if METRIC in done else done
    pages: Pages = {}
    for (dataset, model), runs in learned(done):
        counted = {path: (look(Path(path)).result or {}).get("confusion") for path in runs["path"]}
        runs = runs[runs["path"].map(counted).notna()]
        parts = [_shares(init, members, counted) for init, members in groups(runs, "init")]
        if parts:
            page = pd.concat(parts, ignore_index=True)
            page = page.assign(title=words.trained(runs))
            pages[f"{dataset}_{model}"] = page, runs
    return pages


def _shares(init: str, runs: pd.DataFrame, counted: Mapping[str, Any]) -> pd.DataFrame:
    n_SKK = np.array([counted[path] for path in runs["path"]], float)
    shares = PERCENT * n_SKK / np.maximum(n_SKK.sum(2, keepdims=True), 1)
    each, predicted = np.indices(shares.shape[1:]).reshape(2, -1)
    rows = pd.DataFrame({"init": init, "x": each, "predicted": predicted, "n": len(runs)})
    rows["mean"] = shares.mean(0).ravel()
    right = [
        moments(runs.assign(of=share), ["init"], "of", most=PERCENT).assign(x=k, predicted=k)
        for k, share in enumerate(shares.diagonal(axis1=1, axis2=2).T)
    ]
    return pd.concat([rows[rows["x"] != rows["predicted"]], *right])


def panels(page: Page) -> list[list[str]]:
    """A matrix for each initialization, and the accuracies beside each other."""
    names = [*page["init"].unique(), BY_CLASS]
    rows = [names[i : i + ACROSS] for i in range(0, len(names), ACROSS)]
    return [row + ["."] * (min(ACROSS, len(names)) - len(row)) for row in rows]


def draw(page: Page, axes: Mapping[str, Axes]) -> None:
    """Black is 100 %; a mark for the accuracy of each class."""
    handles, last = [], axes[BY_CLASS]
    for place, (init, rows) in enumerate(groups(page, "init", sort=False)):
        panel, look_of = axes[init], style.init_look(init, line=False)
        matrix = rows.pivot(index="x", columns="predicted", values="mean")
        panel.imshow(matrix, cmap="Greys", vmin=0, vmax=PERCENT)
        panel.set(xlabel="predicted class", ylabel="class", title=words.init(init))
        right = rows[rows["x"] == rows["predicted"]]
        marks.points(last, right.assign(x=right["x"] + DODGE * place), look_of)
        handles.append(sheet.legend_entry(look_of, words.init(init), right["n"]))
    last.set(xlabel="class", title=BY_CLASS)
    last.locator_params(axis="x", integer=True)
    marks.from_zero(last)
    sheet.head(axes, handles, page)
