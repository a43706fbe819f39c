"""Files of a run: each is written under a temporary name, put on disk and renamed, so that a kill
or a power cut leaves the old file or the new one; but metrics.csv, the learning curves, which gets
a row an epoch. And what is left out of them and why, a line each, so that one bad item takes no
command down.
"""

from __future__ import annotations

import csv
import errno
import hashlib
import io
import json
import logging
import os
import re
import secrets
import stat
import traceback
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache, lru_cache
from glob import escape, glob
from pathlib import Path
from typing import Any, BinaryIO

from fdi.config import Mistake
from fdi.config.cache import Stamp, stamp

LARGEST = 2**26  # bytes that a file of text may have
FOLDER = 0x10  # DOS attribute of an entry in an archive; torch reads nothing of one


@contextmanager
def atomic(path: Path, alone: bool = True) -> Iterator[Path]:
    """A temporary path beside `path` to write to; it becomes `path` when the block ends well and is
    gone otherwise. When that is over, it is on disk; if it is not `alone`, under its new name only
    once the next file beside it is. Its temporary name is that of nobody else: threads have one
    process, and processes in two containers the same number.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}")
    try:
        yield temporary
        sync(temporary)
        os.replace(temporary, path)
        if alone:
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
    (directory / CHECKPOINT).parent.mkdir(parents=True, exist_ok=True)
    for folder in (directory, *list(directory.parents)[:5]):  # up to results
        _put(stamp(str(folder)))
    for file in (RUN, PROBE, METRICS, CHECKPOINT):
        path = directory / file
        for left in path.parent.glob(f".{path.name}.[0-9]*"):
            left.unlink(missing_ok=True)


@lru_cache(maxsize=256)
def _put(folder: Stamp | None) -> None:
    """Put the name of a folder on disk; the names in it follow with the first file there."""
    if folder:
        sync(Path(folder.name).parent)


def write_json(path: Path, content: Any, alone: bool = True) -> None:
    """Write a file as a whole, or leave the old one; `alone`: see `atomic`."""
    with atomic(path, alone) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n")


def open_file(path: Path) -> BinaryIO:
    """An open file. Raises OSError, and ValueError for what is none, such as a pipe, which would
    wait for its writer.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise ValueError(f"{path}: not a file")
    return os.fdopen(descriptor, "rb")


def hashed(path: Path) -> str:
    """16 hex digits over the bytes of a file of any size. Raises OSError, and ValueError for what
    is none.
    """
    checksum = hashlib.blake2b(digest_size=8)
    with open_file(path) as file:
        while part := file.read(2**20):
            checksum.update(part)
    return checksum.hexdigest()


def digest(text: str) -> str:
    """The same of a file that holds this text."""
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def write_checkpoint(path: Path, state: Mapping[str, Any]) -> None:
    """Write tensors, numbers and texts for any device, as a whole, or leave the old file."""
    import torch

    content = io.BytesIO()  # torch does not say what a full disk says
    torch.save(_on_cpu(state), content)
    with atomic(path) as temporary:
        temporary.write_bytes(content.getbuffer())


def read_checkpoint(path: Path) -> dict[str, Any]:
    """What the file of a checkpoint holds, after checking that each entry has the right checksum
    and each weight is a number; whose it is says fdi.track.evidence. Raises ValueError for a
    damaged one.
    """
    import torch

    with refusing_damage(path):
        with open_file(path) as file:
            with zipfile.ZipFile(file) as archive:
                if entry := archive.testzip():
                    raise Mistake(f"the checksum of {entry} is wrong")
                for info in archive.infolist():
                    if info.external_attr & FOLDER:
                        raise Mistake(f"{info.filename} is marked as a folder")
            file.seek(0)
            state = torch.load(file, map_location="cpu", weights_only=True)
        for weights in (state["weights"], state["progress"]["best_weights"] or {}):
            for name, weight in weights.items():
                if not weight.isfinite().all():
                    raise Mistake(f"weights of {name} are not finite")
        if not isinstance(state["progress"]["epoch"], int):
            raise Mistake("its epoch is no number")
        return state


@contextmanager
def refusing_damage(path: Path) -> Iterator[None]:
    """Turn whatever goes wrong with a checkpoint in the block into a ValueError, one line that
    names the file; the file stays as it is.
    """
    try:
        yield
    except Exception as error:
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        reason = reason.removeprefix(f"{path}: ")
        raise Mistake(f"{path} is damaged ({reason}); delete it to start the run again") from error


def _on_cpu(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _on_cpu(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_on_cpu(item) for item in value]
    return value.cpu() if hasattr(value, "cpu") else value


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
        content = json.loads(text := read(path))
        if "\\ud" in text:  # of a character outside the first 65,536 one half alone is no text
            json.dumps(content, ensure_ascii=False).encode()
        return content
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, RecursionError, OSError) as error:
        empty = os.path.isfile(path) and not os.path.getsize(path)
        reason = "empty" if empty else str(error)
        raise ValueError(reason if str(path) in reason else f"{path}: {reason}") from None


def printable(text: str, keep: str = "") -> str:
    """Without what a terminal would obey: on one line, unless line ends are in `keep`."""
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() or c in keep else c.encode("unicode_escape").decode() for c in text
    )


log = logging.getLogger("fdi")


@cache
def tell(line: str) -> None:
    """Say, once, what is left out and why: on stderr, unless the program logs elsewhere."""
    log.warning("%s", printable(" ".join(line.split())))


@contextmanager
def spared(item: str, but: type[BaseException] | tuple[()] = ()) -> Iterator[None]:
    """The block is left where it raises, and a line says what of `item`; `but`: what is none of its
    faults.
    """
    try:
        yield
    except but:
        raise
    except (Exception, SystemExit) as error:
        tell(f"{item} is left out: {_reason(error)}")


def _reason(error: BaseException) -> str:
    if isinstance(error, Mistake):
        return str(error)
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {error} ({place.filename}, line {place.lineno})"


RUNS, SWEEPS, ZOO = "runs", "sweeps", "zoo"
"""Folders below results: the runs, the plans of sweeps, which random network a run belongs to."""

RUN, PROBE, METRICS, CHECKPOINT = "run.json", "init.json", "metrics.csv", "checkpoint/last.pt"
LOG, OUTPUT = "run.log", "output.log"  # traceback of a failure; what a cell prints beside others
LOCK = ".lock"

_RUN = re.compile(r"seed=([0-9]+)-(\w+)")
_PLACE = re.compile(rf"{RUNS}/[^/]+/[^/]+/[^/]+/{_RUN.pattern}")


def is_place(path: str) -> bool:
    """Whether `path`, below results, is where a run may be: runs/<dataset>/<model>/<init>/
    seed=<n>-<id>, and nothing that leads elsewhere.
    """
    return bool(_PLACE.fullmatch(path)) and not {".", ".."} & set(path.split("/"))


def directories(results: Path) -> Iterator[tuple[str, ...]]:
    """(path, dataset, model, init, seed, id) of each run, in alphabetical order. Raises ValueError
    where `results` is not a folder.
    """
    if results.exists() and not results.is_dir():
        raise ValueError(f"{results} is not a folder; it must be one with {RUNS}/ in it")
    found = glob(f"{escape(str(results / RUNS))}/*/*/*/seed=*")
    for path in sorted(found, key=lambda path: path.split("/")):
        *_, dataset, model, init, run = path.split("/")
        if (name := _RUN.fullmatch(run)) and os.path.isdir(path):
            yield path, dataset, model, init, *name.groups()


PHASE = "phase"  # the column that holds a word


class Metrics:
    """Appends rows to a csv file. Opening it again drops the rows after `epoch`; raises ValueError
    if rows up to there are missing, or do not have the checksum `known`.
    """

    def __init__(self, path: Path, epoch: int, known: str | None = None) -> None:
        self.path = path
        kept = _rows(path, epoch) if epoch else []
        self._written = hashlib.blake2b("".join(kept).encode(), digest_size=8)
        if known not in (None, self.checksum):
            raise Mistake(
                f"{path}: not the learning curve of this run up to epoch {epoch}; put that one "
                f"back, or delete the folder {path.parent} to start again"
            )
        self.header = next(csv.reader(kept[:1]), None)
        self._named = path.exists()
        if self._named:
            with atomic(path) as temporary:
                temporary.write_text("".join(kept))
        else:
            path.touch()

    @property
    def checksum(self) -> str:
        """`hashed` of the file."""
        return self._written.hexdigest()

    def append(self, row: dict[str, Any]) -> None:
        """`row` starts with the epoch; all rows have the same keys."""
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, self.header or list(row), lineterminator="\n")
        if self.header is None:
            self.header = list(row)
            writer.writeheader()
        writer.writerow(row)
        with self.path.open("r+") as file:  # "a" would make a new one
            file.seek(0, os.SEEK_END)
            file.write(text.getvalue())
        self._written.update(text.getvalue().encode())

    def sync(self) -> None:
        """Put the rows on disk, with the name of a new file."""
        sync(self.path)
        if not self._named:
            sync(self.path.parent)
        self._named = True


def _rows(path: Path, epoch: int) -> list[str]:
    try:
        lines = read(path).splitlines(keepends=True)[: epoch + 1]
    except FileNotFoundError:
        lines = []
    header = lines[0].rstrip("\n").split(",") if lines else []
    rows = enumerate(lines[1:], 1)
    if len(lines) <= epoch or not all(_is_row(line, i, header) for i, line in rows):
        raise ValueError(
            f"{path}: not all of the {epoch} epochs that the checkpoint has; put it back, or "
            f"delete the folder {path.parent} to start again"
        )
    return lines


def _is_row(line: str, epoch: int, header: Sequence[str]) -> bool:
    """Whether it is the whole row of this epoch, with a number in each column but the phase."""
    values = line.rstrip("\n").split(",")
    if not line.endswith("\n") or len(values) != len(header) or values[0] != str(epoch):
        return False
    try:
        list(map(float, [text for name, text in zip(header, values) if text and name != PHASE]))
    except ValueError:
        return False
    return True
