"""The initial states of runs: a row for each run and population, with the columns of init.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd

from fdi.analysis.collect import KEYS, PLACE, columns
from fdi.analysis.index import Index, index, stamp
from fdi.track.layout import PROBE
from fdi.track.state import read_probe

PROBED = "probe"  # kind of entries of the index
BATCH = 5000  # runs whose initial states are collected at a time


def probes(table: pd.DataFrame, results: Path) -> pd.DataFrame:
    """The initial states of the runs in `table`, which are below `results`."""
    parts = []
    with index(results) as kept:
        for start in range(0, len(table), BATCH):
            paths = table["path"].iloc[start : start + BATCH]
            values, count = columns(
                {PLACE: place} | row
                for place, path in enumerate(paths, start)
                for row in _probe(path, kept)
            )
            parts += [pd.DataFrame(values)] if count else []
    if not parts:
        return pd.DataFrame(columns=[*KEYS, "population"])
    rows = pd.concat(parts, ignore_index=True)
    places = rows.pop(PLACE)
    keys = table[list(KEYS)].iloc[places].reset_index(drop=True)
    return pd.concat([keys, rows.drop(columns=KEYS, errors="ignore")], axis=1)


def _probe(path: str, kept: Index) -> list[dict[str, Any]]:
    """The rows of init.json, from the index where the file is as it was."""
    key = stamp(path, (PROBE,))
    if known := kept.find(PROBED, path, key):
        return json.loads(known[0])
    rows = read_probe(Path(path))
    kept.keep(PROBED, path, key, json.dumps(rows))
    return rows
