"""The measurements of initial states that speak for or against a claim (fdi.analysis.claims)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from fdi.analysis.circumstances import bounds
from fdi.analysis.evidence import FLUCT, Evidence, NetworkName
from fdi.analysis.floor import task_gradient
from fdi.analysis.published import architecture
from fdi.analysis.results import READOUT, Results
from fdi.analysis.select import records, where

SILENT = 0.1  # Hz, and less
MANY = 100  # ratio: two orders of magnitude
UNDER_DALE = ("dale", "dale_conv")


def silence(results: Results) -> Iterator[Evidence]:
    """All but the first layer of networks without Dale's law at sigma_U = 0.2, before training."""
    probe = _probed(results, {**FLUCT, "init.sigma_u": 0.2})
    for network, rows in _networks(probe):
        if network.layers > 1:
            later = rows[rows["layer"] > 1].groupby("layer")["rate"].mean()
            yield Evidence(
                f"{_named(rows)}, sigma_U = 0.2: at most {later.max():.2g} Hz from the second "
                f"layer on, n = {rows['seed'].nunique()}",
                network,
                decided=bool(later.max() <= SILENT),
            )


def gradients(results: Results) -> Iterator[Evidence]:
    """How the norms of gradients before training vary with sigma_U, in hidden layers and in the
    readout: ratio of the largest mean over seeds to the smallest, over those sigma_U at which the
    readout has a gradient because the last hidden layer fires. Of the task alone where that is
    known, else of the objective with its bounds.
    """
    free = {key: value for key, value in FLUCT.items() if key != "init.sigma_u"}
    probe = _probed(results, free, readout=True)
    if probe.empty:
        return
    for network, rows in _networks(probe):
        kinds = {"of the task": (rows.dropna(subset="task"), "task")}
        if not _measured(*kinds["of the task"]):
            kinds = {f"with {name}": (group, "grad") for name, group in rows.groupby("bounds")}
        for what, (chosen, column) in kinds.items():
            if network.layers == 1 or not _measured(chosen, column):
                continue
            means = _means(chosen, column)
            ratio = means.max(axis=1) / means.min(axis=1)
            hidden, readout = ratio.drop(READOUT), ratio[READOUT]
            swept = chosen[chosen["init.sigma_u"].isin(means)].groupby("init.sigma_u")
            yield Evidence(
                f"{_named(rows)}, sigma_U {means.columns.min():g} to "
                f"{means.columns.max():g}, gradients {what}: hidden ones vary by a factor of "
                f"{_factor(hidden.min())} to {_factor(hidden.max())}, the readout's by "
                f"{_factor(readout)}, n = {swept['seed'].nunique().min()} or more",
                network,
                decided=bool(hidden.min() >= MANY and readout < MANY),
            )


def _measured(rows: pd.DataFrame, column: str) -> bool:
    """Are there three values of sigma_u at which the readout has a gradient?"""
    return len(rows) > 0 and _means(rows, column).shape[1] > 2


def _networks(probe: pd.DataFrame) -> Iterator[tuple[NetworkName, pd.DataFrame]]:
    for _, rows in probe.groupby(["dataset", "model", "layers"]):
        first = rows.iloc[0]
        yield NetworkName(first["dataset"], architecture(first["model"]), first["layers"]), rows


def _named(rows: pd.DataFrame) -> str:
    first = rows.iloc[0]
    return f"{first['dataset']}, {first['model']}, {first['layers']} layers"


def _means(rows: pd.DataFrame, column: str) -> pd.DataFrame:
    """Mean over seeds of each population (a row) at each sigma_U of several seeds where the readout
    has some.
    """
    rows = rows[rows.groupby("init.sigma_u")["seed"].transform("nunique") > 1]
    means = rows.groupby(["population", "init.sigma_u"])[column].mean().unstack()
    return means.loc[:, means.loc[READOUT] > 0] if len(means) else means


def _factor(ratio: float) -> str:
    return "more than 1e5" if ratio > 1e5 else f"{ratio:.2g}" if ratio < 100 else f"{ratio:.0f}"


def _probed(results: Results, values: dict[str, Any], readout: bool = False) -> pd.DataFrame:
    """The initial states of these runs, with `layers` (how many), `layer` (which), sigma_u, bounds
    and the gradient of the `task`.
    """
    probe = results.probe.assign(task=task_gradient(results))
    if not readout:
        probe = probe[probe["population"] != READOUT]
    runs = where(results.runs, values)
    runs = runs[~runs["model"].isin(UNDER_DALE)]
    runs = runs.assign(bounds=[bounds(run) for run in records(runs, "homeostasis.")])
    kept = ["path", "init.sigma_u", "bounds"]
    rows = probe.merge(runs[kept] if len(runs) else pd.DataFrame(columns=["path"]), on="path")
    rows["layer"] = rows["population"].str.extract(r"(\d+)$")[0].astype(float)
    rows["layers"] = rows.groupby("path")["layer"].transform("max")
    return rows.dropna(subset="layers").astype({"layers": int}) if len(rows) else rows
