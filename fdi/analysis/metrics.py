"""Learning curves: the metrics.csv of runs as one table, a row for each run and epoch.

Columns: path, dataset, model, init, seed, id, state, then those of metrics.csv as they are.
"""

from __future__ import annotations

import io
import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from fdi.analysis.collect import KEYS, PLACE
from fdi.analysis.index import index, stamp
from fdi.track.files import read
from fdi.track.layout import METRICS

CSV_COLUMNS = ("epoch", "phase")
VALID = "valid/accuracy"
BATCH = 64  # files that are read at a time
CURVE = "curve"  # kind of entries of the index


def curves(
    table: pd.DataFrame, wanted: Callable[[str], bool] = lambda column: True
) -> pd.DataFrame:
    """The learning curves of the runs in `table`, with the columns that are `wanted`; texts are
    categories. A run without a complete metrics.csv has no rows, and a half-written last row is
    dropped.
    """
    parts: list[pd.DataFrame] = []
    paths = list(table["path"])
    for start in range(0, len(paths), BATCH):
        files: dict[str, dict[int, str]] = defaultdict(dict)
        for place, path in enumerate(paths[start : start + BATCH], start):
            header, body = _metrics(Path(path) / METRICS)
            if body:
                files[header][place] = body
        for header, bodies in files.items():
            parts += _parse(header, bodies, wanted)
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


def accuracies(table: pd.DataFrame, results: Path) -> Iterator[tuple[str, np.ndarray]]:
    """The path of each run in `table` that has been validated, and its validation accuracies after
    the epochs of the task.
    """
    with index(results) as kept:
        for path in table["path"]:
            key = stamp(path, (METRICS,))
            if entry := kept.find(CURVE, path, key):
                values = json.loads(entry[0])
            else:
                values = _task_accuracies(Path(path) / METRICS)
                kept.keep(CURVE, path, key, json.dumps(values))
            if values:
                yield path, np.array(values, dtype=float)


def _task_accuracies(path: Path) -> list[float]:
    header, body = _metrics(path)
    names = header.split(",")
    if VALID not in names:
        return []
    phase, valid = names.index("phase"), names.index(VALID)
    rows = [row.split(",") for row in body.splitlines()]
    try:
        return [float(row[valid] or "nan") for row in rows if row[phase] == "task"]
    except ValueError:
        return []


def _metrics(path: Path) -> tuple[str, str]:
    """Header and whole rows of a metrics.csv, both empty if it is not there, a row has too many or
    too few values, or the epochs are not 1, 2, 3, ...
    """
    try:
        text = read(path)
    except (OSError, ValueError):
        return "", ""
    header, _, body = text[: text.rfind("\n") + 1].partition("\n")
    rows = body.splitlines()
    whole = (
        header.startswith("epoch,")
        and "phase" in header.split(",")
        and body.count(",") == header.count(",") * len(rows)
        and all(row.startswith(f"{epoch},") for epoch, row in enumerate(rows, 1))
    )
    return (header, body) if whole else ("", "")


def _parse(
    header: str, bodies: dict[int, str], wanted: Callable[[str], bool]
) -> Iterator[pd.DataFrame]:
    """The rows of files with the same header (place of the run -> body), all at once because that
    is fast. Where some cannot be parsed, each half is tried by itself.
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
        items = list(bodies.items())
        for half in (items[: len(items) // 2], items[len(items) // 2 :]) if len(items) > 1 else ():
            yield from _parse(header, dict(half), wanted)
    else:
        lengths = [body.count("\n") for body in bodies.values()]
        yield rows.assign(**{PLACE: np.repeat(list(bodies), lengths)})
