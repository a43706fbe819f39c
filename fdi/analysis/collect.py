"""Folders of runs -> one table with a row for each run.

Columns, in this order (accuracies are shares, 0 to 1; NaN where a run has not got that
far):

    path                        directory of the run
    dataset, model, init        chosen options, the names of the directories above
    seed, id                    from the name of the directory
    state                       done | probed (initial state only) | running | queued (by SLURM) |
    failed | interrupted | missing (nothing yet)
                                | broken (a file is unreadable); only done runs have all numbers
    error                       why it failed, or which file is broken
    epoch, epochs               epochs finished, and epochs in all, priming included
    test_accuracy_last          with the weights of the last epoch
    test_accuracy_best          with the weights of the best validation epoch, `best_epoch`
    valid_accuracy_best, valid_accuracy_last
    seconds                     of the whole run
    classes, test_samples       what a test accuracy is to be compared with
    rate/<population>           Hz, on the test set
    silent/<population>         share of neurons that never spike there
    train_accuracy_last, train_loss_last    of the last epoch, as it was trained (cross-entropy)
    test_loss_last              cross-entropy
    moved/<projection>          |W - W0|/|W0| of its weights
    alignment/<population>      of its spike counts before and after training, 1: the same
    <dotted key>                each key of the config, as on the command line; lists as JSON text
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import time
import zlib
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fdi.track import files
from fdi.track.directory import read_config
from fdi.track.files import CONFIG, RESULT, SETTLED, STATUS, directories
from fdi.track.state import is_number, progress

INDEX = ".index.sqlite"
YOUNG = 2.0  # s: a file that is no older may change again without a change of its time
BATCH = 5000  # entries written at a time
TABLES = """
CREATE TABLE IF NOT EXISTS texts (number INTEGER PRIMARY KEY, text TEXT UNIQUE);
CREATE TABLE IF NOT EXISTS entries (
    kind TEXT, run TEXT, stamp TEXT, content TEXT, shared INTEGER, checksum INTEGER,
    PRIMARY KEY (kind, run)) WITHOUT ROWID;
"""


def stamp(directory: str, files: Sequence[str]) -> str | None:
    """Size, time and inode of these files of a run; None where one of them is young."""
    parts, now = [], time.time()
    for name in files:
        try:
            about = os.stat(f"{directory}/{name}")
        except OSError:
            parts.append("-")
            continue
        if now - about.st_mtime < YOUNG:
            return None
        parts.append(f"{about.st_size} {about.st_mtime_ns} {about.st_ino}")
    return " ".join(parts)


class Index:
    """The entries of a folder of results; `database` None: there are none, and none are kept."""

    def __init__(self, results: Path, database: sqlite3.Connection | None) -> None:
        self.root, self.database = f"{results}/", database
        self.waiting: list[tuple[str, str, str, str, str]] = []
        self.texts: dict[int, str] = {}

    def find(self, kind: str, path: str, stamp: str | None) -> tuple[str, str] | None:
        """The content, and the text that it shares with others; None if it is not known, or not of
        these files.
        """
        if self.database is None or stamp is None:
            return None
        run = path.removeprefix(self.root)
        with self._giving_up():
            query = (
                "SELECT content, shared, checksum FROM entries WHERE (kind, run, stamp) = (?, ?, ?)"
            )
            row = self.database.execute(query, (kind, run, stamp)).fetchone()
            if row is None:
                return None
            content, number, checksum = row
            if number not in self.texts:
                query = "SELECT text FROM texts WHERE number = ?"
                (self.texts[number],) = self.database.execute(query, (number,)).fetchone() or ("",)
            shared = self.texts[number]
            if checksum == _checksum(kind, run, stamp, content, shared):
                return content, shared
        return None

    def keep(self, kind: str, path: str, stamp: str | None, content: str, shared: str = "") -> None:
        if self.database is None or stamp is None:
            return
        self.waiting.append((kind, path.removeprefix(self.root), stamp, content, shared))
        if len(self.waiting) >= BATCH:
            self.write()

    def write(self) -> None:
        """Write what waits, if nobody else is writing."""
        waiting, self.waiting = self.waiting, []
        if self.database is None or not waiting:
            return
        with self._giving_up():
            self.database.execute("BEGIN IMMEDIATE")
            self.database.executemany(
                "INSERT OR IGNORE INTO texts (text) VALUES (?)",
                {(shared,) for *_, shared in waiting},
            )
            self.database.executemany(
                "INSERT OR REPLACE INTO entries VALUES "
                "(?, ?, ?, ?, (SELECT number FROM texts WHERE text = ?), ?)",
                [(*entry, _checksum(*entry)) for entry in waiting],
            )
            self.database.execute("COMMIT")

    def forget(self, kind: str, known: Iterable[str]) -> None:
        """Drop the entries of runs that are not among the paths `known`, if there are any."""
        there = {path.removeprefix(self.root) for path in known}
        if self.database is None:
            return
        with self._giving_up():
            query = "SELECT COUNT(*) FROM entries WHERE kind = ?"
            if self.database.execute(query, (kind,)).fetchone()[0] <= len(there):
                return
            runs = self.database.execute("SELECT run FROM entries WHERE kind = ?", (kind,))
            gone = [(run,) for (run,) in runs if run not in there]
            self.database.execute("BEGIN IMMEDIATE")
            self.database.executemany("DELETE FROM entries WHERE run = ?", gone)
            self.database.execute("COMMIT")

    @contextmanager
    def _giving_up(self) -> Iterator[None]:
        """What goes wrong with the index costs time and nothing else."""
        try:
            yield
        except sqlite3.DatabaseError:
            with suppress(sqlite3.Error):
                if self.database is not None:
                    self.database.close()
            self.database = None


@contextmanager
def index(results: Path) -> Iterator[Index]:
    """The index of a folder of results; what is new in it is written at the end."""
    opened = Index(results, _open(results / INDEX) if (results / files.RUNS).is_dir() else None)
    try:
        yield opened
        opened.write()
    finally:
        if opened.database is not None:
            opened.database.close()


def _open(path: Path) -> sqlite3.Connection | None:
    """The database with its tables, made anew where it is of other code, or none; None where there
    is no such file to be had.
    """
    if path.is_symlink() or (path.exists() and not path.is_file()):
        return None
    for _ in range(2):
        database = None
        try:
            database = sqlite3.connect(path, timeout=0, isolation_level=None)
            if database.execute("PRAGMA user_version").fetchone()[0] != _code():
                _make_anew(database)
            return database
        except sqlite3.DatabaseError as error:
            if database is not None:
                database.close()
            if isinstance(error, sqlite3.OperationalError):  # somebody writes, or nobody may
                return None
            with suppress(OSError):  # not a database
                path.unlink()
    return None


def _make_anew(database: sqlite3.Connection) -> None:
    database.execute("BEGIN EXCLUSIVE")
    for table in ("entries", "texts"):
        database.execute(f"DROP TABLE IF EXISTS {table}")
    for line in TABLES.split(";"):
        database.execute(line)
    database.execute(f"PRAGMA user_version = {_code()}")
    database.execute("COMMIT")


def _code() -> int:
    """A number that changes with the code that reads runs."""
    rooms = (Path(module).parent for module in (__file__, files.__file__))
    sources = sorted(source for room in rooms for source in room.glob("*.py"))
    content = b"".join(source.read_bytes() for source in sources)
    return int.from_bytes(hashlib.blake2b(content, digest_size=4).digest(), "big") >> 1


def _checksum(kind: str, run: str, stamp: str, content: str, shared: str) -> int:
    return zlib.crc32(f"{kind}\0{run}\0{stamp}\0{content}\0{shared}".encode())


KEYS = ("path", "dataset", "model", "init", "seed", "id", "state")
PROGRESS = ("epoch", "epochs")
ACCURACIES = (
    "test_accuracy_last",
    "test_accuracy_best",
    "best_epoch",
    "valid_accuracy_best",
    "valid_accuracy_last",
)
LOSSES = ("train_accuracy_last", "train_loss_last", "test_loss_last")
NUMBERS = (*PROGRESS, *ACCURACIES, *LOSSES, "seconds", "classes", "test_samples")
ORIGIN = ("source", "baseline", "provenance", "data_checksum")
"""Where a run comes from: columns that fdi.analysis.results adds."""
POPULATIONS = {"rates": "rate", "silent": "silent", "moved": "moved", "alignment": "alignment"}
MEASURED = tuple(f"{prefix}/" for prefix in POPULATIONS.values())
PLACE = "place of the run"
ROW = "row"  # kind of entries of the index
NAN = float("nan")
Column = list[Any] | np.ndarray


def runs(results: Path) -> pd.DataFrame:
    """The runs below `results`/runs. One with unreadable files is among them, with the state
    broken.
    """
    configs: dict[str, int] = {}
    numbers = array("l")  # of the config of each run, since many share one

    def rows(kept: Index) -> Iterator[dict[str, Any]]:
        for path, dataset, model, init, seed, identity in directories(results):
            outcome, config = _content(path, kept)
            numbers.append(configs.setdefault(config, len(configs)))
            names = {"dataset": dataset, "model": model, "init": init, "seed": int(seed)}
            yield {"path": path, **names, "id": identity, **outcome}

    with index(results) as kept:
        measured, count = columns(rows(kept))
        kept.forget(ROW, measured.get("path", ()))
    names = dict.fromkeys((*KEYS, "error", *NUMBERS, *measured))
    table = _table({name: measured.pop(name, [None] * count) for name in names}, count)
    values_of, _ = columns(map(json.loads, configs))
    settings = {key: values for key, values in values_of.items() if key not in names}
    return table.join(_table(settings, len(configs)).take(numbers).set_axis(table.index))


def _table(values_of: dict[str, Column], count: int) -> pd.DataFrame:
    return pd.DataFrame({key: _column(key, values_of[key]) for key in values_of}, range(count))


def _column(name: str, values: Column) -> pd.Series:
    """Texts as objects: pandas keeps all of these in one block, but of its own each column in one,
    and each choice of rows goes through all blocks.
    """
    column = pd.Series(values, dtype=float if _is_result(name) else None)
    return column.astype(object) if isinstance(column.dtype, pd.StringDtype) else column


def _is_result(column: str) -> bool:
    return column in NUMBERS or column.startswith(MEASURED)


def columns(
    rows: Iterable[dict[str, Any]], numeric: Callable[[str], bool] = _is_result
) -> tuple[dict[str, Column], int]:
    """The values of `rows` by key, and the number of rows. Where a row lacks a key its value is
    None, or NaN in columns that are `numeric`. Columns take a tenth of the memory of rows.
    """
    values_of: dict[str, list[Any] | array[float]] = {}
    count = 0
    for row in rows:
        for key in row:
            if key not in values_of:
                values_of[key] = array("d", [NAN] * count) if numeric(key) else [None] * count
        for key, values in values_of.items():
            value: Any = row.get(key)
            try:
                values.append(NAN if value is None and isinstance(values, array) else value)
            except (TypeError, OverflowError):  # no number after all
                values_of[key] = [*values, value]
        count += 1
    return {
        key: np.frombuffer(v) if isinstance(v, array) else v for key, v in values_of.items()
    }, count


def config_columns(table: pd.DataFrame) -> list[str]:
    """The columns of `runs` that come from the config."""
    others = {*KEYS, "error", *NUMBERS, *ORIGIN}
    names = [str(column) for column in table]
    return [name for name in names if name not in others and not name.startswith(MEASURED)]


def _content(path: str, kept: Index) -> tuple[dict[str, Any], str]:
    """State and final numbers, and the config without its seed as JSON. They come from the index
    where the files have not changed, unless some process may still be at work on the run.
    """
    key = stamp(path, (CONFIG, STATUS, RESULT))
    if known := kept.find(ROW, path, key):
        return json.loads(known[0]), known[1]
    directory = Path(path)
    config: dict[str, Any] = {}
    try:
        config = read_config(directory / CONFIG)
        outcome = _outcome(directory)
    except FileNotFoundError:
        if progress(directory)["state"] == "missing":  # stopped before it wrote anything
            return {"state": "missing", "error": None}, "{}"
        outcome = {"state": "broken", "error": f"{CONFIG}: not there"}
    except (OSError, ValueError) as error:
        outcome = {"state": "broken", "error": str(error).removeprefix(f"{path}/")}
    config.pop("seed", None)
    text = json.dumps(config)
    if outcome["state"] in SETTLED:
        kept.keep(ROW, path, key, json.dumps(outcome), text)
    return outcome, text


def _outcome(directory: Path) -> dict[str, Any]:
    """State and final numbers. Raises ValueError for a broken file."""
    content = progress(directory)
    if content["state"] == "broken":
        raise ValueError(content["error"])
    numbers = _numbers(content, NUMBERS)
    for key, prefix in POPULATIONS.items():
        measured = content.get(key, {})
        if not isinstance(measured, dict):
            raise ValueError(f"{directory}: {key} is not an object")
        numbers |= {
            f"{prefix}/{name}": value for name, value in _numbers(measured, measured).items()
        }
    error = content.get("error") if content["state"] == "failed" else None
    return {"state": content["state"], "error": error and str(error), **numbers}


def _numbers(content: dict[str, Any], keys: Iterable[str]) -> dict[str, float | None]:
    """The values of `keys`. Raises ValueError for a value that is neither a number nor null."""
    values = {key: content.get(key) for key in keys}
    for key, value in values.items():
        if value is not None and not is_number(value):
            raise ValueError(f"{key} = {str(value)[:40]} is not a number")
    return values
