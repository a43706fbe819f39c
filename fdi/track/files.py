"""Files of a run: each is written under a temporary name, put on disk and renamed, so that a kill
or a power cut leaves the old file or the new one.
"""

from __future__ import annotations

import errno
import json
import os
import re
import secrets
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, BinaryIO

import yaml

ROOM = 2**16  # bytes, some blocks of any file system
LARGEST = 2**26  # bytes that a file of text may have
DEEPEST = 64  # levels of a yaml file
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` to write to; it becomes `path` when the block ends well and is
    gone otherwise. When that is over, it is on disk. Its name is that of nobody else: threads have
    one process, and processes in two containers the same number.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}")
    try:
        yield temporary
        sync(temporary)
        os.replace(temporary, path)
        sync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Put a file, or the names in a folder, on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # a file system without it
            raise
    finally:
        os.close(descriptor)


def make_directory(directory: Path) -> None:
    """Make the folders of a run, and clean up what killed processes left half-written in them. Its
    lock must be held.
    """
    for file in (CHECKPOINT, CONFIG):
        (directory / file).parent.mkdir(parents=True, exist_ok=True)
    for folder in (directory, *list(directory.parents)[:6]):  # up to that of results
        sync(folder)
    for file in (CONFIG, OVERRIDES, RECORD, STATUS, PROBE, METRICS, CHECKPOINT, RESULT):
        path = directory / file
        for left in path.parent.glob(f".{path.name}.[0-9]*"):
            left.unlink(missing_ok=True)


@contextmanager
def reserved(path: Path) -> Iterator[Callable[[], None]]:
    """Hold ROOM bytes of the disk while the block lasts; yields a function that frees them, for the
    last words of a run whose disk is full.
    """
    try:
        path.write_bytes(bytes(ROOM))
        sync(path)
        yield lambda: path.unlink(missing_ok=True)
    finally:
        path.unlink(missing_ok=True)


def write_json(path: Path, content: Any) -> None:
    """Write a file as a whole, or leave the old one."""
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n")


def open_file(path: Path) -> BinaryIO:
    """An open file. Raises OSError, and ValueError for what is none, such as a pipe, which would
    wait for its writer.
    """
    file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb")
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise ValueError(f"{path}: not a file")
    return file


def read(path: Path) -> str:
    """The text of a file. Raises OSError, and ValueError for what is not a file of text."""
    with open_file(path) as file:
        if (size := os.fstat(file.fileno()).st_size) > LARGEST:
            raise ValueError(f"{path}: {size} bytes, too large")
        try:
            return file.read().decode("utf-8")
        except UnicodeDecodeError:
            raise ValueError(f"{path}: not text") from None


def parse_json(path: Path) -> Any | None:
    """The content, None where there is no file. Raises ValueError, one line, for a broken one."""
    try:
        return json.loads(read(path))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, RecursionError, OSError) as error:
        text = "empty" if path.is_file() and not path.stat().st_size else str(error)
        raise ValueError(text if str(path) in text else f"{path}: {text}") from None


def read_json(path: Path) -> Any | None:
    """The content, or None where there is no whole file."""
    try:
        return parse_json(path)
    except ValueError:
        return None


def read_record(directory: Path) -> dict[str, Any]:
    """record.json of a run, empty where there is no whole one."""
    record = read_json(directory / RECORD)
    return record if isinstance(record, dict) else {}


def parse_yaml(text: str) -> Any:
    """The content of block-style yaml as Hydra writes it: neither aliases nor deep nesting, which
    could stand for more than memory holds. Raises ValueError.
    """
    depth = 0
    try:
        for event in yaml.parse(text, LOADER):
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            if isinstance(event, yaml.AliasEvent) or depth > DEEPEST:
                raise ValueError("aliases or deep nesting")
        return yaml.load(text, LOADER)
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from None


def printable(text: str, keep: str = "") -> str:
    """Without what a terminal would obey: on one line, unless line ends are in `keep`."""
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() or c in keep else c.encode("unicode_escape").decode() for c in text
    )


def write_status(directory: Path, state: str, **details: Any) -> None:
    """status.json: `state` is running, done, probed, failed, queued or interrupted; `details` are
    epoch, epochs, error, and the job that is queued.
    """
    updated = datetime.now(timezone.utc).isoformat(timespec="seconds")
    write_json(
        directory / STATUS,
        {
            "state": state,
            **details,
            "pid": os.getpid(),
            "host": os.uname().nodename,
            "updated": updated,
        },
    )


RUNS, SWEEPS, ZOO = "runs", "sweeps", "zoo"
"""Folders below results: the runs, the plans of sweeps, which random network a run belongs to."""

CONFIG, OVERRIDES = ".hydra/config.yaml", ".hydra/overrides.yaml"
RECORD, STATUS, PROBE, METRICS = "record.json", "status.json", "init.json", "metrics.csv"
CHECKPOINT, RESULT = "checkpoint/last.pt", "result.json"
LOG, OUTPUT = "run.log", "output.log"  # traceback of a failure; what a cell prints beside others
LOCK, RESERVE = ".lock", ".reserve"

UNTESTED = "untested"  # trained with trainer.test=false
TRAINED = ("done", UNTESTED)
STATES = (
    *TRAINED,
    "probed",
    "running",
    "queued",
    "failed",
    "interrupted",
    "missing",
    "broken",
)
SAID = {"missing": "not run yet"}  # what a person reads in place of a state
SETTLED = (*TRAINED, "probed", "failed")  # whoever is at work
STOPPED = ("failed", "interrupted", "broken")  # the same command goes on with them

_RUN = re.compile(r"seed=([0-9]+)-(\w+)")
_PLACE = re.compile(rf"{RUNS}/[^/]+/[^/]+/[^/]+/{_RUN.pattern}")


def is_place(path: str) -> bool:
    """Whether `path`, below results, is where a run may be: runs/<dataset>/<model>/<init>/
    seed=<n>-<id>, and nothing that leads elsewhere.
    """
    return bool(_PLACE.fullmatch(path)) and not {".", ".."} & set(path.split("/"))


def is_below(results: Path, path: Path) -> bool:
    """Whether `path` is a folder of a run really below `results`, with no link on the way."""
    place = path.relative_to(results).as_posix()
    return is_place(place) and path.resolve() == results.resolve() / place


def directories(results: Path) -> Iterator[tuple[str, ...]]:
    """(path, dataset, model, init, seed, id) of each run, in alphabetical order. Raises ValueError
    where `results` is not a folder.
    """
    if results.exists() and not results.is_dir():
        raise ValueError(f"{results} is not a folder; it must be one with {RUNS}/ in it")
    for dataset in _folders(results / RUNS):
        for model in _folders(dataset.path):
            for init in _folders(model.path):
                for run in _folders(init.path):
                    if name := _RUN.fullmatch(run.name):
                        yield run.path, dataset.name, model.name, init.name, *name.groups()


def _folders(path: str | Path) -> list[os.DirEntry[str]]:
    """The folders in `path`; none where it cannot be read."""
    try:
        with os.scandir(path) as entries:
            return sorted(filter(_is_folder, entries), key=lambda entry: entry.name)
    except OSError:
        return []


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False
