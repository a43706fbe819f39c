"""The tables that lie beside the records of runs: their learning curves, metrics.csv, as one table
with a row for each run and epoch, and their initial states, init.json, as one with a row for each
run and population.

Columns: path, dataset, model, init, seed, id, state, then those of the file as they are.
"""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from fdi.analysis.collect import KEYS, PLACE
from fdi.track.files import METRICS, PROBE, read
from fdi.track.record import TRAINED, digest, initial_state, look
from fdi.track.told import tell

CSV_COLUMNS = ("epoch", "phase")
VALID = "valid/accuracy"
TEXTS = ("population", "expected")
BATCH = 64  # files that are read at a time


def curves(
    table: pd.DataFrame, wanted: Callable[[str], bool] = lambda column: True
) -> pd.DataFrame:
    """The learning curves of the runs in `table`, with the columns that are `wanted`; texts are
    categories. A half-written last row is dropped; a run whose metrics.csv is damaged has no rows,
    which a warning says.
    """
    parts: list[pd.DataFrame] = []
    paths = list(table["path"])
    done = table["state"].isin(TRAINED) & table["epoch"].notna()
    finished = [int(epoch) if of else None for of, epoch in zip(done, table["epoch"])]
    for start in range(0, len(paths), BATCH):
        files: dict[str, dict[int, str]] = defaultdict(dict)
        batch = slice(start, start + BATCH)
        for place, (path, epochs) in enumerate(zip(paths[batch], finished[batch]), start):
            content = _metrics(path, epochs)
            if content is None:
                _left_out(path)
            elif content[1]:
                header, body = content
                files[header][place] = body
        for header, bodies in files.items():
            parts += _parse(header, bodies, wanted, paths)
    if not parts:
        return pd.DataFrame(columns=[*KEYS, *CSV_COLUMNS])
    rows = pd.concat(parts, ignore_index=True)
    parts.clear()
    places = rows.pop(PLACE)
    rows["phase"] = rows["phase"].astype("category")
    for i, key in enumerate(KEYS):
        values = table[key] if key == "seed" else table[key].astype("category")
        rows.insert(i, key, values.iloc[places].array)
    return rows


def _left_out(path: str, file: str = METRICS, holds: str = "learning curve") -> None:
    tell(f"{path}: {file} is damaged; this {holds} is left out")


def _metrics(run: str, epochs: int | None) -> tuple[str, str] | None:
    """Header and whole rows of a metrics.csv, both empty if a run that goes on has none yet; None
    if it cannot be read, a row has too many or too few values, or the epochs are not 1, 2, 3, ...,
    and of a finished run where it is not the file of then.
    """
    path = Path(run) / METRICS
    try:
        text = read(path)
    except FileNotFoundError:
        return None if epochs else ("", "")
    except (OSError, ValueError):
        return None
    header, _, body = text[: text.rfind("\n") + 1].partition("\n")
    rows = body.splitlines()
    whole = (
        header.startswith("epoch,")
        and "phase" in header.split(",")
        and body.count(",") == header.count(",") * len(rows)
        and all(row.startswith(f"{epoch},") for epoch, row in enumerate(rows, 1))
    )
    if epochs is None:
        return (header, body) if whole or not header else None
    right = len(rows) == epochs and digest(text) == look(Path(run)).files.get(METRICS)
    return (header, body) if whole and right else None


def _parse(
    header: str, bodies: dict[int, str], wanted: Callable[[str], bool], paths: list[str]
) -> Iterator[pd.DataFrame]:
    """The rows of files with the same header (place of the run -> body), all at once because that
    is fast. Where some cannot be parsed, each is tried by itself.
    """
    types = dict.fromkeys(header.split(","), float) | {"epoch": int, "phase": str}
    try:
        rows = pd.read_csv(
            io.StringIO(f"{header}\n{''.join(bodies.values())}"),
            dtype=types,
            index_col=False,
            usecols=lambda column: column in CSV_COLUMNS or wanted(column),
        )
    except (ValueError, OverflowError):
        if len(bodies) == 1:
            _left_out(paths[next(iter(bodies))])
            return
        for place, body in bodies.items():
            yield from _parse(header, {place: body}, wanted, paths)
    else:
        lengths = [body.count("\n") for body in bodies.values()]
        yield rows.assign(**{PLACE: np.repeat(list(bodies), lengths)})


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
            _left_out(path, PROBE, "initial state")
        for row in found:
            rows.append({key: row[key] for key in row if wanted is None or key in wanted})
            places.append(place)
    if not rows:
        return pd.DataFrame(columns=[*KEYS, "population"])
    measured = pd.DataFrame.from_records(rows).drop(columns=[*KEYS], errors="ignore")
    numbers = [name for name in measured if name not in TEXTS]
    keys = table[list(KEYS)].iloc[places].reset_index(drop=True)
    return pd.concat([keys, measured.astype(dict.fromkeys(numbers, float))], axis=1)
