"""The initial states of runs: a row for each run and population, with the columns of init.json."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import pandas as pd

from fdi.analysis.collect import KEYS
from fdi.analysis.metrics import tell
from fdi.track.files import PROBE
from fdi.track.record import initial_state, look

TEXTS = ("population", "expected")


def probes(table: pd.DataFrame, wanted: Collection[str] | None = None) -> pd.DataFrame:
    """The initial states of the runs in `table`, with the columns that are `wanted`; None: all.
    One that is not what its run measured has no rows, which a warning says.
    """
    rows, places = [], []
    for place, path in enumerate(table["path"]):
        directory = Path(path)
        run = look(directory)
        found = initial_state(directory, run)
        if PROBE in run.files and not found:
            tell(path, PROBE, "initial state")
        for row in found:
            rows.append({key: row[key] for key in row if wanted is None or key in wanted})
            places.append(place)
    if not rows:
        return pd.DataFrame(columns=[*KEYS, "population"])
    measured = pd.DataFrame.from_records(rows).drop(columns=[*KEYS], errors="ignore")
    numbers = [name for name in measured if name not in TEXTS]
    keys = table[list(KEYS)].iloc[places].reset_index(drop=True)
    return pd.concat([keys, measured.astype(dict.fromkeys(numbers, float))], axis=1)
