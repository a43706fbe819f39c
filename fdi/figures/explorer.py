"""All runs as one table of the report, which filters and sorts in the browser and puts two of them
beside each other: their configuration, learning curves and initial states.
"""

from __future__ import annotations

import base64
import gzip
import json
from html import escape
from typing import Any

import numpy as np
import pandas as pd

from fdi.analysis.collect import config_columns
from fdi.analysis.conditions import LABELS, condition_columns
from fdi.analysis.formats import number, percent, short_names, shown
from fdi.analysis.results import READOUT, Results

POINTS = 40  # of a learning curve
PLACEHOLDER = "randman kaiming eps=1e-36 test&gt;90 tags=draft"
SHOWN = {
    "seed": "seed",
    "state": "state",
    "test_accuracy_last": "test (%)",
    "valid_accuracy_last": "valid (%)",
    "epoch": "epochs",
    "tags": "tags",
    "note": "note",
}
LAYER = {
    "population": "layer",
    "free_sigma": "sigma_U",
    "target_sigma_u": "target",
    "rate": "Hz",
    "silent": "silent",
    "grad_task": "gradient",
}


def explorer(results: Results) -> str:
    """The table as HTML, with its data packed beside it: fdi/figures/report.js unpacks them."""
    runs = results.runs.reset_index(drop=True)
    columns: dict[str, list[Any]] = {name: [*map(_text, runs[name])] for name in LABELS}
    columns["settings"] = _settings(runs)
    columns |= {
        title: [*map(_percent if "accuracy" in name else _text, runs[name])]
        for name, title in SHOWN.items()
        if name in runs and (runs[name].notna().any() or name not in ("tags", "note"))
    }
    keys = [name for name in config_columns(runs) if "." in name and not name.startswith("name.")]
    config = {name: [*map(_text, runs[name])] for name in keys if runs[name].notna().any()}
    alike = {name: values[0] for name, values in config.items() if len(set(values)) == 1}
    content = {
        "columns": list(columns),
        "rows": [*zip(*columns.values())],
        "paths": [*map(str, runs["path"])],
        "same": alike,
        "config": {name: values for name, values in config.items() if name not in alike},
        "curves": _curves(results, runs),
        "measured": list(LAYER.values()),
        "probes": _probes(results, runs),
    }
    data = packed(json.dumps(content, allow_nan=False, separators=(",", ":")).encode())
    head = "".join(f"<th>{escape(name)}</th>" for name in ("", *columns))
    return (
        f'<div data-runs="{data}"><input type="search" '
        f'aria-label="show only runs of which all these words hold" placeholder="{PLACEHOLDER}">'
        f"<p class=note></p><div class=beside hidden></div><div class=table><table id=runs><thead>"
        f"<tr>{head}</tr></thead><tbody></tbody></table></div></div>"
    )


def packed(content: bytes) -> str:
    """What fdi/figures/report.js unpacks, as text."""
    return base64.b64encode(gzip.compress(content, mtime=0)).decode()


def _settings(runs: pd.DataFrame) -> list[str]:
    """Of each run what tells it from others of its data set and model, as text."""
    texts = [""] * len(runs)
    columns = [name for name in condition_columns(runs) if name not in LABELS]
    for _, group in runs.groupby(["dataset", "model"]):
        several = [name for name in columns if group[name].nunique(dropna=False) > 1]
        names = short_names(several)
        for place, *values in zip(group.index, *(group[name] for name in several)):
            known = [(names[n], v) for n, v in zip(several, values) if pd.notna(v)]
            texts[place] = ", ".join(f"{name} = {shown(value)}" for name, value in known)
    return texts


def _text(value: Any) -> str | None:
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return None
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e6:
        return str(int(value))
    return shown(value)


def _percent(share: float) -> str | None:
    return percent(share, unknown="") or None


def _curves(results: Results, runs: pd.DataFrame) -> dict[int, list[list[float]]]:
    """Epochs and validation accuracies in percent by the place of the run."""
    curves = results.learning(runs)
    found = {}
    for place, path in enumerate(runs["path"]):
        if path in curves:
            epochs, accuracy = curves[path]
            kept = np.unique(np.linspace(0, len(epochs) - 1, POINTS).round().astype(int))
            shares = np.asarray(accuracy)[kept]
            found[place] = [np.asarray(epochs)[kept].tolist(), (100 * shares).round(1).tolist()]
    return found


def _probes(results: Results, runs: pd.DataFrame) -> dict[int, list[list[str | None]]]:
    """Rows of LAYER by the place of the run."""
    places = {path: place for place, path in enumerate(runs["path"])}
    probe = results.probe
    if "population" not in probe:
        return {}
    layers = probe[probe["path"].isin(places) & (probe["population"] != READOUT)]
    cells = [_three(layers[name]) if name in layers else [None] * len(layers) for name in LAYER]
    found: dict[int, list[list[str | None]]] = {}
    for path, *row in zip(layers["path"], *cells):
        found.setdefault(places[path], []).append(row)
    return found


def _three(values: pd.Series) -> list[str | None]:
    """Numbers with three digits."""
    known = [value if isinstance(value, str) else number(value, ".3g", 1, "") for value in values]
    return [text or None for text in known]
