"""What was read or generated stays in the process, for the next cell of a sweep."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import numpy as np

from fdi.data.stamps import stamps

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
        arrays = list(_arrays(made))
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


def _arrays(value: Any) -> Iterator[np.ndarray]:
    if isinstance(value, np.ndarray):
        yield value
    elif isinstance(value, tuple):
        for part in value:
            yield from _arrays(part)
    elif is_dataclass(value):
        for field in fields(value):
            yield from _arrays(getattr(value, field.name))
