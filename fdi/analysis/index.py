"""What was read from the files of runs, kept for the next call, in a file of the user alone.

An entry counts only while the files that it comes from have the stamp that they had, and the code
that read them is the same; without the index everything is read again. It may be deleted at any
time, is not written where it cannot be, and by one process at a time.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import time
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from fdi.config import cache
from fdi.track import files

YOUNG = 2.0  # s: a file that is no older may change again without a change of its time
BATCH = 5000  # entries written at a time
TABLES = """
CREATE TABLE IF NOT EXISTS texts (number INTEGER PRIMARY KEY, text TEXT UNIQUE);
CREATE TABLE IF NOT EXISTS entries (
    kind TEXT, run TEXT, stamp TEXT, content TEXT, shared INTEGER, checksum INTEGER,
    PRIMARY KEY (kind, run)) WITHOUT ROWID;
"""


def stamp(directory: str, files: Sequence[str]) -> str | None:
    """Of these files of a run; None where one of them is young."""
    stamps, now = [cache.stamp(f"{directory}/{name}") for name in files], time.time()
    if any(each and now - max(each.mtime, each.ctime) / 1e9 < YOUNG for each in stamps):
        return None
    return " ".join(":".join(map(str, each[1:])) if each else "-" for each in stamps)


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
    opened = Index(results, _open(results) if (results / files.RUNS).is_dir() else None)
    try:
        yield opened
        opened.write()
    finally:
        if opened.database is not None:
            opened.database.close()


def place(results: Path) -> Path:
    """The file of the index of a folder of results. It is never in that folder: nothing that comes
    with somebody else's results is believed before it is read. Raises OSError.
    """
    name = hashlib.blake2b(os.fsencode(results.resolve()), digest_size=16).hexdigest()
    return cache.cache_folder(cache.INDEX) / f"{name}.sqlite"


def _open(results: Path) -> sqlite3.Connection | None:
    """The database with its tables, made anew where it is of other code, or none; None where there
    is no such file to be had.
    """
    for _ in range(2):
        database = None
        try:
            path = place(results)
            database = sqlite3.connect(path, timeout=0, isolation_level=None)
            if database.execute("PRAGMA user_version").fetchone()[0] != _code():
                _make_anew(database)
            return database
        except OSError:
            return None
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
