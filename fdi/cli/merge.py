"""`fdi-status --merge`: the runs that another machine has, put beside those of this one."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fdi.track.directory import read_config
from fdi.track.files import (
    CONFIG,
    LOCK,
    METRICS,
    RECORD,
    RESULT,
    RUNS,
    SWEEPS,
    ZOO,
    directories,
    is_below,
    printable,
    read_json,
    sync,
)
from fdi.track.state import progress

STAGE = ".merge"  # folder below results where copies are made
FILES = (
    f"{SWEEPS}/*.json",
    f"{ZOO}/*.json",
    "data/*.npz",
)  # plans and arrays, named after their content
COPIED, SAME, TWICE, LEFT = "copied", "there already", "there twice", "left alone"
OWN = ("seconds", "command", "run")  # keys of result.json and record.json that no two runs share


def merge(results: Path, other: Path) -> int:
    """Copy the runs of `other`, a folder of results, that `results` lacks, with plans of sweeps and
    arrays; returns the exit code: 1 if some cell is there twice and not the same.

    A copy appears as a whole, or not at all: after an interruption the same call goes on. What is
    here stays as it is, and so do runs that are going on there. Raises ValueError if `other` has no
    runs, or another process merges into `results`.
    """
    if not (other / RUNS).is_dir():
        raise ValueError(
            f"{other} has no {RUNS}/ in it; give the other machine's folder of results"
        )
    if results.exists() and other.samefile(results):
        raise ValueError(f"{other} is the folder of results itself; give that of the other machine")
    counts: Counter[str] = Counter()
    with _stage(results) as stage:
        for path, *_ in directories(other):
            outcome, line = _merge_run(Path(path), other, results, stage)
            counts[outcome] += 1
            if line:
                print(printable(f"{outcome}  {line}"), flush=True)
        for file in (file for pattern in FILES for file in other.glob(pattern)):
            if not (target := results / file.relative_to(other)).exists():
                _move(_copied(file, stage), target)
    print(", ".join(f"{count} {outcome}" for outcome, count in counts.items()) or "no runs")
    return int(bool(counts[TWICE]))


def _merge_run(there: Path, other: Path, results: Path, stage: Path) -> tuple[str, str]:
    """Copy one run if it may be; returns what became of it, and a line on what a user may want to
    know.
    """
    status = progress(there)
    if not is_below(other, there):
        return LEFT, f"{there}  reached by a link"
    if status["state"] in ("running", "queued"):
        return LEFT, f"{there}  {status['state']}; merge again when it has ended"
    if status["state"] in ("missing", "broken"):
        return LEFT, f"{there}  {status.get('error', 'nothing in it')}"
    here = _same_cell(there, results / there.relative_to(other))
    if not here.exists():
        copy = _copied(there, stage)
        if progress(there) == status:
            _move(copy, here)
            return COPIED, ""
        return LEFT, f"{there}  began to run; merge again when it has ended"
    if progress(here)["state"] == "running":
        return LEFT, f"{here}  running; merge again when it has ended"
    if apart := _differences(here, there):
        return TWICE, f"{here}: {'; '.join(apart)}"
    return SAME, ""


def _same_cell(there: Path, place: Path) -> Path:
    """The folder here with the cell of `there`: `place`, or one with an id of another length."""
    seed, _, digits = place.name.rpartition("-")
    for path in place.parent.glob(f"{seed}-*") if not place.exists() else ():
        if len(path.name.rpartition("-")[2]) != len(digits) and _config(path) == _config(there):
            return path
    return place


def _config(directory: Path) -> dict[str, Any] | None:
    try:
        return read_config(directory / CONFIG)
    except (OSError, ValueError):
        return None


def _differences(here: Path, there: Path) -> list[str]:
    """What keeps two copies of a cell apart: their state, or results and epochs, and what may be
    the cause; nothing where these are the same.
    """
    mine, theirs = (progress(path) for path in (here, there))
    if mine["state"] != theirs["state"]:
        apart = [f"{_far(mine)}, there {_far(theirs)}"]
    elif mine["state"] == "done":
        apart = _unequal(here, there, RESULT)
    else:
        apart = [] if _bytes(here / METRICS) == _bytes(there / METRICS) else [f"{METRICS} differs"]
    return apart and [*apart, *_unequal(here, there, RECORD)]


def _far(status: dict[str, Any]) -> str:
    return f"{status['state']} after epoch {status.get('epoch')}"


def _unequal(here: Path, there: Path, name: str) -> list[str]:
    """The keys of a json file that have two values."""
    mine, theirs = (read_json(path / name) for path in (here, there))
    if not (isinstance(mine, dict) and isinstance(theirs, dict)):
        return [] if mine == theirs else [f"{name} differs"]
    return [
        f"{key} {mine.get(key)}, there {theirs.get(key)}"
        for key in (mine | theirs)
        if key not in OWN and mine.get(key) != theirs.get(key)
    ]


def _bytes(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


@contextmanager
def _stage(results: Path) -> Iterator[Path]:
    """A folder on the disk of `results` for copies, this process's alone; what a killed one left in
    it goes. Raises ValueError if another process is at it.
    """
    stage = results / STAGE
    stage.mkdir(parents=True, exist_ok=True)
    with (stage / LOCK).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            mine = os.fstat(file.fileno()).st_nlink > 0
        except BlockingIOError:
            mine = False
        if not mine:
            raise ValueError(f"{results}: another fdi-status --merge is at work; wait for it")
        for left in stage.iterdir():
            if left.is_dir():
                shutil.rmtree(left)
        try:
            yield stage
        finally:
            shutil.rmtree(stage)


def _copied(source: Path, stage: Path) -> Path:
    """A copy of a file, or of the files in a folder, on disk: without links, locks and what is
    half-written.
    """
    copy = Path(tempfile.mkdtemp(dir=stage)) / source.name
    files = [source] if source.is_file() else sorted(source.rglob("*"))
    for file in files:
        hidden = file.name.startswith(".")
        if file.is_symlink() or hidden or not file.is_file():
            continue
        target = copy / file.relative_to(source) if file != source else copy
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(file, target)
        sync(target)
    return copy


def _move(copy: Path, target: Path) -> None:
    """Let the copy appear in its place. Raises OSError if something is there by now."""
    target.parent.mkdir(parents=True, exist_ok=True)
    copy.rename(target)
    sync(target.parent)
