"""Tells whether files have changed, without reading them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple


class Stamp(NamedTuple):
    """Name, bytes, and times of the last change of content and of anything (ns) of a file."""

    name: str
    size: int
    mtime: int
    ctime: int


def stamps(path: Path) -> list[Stamp]:
    """That of the file, or of all files below the folder, through links, each folder once."""
    all_stamps = [_stamp(str(path))] if path.is_file() else _below(path, set())
    return sorted(stamp for stamp in all_stamps if stamp)


def _below(folder: Path, seen: set[tuple[int, int]]) -> Iterator[Stamp | None]:
    try:
        about = os.stat(folder)
        entries = list(os.scandir(folder))
    except OSError:
        return
    if (about.st_dev, about.st_ino) in seen:
        return
    seen.add((about.st_dev, about.st_ino))
    for entry in entries:
        if entry.is_dir():
            yield from _below(Path(entry.path), seen)
        else:
            yield _stamp(entry.path)


def _stamp(name: str) -> Stamp | None:
    """None for a link to nowhere."""
    try:
        about = os.stat(name)
    except OSError:
        return None
    return Stamp(name, about.st_size, about.st_mtime_ns, about.st_ctime_ns)
