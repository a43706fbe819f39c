"""Event tables of large files, kept on disk for the next run and mapped into memory: all processes
of a machine share one copy, and a start reads nothing but what its batches need.

A table belongs to a file as it is (fdi.config.cache.Stamp), to what was asked of it, and to the
code that read it. It lies in the user's cache, appears there as a whole with its checksums, which
each process compares when it opens it, and may be deleted at any time; where it cannot be written,
each process reads the file into a memory of its own, after a line that says so.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from functools import cache
from pathlib import Path
from typing import IO, Any
from zlib import crc32

import numpy as np

from fdi.config.cache import TABLES, alone, cache_folder, stamp
from fdi.data.inputs import Events

LARGE = 2**24  # bytes of a file whose table is kept; smaller ones are read in no time
KINDS = {"indptr": "<i8", "units": "<i4", "counts": "<f4"}  # of numbers, a file each

log = logging.getLogger("fdi.data")


def table(path: Path, view: tuple[Any, ...], read: Callable[[], Iterator[Events]]) -> Events | None:
    """The table of a file in this `view`, after `read`, which yields it in parts, has written it if
    it is not there. None for a small file, and where nothing can be written.
    """
    before = stamp(str(path.resolve()))
    if before is None or before.size < LARGE:
        return None
    name = f"{path.stem}-{_key(before, *view)}"
    try:
        home = cache_folder(TABLES)
        if there := _opened(home / name):
            return there
        with alone(home / f".{name}.lock"):
            if there := _opened(home / name):  # another process was faster
                return there
            _write(home, name, read(), lambda: stamp(before.name) == before)
            return _opened(home / name)
    except OSError as error:
        _say(f"{path}: not kept for other runs, each reads it into its own memory ({error})")
        return None


def _key(*of: Any) -> str:
    digest = hashlib.blake2b(repr((_code(), of)).encode(), digest_size=12)
    return digest.hexdigest()


@cache
def _code() -> str:
    """Hash of the code that makes a table of a file."""
    files = [Path(__file__).with_name(f"{name}.py") for name in ("hdf5", "inputs", "tables")]
    return hashlib.blake2b(b"".join(file.read_bytes() for file in files)).hexdigest()


@cache
def _say(line: str) -> None:
    log.warning(line)


def _opened(folder: Path) -> Events | None:
    """The table in `folder`; None where there is none, or one that is damaged, which is deleted."""
    if not folder.is_dir():
        return None
    with suppress(OSError, ValueError, KeyError, TypeError, EOFError):
        about, seal = json.loads((folder / "about.json").read_text())
        if seal != _key(json.dumps(about)):
            raise ValueError(folder)
        arrays = {}
        for name, (size, checksum) in about["files"].items():
            if size:
                arrays[name] = np.asarray(np.memmap(folder / name, KINDS[name], "r"))
                if (arrays[name].nbytes, crc32(arrays[name].data)) != (size, checksum):
                    raise ValueError(name)
        indptr, units, counts = arrays["indptr"], arrays["units"], arrays.get("counts")
        return Events(indptr, units, tuple(about["shape"]), about["steps"], counts)
    shutil.rmtree(folder, ignore_errors=True)
    return None


def _write(home: Path, name: str, parts: Iterator[Events], unchanged: Callable[[], bool]) -> None:
    """Write a table under another name, put it on disk and rename it, if the file that it comes
    from is still `unchanged`.
    """
    for left in home.glob(f".{name}-*"):  # of a process that was killed
        shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=home))
    try:
        about = _save(folder, parts)
        with (folder / "about.json").open("w") as file:
            json.dump([about, _key(json.dumps(about))], file)
            _sync(file)
        if unchanged() and not (home / name).exists():
            os.replace(folder, home / name)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _save(folder: Path, parts: Iterator[Events]) -> dict[str, Any]:
    about: dict[str, Any] = {}
    end, start = 0, bytes(8)
    with ExitStack() as stack:
        files = {name: stack.enter_context((folder / name).open("wb")) for name in KINDS}
        sums = dict.fromkeys(KINDS, 0) | {"indptr": crc32(start)}
        files["indptr"].write(start)
        for part in parts:
            about = {"shape": part.shape, "steps": part.steps}
            columns = part.indptr[1:] + end, part.units, part.counts
            for (name, kind), numbers in zip(KINDS.items(), columns):
                if numbers is not None:
                    written = np.ascontiguousarray(numbers, kind)
                    files[name].write(written.data)
                    sums[name] = crc32(written.data, sums[name])
            end += len(part.units)
        for file in files.values():
            _sync(file)
    sizes = {name: (folder / name).stat().st_size for name in KINDS}
    return {**about, "files": {name: (size, sums[name]) for name, size in sizes.items()}}


def _sync(file: IO[Any]) -> None:
    file.flush()
    os.fsync(file.fileno())
