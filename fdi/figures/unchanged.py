"""What was drawn and would be drawn the same again, told by the index of a folder of results. It
keeps the origin of each file, a hash of all that this comes from, with a hash of the file; and of
each page of a report its picture, with a hash of all that the picture comes from.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterable
from pathlib import Path

import matplotlib
import numpy
import pandas
import PIL

import fdi
from fdi.analysis.index import Index, stamp
from fdi.analysis.metrics import tell
from fdi.track.files import CONFIG, METRICS, PROBE, RESULT, STATUS, directories
from fdi.track.state import progress

DRAWN = "drawn"  # kind of entries of the index
READ = (CONFIG, STATUS, RESULT, PROBE, METRICS)  # files of a run
LIBRARIES = (matplotlib, numpy, pandas, PIL)


def drawing(*settings: object) -> str:
    """A hash of what pictures are drawn with: the `settings`, code and libraries."""
    versions = [sys.version, *(one.__version__ for one in LIBRARIES)]
    code = sorted(Path(fdi.__file__).parent.rglob("*.py"))
    return _hash(*map(str, settings), *versions, *(file.read_bytes() for file in code))


def of_page(content: pandas.DataFrame, drawn_with: str) -> str | None:
    """A hash of all that the picture of one page comes from; None where its values are no plain
    numbers and texts.
    """
    try:
        values = json.dumps(content.to_dict("split"))
    except TypeError:
        return None
    return _hash(drawn_with, values, *map(str, content.dtypes))


def origin(results: Path, *settings: object) -> str | None:
    """A hash of all that figures and the report come from: `drawing`; size, time and inode of the
    files of runs, of measurements beside them and of the reference; the states of unfinished runs.
    None where one of the files is young.
    """
    found = hashlib.blake2b(drawing(*settings).encode(), digest_size=16)

    def add(*parts: object) -> None:
        found.update(repr(parts).encode())

    for path, *_ in directories(results):
        if (of_run := stamp(path, READ)) is None:
            return None
        done = os.path.exists(f"{path}/{RESULT}")
        add(path, of_run, done or progress(Path(path))["state"])
    for file in sorted([*results.glob("*.csv"), *(results / "reference").rglob("*.*")]):
        if (of_file := stamp(str(file.parent), (file.name,))) is None:
            return None
        add(str(file), of_file)
    return found.hexdigest()


def unchanged(kept: Index, name: str, known: str | None) -> list[Path] | None:
    """The files of what was drawn as `name` from the origin `known`, if they are as they were then;
    else None. What was said of damaged learning curves then is said again.
    """
    entry = kept.find(DRAWN, name, known)
    if entry is None:
        return None
    digests: dict[str, str]
    digests, damaged = json.loads(entry[0])
    if any(_digest(file) != digests[file] for file in digests):
        return None
    for path in damaged:
        tell(path)
    return [Path(file) for file in digests]


def remember(
    kept: Index, name: str, known: str | None, files: Iterable[Path], damaged: Iterable[str]
) -> None:
    """Keep that these files were drawn as `name` from the origin `known`, without the learning
    curves of the runs `damaged`.
    """
    digests = {str(file): _digest(str(file)) for file in files}
    kept.keep(DRAWN, name, known, json.dumps([digests, list(damaged)]))


def _hash(*parts: str | bytes) -> str:
    return hashlib.blake2b(repr(parts).encode(), digest_size=16).hexdigest()


def _digest(file: str) -> str | None:
    try:
        return hashlib.blake2b(Path(file).read_bytes(), digest_size=16).hexdigest()
    except OSError:
        return None
