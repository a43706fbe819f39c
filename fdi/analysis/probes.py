"""The initial states of runs: a row for each run and population, with the columns of init.json."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pandas as pd

from fdi.analysis.collect import KEYS, PLACE, columns
from fdi.analysis.index import Index, index, stamp
from fdi.track.files import PROBE
from fdi.track.state import read_probe

PROBED = "probe"  # kind of entries of the index
OTHERS = (PLACE, "population", "neurons")  # columns of no fractions


def probes(
    table: pd.DataFrame, results: Path, wanted: Collection[str] | None = None
) -> pd.DataFrame:
    """The initial states of the runs in `table`, which are below `results`, with the columns that
    are `wanted`; None: all.
    """
    with index(results) as kept:
        values_of, count = columns(
            (
                {PLACE: place} | {key: row[key] for key in row if wanted is None or key in wanted}
                for place, path in enumerate(table["path"])
                for row in _probe(path, kept)
            ),
            lambda key: key not in OTHERS,
        )
    if not count:
        return pd.DataFrame(columns=[*KEYS, "population"])
    keys = table[list(KEYS)].iloc[values_of.pop(PLACE)]
    known = {name: keys[name].array for name in KEYS}
    others = {name: values for name, values in values_of.items() if name not in known}
    return pd.DataFrame(known | others, copy=False)


def _probe(path: str, kept: Index) -> list[dict[str, Any]]:
    """The rows of init.json, from the index where the file is as it was."""
    key = stamp(path, (PROBE,))
    if known := kept.find(PROBED, path, key):
        return json.loads(known[0])
    rows = read_probe(Path(path))
    kept.keep(PROBED, path, key, json.dumps(rows))
    return rows
