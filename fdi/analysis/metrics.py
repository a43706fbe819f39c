"""The tables that lie beside the records of runs: their learning curves, metrics.csv, as one table
with a row for each run and epoch, and their initial states, init.json, as one with a row for each
run and population.

Columns: path, dataset, model, init, seed, id, state, then those of the file as they are.
"""

from __future__ import annotations

import io
from pathlib import Path

import pandas as pd

from fdi.analysis.collect import AT, KEYS
from fdi.track.files import METRICS, PROBE, read, tell
from fdi.track.record import TRAINED, digest, initial_state, look

CSV_COLUMNS = ("epoch", "phase")
VALID = "valid/accuracy"
TEXTS = ("population", "expected")


def curves(table: pd.DataFrame) -> pd.DataFrame:
    """The learning curves of the runs in `table`; texts are categories. A half-written last row is
    dropped; a run whose metrics.csv is damaged has no rows, which a warning says.
    """
    parts = []
    done = table["state"].isin(TRAINED) & table["epoch"].notna()
    for place, (path, epochs, over) in enumerate(zip(table["path"], table["epoch"], done)):
        try:
            rows = _metrics(path, int(epochs) if over else None)
        except (OSError, ValueError, OverflowError):
            _left_out(path)
        else:
            parts.append(rows.assign(**{AT: place}))
    if not any(map(len, parts)):
        return pd.DataFrame(columns=[*KEYS, *CSV_COLUMNS])
    rows = pd.concat([part for part in parts if len(part)], ignore_index=True)
    places = rows.pop(AT)
    rows["phase"] = rows["phase"].astype("category")
    for i, key in enumerate(KEYS):
        values = table[key] if key == "seed" else table[key].astype("category")
        rows.insert(i, key, values.iloc[places].array)
    return rows


def _left_out(path: str, file: str = METRICS, holds: str = "learning curve") -> None:
    tell(f"{path}: {file} is damaged; this {holds} is left out")


def _metrics(run: str, epochs: int | None) -> pd.DataFrame:
    """The whole rows of a metrics.csv, none if a run that goes on has none yet. Raises OSError or
    ValueError if it cannot be read, a row has too many or too few values, or the epochs are not 1,
    2, 3, ..., and of a finished run where it is not the file of then.
    """
    path = Path(run) / METRICS
    if not epochs and not path.exists():
        return pd.DataFrame()
    text = read(path)
    header, *rows = text[: text.rfind("\n") + 1].splitlines() or [""]
    names = header.split(",")
    if epochs is not None and digest(text) != look(Path(run)).files.get(METRICS):
        raise ValueError(path)
    if not header and not epochs:
        return pd.DataFrame()
    if names[0] != "epoch" or "phase" not in names:
        raise ValueError(path)
    if any(row.count(",") != len(names) - 1 for row in rows):
        raise ValueError(path)
    types = dict.fromkeys(names, float) | {"epoch": int, "phase": str}
    found = pd.read_csv(io.StringIO("\n".join([header, *rows])), dtype=types, index_col=False)
    if [*found["epoch"]] != [*range(1, (epochs or len(rows)) + 1)]:
        raise ValueError(path)
    return found


def probes(table: pd.DataFrame) -> pd.DataFrame:
    """The initial states of the runs in `table`. One that is not what its run measured has no rows,
    which a warning says.
    """
    rows, places = [], []
    for place, path in enumerate(table["path"]):
        directory = Path(path)
        run = look(directory)
        found = initial_state(directory, run)
        if PROBE in run.files and not found:
            _left_out(path, PROBE, "initial state")
        for row in found:
            rows.append(row)
            places.append(place)
    if not rows:
        return pd.DataFrame(columns=[*KEYS, "population"])
    measured = pd.DataFrame.from_records(rows).drop(columns=[*KEYS], errors="ignore")
    numbers = [name for name in measured if name not in TEXTS]
    keys = table[list(KEYS)].iloc[places].reset_index(drop=True)
    return pd.concat([keys, measured.astype(dict.fromkeys(numbers, float))], axis=1)
