"""Three results for the README: fluctuation-driven weights beside Kaiming's."""

from __future__ import annotations

from typing import Any

import pandas as pd

from fdi.analysis.claims import STANDARD
from fdi.analysis.contrasts import accuracies, setting, where
from fdi.analysis.evidence import FLUCT, JOINT
from fdi.analysis.published import published, with_layers
from fdi.analysis.results import Results
from fdi.analysis.statistics import holm, verdict
from pages.tables import cell, markdown, versus

ROWS = (
    ("randman", "dense", 1),
    ("digits", "conv", 8),
    ("spoken_digits_2250", "conv_recurrent_deep", 7),
)
"""Data set, architecture and hidden layers; of several lengths of training the longest."""
NETWORK = ("dataset", "model", "layers")
INITS = ("kaiming", "fluct", "fluct_calibrated")


def results(measured: Results) -> str:
    """A row for each of ROWS that was measured with `kaiming` and `fluct`; verdicts by Holm's
    method over the whole table.
    """
    runs = with_layers(where(measured.runs, STANDARD | JOINT | {"state": "done"}))
    parts = [_accuracies(runs, dict(zip(NETWORK, network))) for network in ROWS]
    table = pd.concat(parts, ignore_index=True)
    if table.empty:
        return "*Not measured yet.*\n"
    table["versus_p"] = holm(table["p"])
    table["verdict"] = [verdict(*row) for row in zip(table["versus"], table["versus_p"])]
    groups = table.groupby("data and network", sort=False)
    return markdown(pd.DataFrame([_row(name, group) for name, group in groups]))


def _accuracies(runs: pd.DataFrame, network: dict[str, Any]) -> pd.DataFrame:
    chosen = where(runs, network)
    standard = pd.concat([where(chosen, FLUCT | {"init": init}) for init in INITS[1:]])
    chosen = pd.concat([where(chosen, {"init": INITS[0]}), standard])
    if chosen.empty:
        return chosen
    both = [
        epochs
        for epochs, group in chosen.groupby("trainer.epochs")
        if {*INITS[:2]} <= {*group["init"]}
    ]
    if not both:
        return pd.DataFrame()
    chosen = chosen[chosen["trainer.epochs"] == max(both)]
    quoted = {f"{run['init']} {e}" for run in chosen.to_dict("records") for e in published(run)}
    return accuracies(chosen, ["init"]).assign(
        **{"data and network": setting(chosen.iloc[0].to_dict())}, published="; ".join(quoted)
    )


def _row(name: str, table: pd.DataFrame) -> dict[str, str]:
    found = {row["init"]: row for row in table.to_dict("records")}
    row = {"data and network": name}
    for init in INITS:
        row[init] = cell(found[init]) if init in found else ""
        if init != INITS[0]:
            row[f"{init} minus kaiming"] = versus(found[init]) if init in found else ""
    return row | {"published": table["published"].iloc[0]}
