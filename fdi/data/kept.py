"""What was read or generated stays in the process, for the next cell of a sweep."""

from __future__ import annotations

import hashlib
import os
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from functools import wraps
from pathlib import Path
from typing import Any, NamedTuple, ParamSpec, TypeVar

import numpy as np


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


MOST = 2**29  # bytes kept; what was used longest ago goes first

Given = ParamSpec("Given")
Made = TypeVar("Made")
_kept: OrderedDict[tuple[Any, ...], tuple[Any, int]] = OrderedDict()


def keep(make: Callable[Given, Made]) -> Callable[Given, Made]:
    """`make`, except that it returns what it returned before for equal arguments: paths by the
    sizes and times of the files there, arrays by their numbers.

    Nobody can write to the arrays in what it returns.
    """

    @wraps(make)
    def kept(*given: Given.args, **options: Given.kwargs) -> Made:
        named = [*given, *(option for pair in sorted(options.items()) for option in pair)]
        key = (make.__module__, make.__qualname__, *map(_identity, named))
        if key in _kept:
            _kept.move_to_end(key)
            return _kept[key][0]
        made = make(*given, **options)
        arrays = list(_arrays_in(made))
        for array in arrays:
            array.setflags(write=False)
        _kept[key] = made, sum(array.nbytes for array in arrays)
        while sum(size for _, size in _kept.values()) > MOST:
            _kept.popitem(last=False)
        return made

    return kept


def fits(path: Path) -> bool:
    """Whether the content of the file or folder is small enough to be kept."""
    return sum(file.size for file in stamps(path)) <= MOST


def _identity(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value.absolute()), *stamps(value)
    if isinstance(value, np.ndarray):
        return value.shape, hashlib.blake2b(np.ascontiguousarray(value).data).digest()
    return tuple(value) if isinstance(value, list) else value


def _arrays_in(value: Any) -> Iterator[np.ndarray]:
    if isinstance(value, np.ndarray):
        yield value
    elif isinstance(value, tuple):
        for part in value:
            yield from _arrays_in(part)
    elif is_dataclass(value):
        for field in fields(value):
            yield from _arrays_in(getattr(value, field.name))
