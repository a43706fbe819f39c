"""The tables of docs/comparisons.md that set the gradient beside the effective floor: of each
network, by the surrogate gradient, and by the length of the trial.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from fdi.analysis.collect import ACCURACY
from fdi.analysis.conditions import where
from fdi.analysis.derived import unbounded, with_layers
from fdi.analysis.results import Results
from fdi.snn.surrogate import steepness
from fdi.study import gradients
from fdi.study.circumstances import EPS, SIZE, STANDARD, constant_rate, plain_networks, standard
from fdi.study.contrasts import training_of_run
from fdi.study.evidence import FLUCT, STATES
from fdi.study.initial_states import largest, ratios
from pages.tables import accuracy, having, listed, markdown, unmeasured

SEVERAL = 3  # spreads of a network that is shown, seeds at a lowered eps
KEYS = ["dataset", *SIZE, "model", "layers"]
OVER, REACHED = "over the effective floor", "test accuracy (%)"
OLDER = "with older numerics alone"
LEAST = 1e-30  # stands for no gradient in a geometric mean


def reached(measured: Results) -> str:
    """A row per network of several layers and initialization that was trained, where three spreads
    or more were probed: largest element of the gradient of the task in a hidden layer (geometric
    mean), its ratio to the effective floor of the authors' optimizer, and the accuracy without
    bounds after the longest training with the newest numerics.
    """
    shown = [row for row in _rows(measured) if row[REACHED] not in ("", OLDER)]
    return listed(shown, gradients.COMMAND)


def predicted(measured: Results) -> str:
    """The same initializations where nothing was trained, and what the ratio says of them."""
    rows = [
        {
            "network": row["network"],
            "initialization": row["initialization"],
            OVER: row[OVER],
            "prediction": "learns" if float(row[OVER]) >= 1 else "stays at chance",
        }
        for row in _rows(measured)
        if not row[REACHED]
    ]
    return listed(rows) if rows else "*None is left: all were run.*\n"


def _rows(measured: Results) -> list[dict[str, str]]:
    runs = standard(measured.runs)
    runs = runs.assign(older=runs["numerics"] < runs["numerics"].max())
    runs = runs[runs["init.nu"].isin(["auto", None, np.nan])]
    fluct = {"init": "fluct", "init.alpha": FLUCT["init.alpha"]}
    runs = pd.concat([where(runs, fluct), where(runs, STATES["kaiming"])])
    runs = runs.join(largest(measured), on="path")
    runs = runs.assign(state=runs["init.sigma_u"].map("sigma_U = {:g}".format, na_action="ignore"))
    runs["state"] = runs["state"].fillna("kaiming")
    rows = []
    for (*_, model, layers), deep in runs[runs["layers"] > 1].groupby(KEYS, dropna=False):
        known = deep.dropna(subset="gradient")
        if known["init.sigma_u"].nunique() >= SEVERAL:
            order = known.groupby("state")["init.sigma_u"].first().sort_values(na_position="first")
            data = training_of_run(deep.iloc[0].to_dict()).partition(",")[0]
            network = f"{data}, {model}, {layers:.0f} layers"
            rows += [
                {"network": network} | _row(deep[deep["state"] == state]) for state in order.index
            ]
    return rows


def _row(runs: pd.DataFrame) -> dict[str, str]:
    norms = runs.groupby("seed")["gradient"].first().dropna()
    gradient = float(np.exp(np.log(norms.clip(lower=LEAST)).mean()))
    free = unbounded(runs).dropna(subset=ACCURACY)
    older, free = len(free) > 0, free[~free["older"]]
    usual = _longest(free[free["optimizer.eps"] == EPS])
    floor = runs.loc[runs["optimizer.eps"] == EPS, "floor"].max()
    lowered = free[free["optimizer.eps"] < EPS]
    most = lowered["optimizer.eps"].value_counts().sort_index()  # ties: the lowest
    lowered = _longest(lowered[lowered["optimizer.eps"] == (most.idxmax() if len(most) else None)])
    return {
        "initialization": runs["state"].iloc[0],
        "largest hidden gradient": f"{gradient:.0e}, n = {len(norms)}",
        OVER: f"{gradient / floor:.0e}",
        "epochs": f"{usual['trainer.epochs'].iloc[0]:.0f}" if len(usual) else "",
        REACHED: accuracy(usual) or OLDER * older,
        "with a lowered eps": accuracy(lowered) + _how(lowered, usual),
    }


def _longest(runs: pd.DataFrame) -> pd.DataFrame:
    return runs[runs["trainer.epochs"] == runs["trainer.epochs"].max()]


def _how(runs: pd.DataFrame, usual: pd.DataFrame) -> str:
    """The eps, and the epochs where they are others."""
    if runs.empty:
        return ""
    epochs = runs["trainer.epochs"].iloc[0]
    same = len(usual) and usual["trainer.epochs"].iloc[0] == epochs
    return f", {runs['optimizer.eps'].iloc[0]:.0e}" + ("" if same else f", {epochs:.0f} epochs")


LOWERED = 1e-36  # eps
SURROGATES = "fdi-run -m homeostasis=none neuron.surrogate=superspike,triangle init=kaiming,fluct"


def surrogates(measured: Results) -> str:
    """A row per surrogate and steepness, for networks without bounds that were trained with several
    from both initializations: the largest hidden gradient over the floor, and the accuracy; and
    that from Kaiming weights with a lowered eps.
    """
    gradient = ratios(measured)["ratio"]
    runs = where(constant_rate(plain_networks(measured.runs)), STANDARD)
    runs = with_layers(runs).join(gradient, on="path").dropna(subset="ratio")
    published = runs["neuron.surrogate"].map(steepness)
    runs = runs.assign(beta=pd.to_numeric(runs["neuron.beta"]).fillna(published))
    parts = []
    runs = having(runs, *SIZE)
    for key, network in runs.groupby([*KEYS, "trainer.epochs"], dropna=False):
        usual = network["optimizer.eps"] == EPS
        if network.loc[usual, "neuron.surrogate"].nunique() > 1:
            dataset, *_, model, layers, epochs = key
            title = f"**{dataset}, {model}, {layers} layers, {epochs:.0f} epochs**"
            parts.append(f"{title}\n\n{markdown(pd.DataFrame(_of_surrogates(network)))}")
    return "\n".join(parts) or unmeasured(SURROGATES)


def _of_surrogates(network: pd.DataFrame) -> Iterator[dict[str, str]]:
    for (name, beta), every in network.groupby(["neuron.surrogate", "beta"]):
        runs = every[every["optimizer.eps"] == EPS]
        if runs.empty:
            continue
        row = {"surrogate": name, "steepness": f"{beta:g}"}
        for state, values in STATES.items():
            chosen = where(runs, values)
            ratio = f"{chosen['ratio'].median():.0e}" if len(chosen) else ""
            row[f"{state}: gradient over effective floor"] = ratio
            row[f"{state}: test accuracy (%)"] = accuracy(chosen)
        lowered = where(every, STATES["kaiming"] | {"optimizer.eps": LOWERED})
        several = lowered["seed"].nunique() >= SEVERAL
        row[f"kaiming, eps {LOWERED:.0e}: test accuracy (%)"] = accuracy(lowered) if several else ""
        yield row
