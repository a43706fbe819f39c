"""The table of docs/comparisons.md that changes the surrogate gradient alone."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from fdi.analysis.results import Results
from fdi.analysis.select import where, with_layers
from fdi.snn.surrogate import steepness
from fdi.study.circumstances import EPS, STANDARD, constant_rate, plain
from fdi.study.evidence import STATES
from fdi.study.initial_states import ratios
from pages.tables import accuracy, markdown, unmeasured

KEYS = ["dataset", "model", "layers", "trainer.epochs"]
LOWERED = 1e-36  # eps
COMMAND = "fdi-run -m homeostasis=none neuron.surrogate=superspike,triangle init=kaiming,fluct"


def surrogates(measured: Results) -> str:
    """A row per surrogate and steepness, for networks without bounds that were trained with several
    from both initial states: the largest hidden gradient over the floor, and the accuracy; and
    that from Kaiming weights with a lowered eps.
    """
    gradient = ratios(measured)["ratio"]
    runs = where(constant_rate(plain(measured.runs)), STANDARD)
    runs = with_layers(runs).join(gradient, on="path").dropna(subset="ratio")
    published = runs["neuron.surrogate"].map(steepness)
    runs = runs.assign(beta=pd.to_numeric(runs["neuron.beta"]).fillna(published))
    parts = []
    for key, network in runs.groupby(KEYS):
        usual = network["optimizer.eps"] == EPS
        if network.loc[usual, "neuron.surrogate"].nunique() > 1:
            dataset, model, layers, epochs = key
            title = f"**{dataset}, {model}, {layers} layers, {epochs:.0f} epochs**"
            parts.append(f"{title}\n\n{markdown(pd.DataFrame(_rows(network)))}")
    return "\n".join(parts) or unmeasured(COMMAND)


def _rows(network: pd.DataFrame) -> Iterator[dict[str, str]]:
    for (name, beta), every in network.groupby(["neuron.surrogate", "beta"]):
        runs = every[every["optimizer.eps"] == EPS]
        if runs.empty:
            continue
        row = {"surrogate": name, "steepness": f"{beta:g}"}
        for state, values in STATES.items():
            chosen = where(runs, values)
            ratio = f"{chosen['ratio'].median():.0e}" if len(chosen) else ""
            row[f"{state}: gradient over floor"] = ratio
            row[f"{state}: test accuracy (%)"] = accuracy(chosen)
        lowered = where(every, STATES["kaiming"] | {"optimizer.eps": LOWERED})
        row[f"kaiming, eps {LOWERED:.0e}: test accuracy (%)"] = accuracy(lowered)
        yield row
