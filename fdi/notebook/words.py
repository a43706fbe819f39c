"""Values of Python as words of the command line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

PLAIN = re.compile(r"[\w./:+-]+")
RESERVED = ("null", "true", "false", "nan", "inf")
NUMBER = re.compile(r"[+-]?(\d[\d_]*\.?\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE)


def words(values: Mapping[str, Any]) -> list[str]:
    """key=value for each of `values`; a list is one value."""
    return [f"{key}={text(value)}" for key, value in values.items()]


def sweep_words(values: Mapping[str, Any]) -> list[str]:
    """key=value,value,... for each of `values`, where a list, a range or an array holds several.
    Raises ValueError for one that is empty.
    """
    overrides = []
    for key, value in values.items():
        several = list(value) if isinstance(value, Iterable) and not _one(value) else [value]
        if not several:
            raise ValueError(f"{key} has no values; give at least one")
        overrides.append(f"{key}={','.join(map(text, several))}")
    return overrides


def text(value: Any) -> str:
    """A value as Hydra reads it: true, null, [1,2], a text in quotes unless it is a plain word."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{key}:{text(item)}" for key, item in value.items()) + "}"
    if isinstance(value, Iterable) and not _one(value):
        return "[" + ",".join(map(text, value)) + "]"
    word = str(value)
    if PLAIN.fullmatch(word) and word.lower() not in RESERVED and not NUMBER.fullmatch(word):
        return word
    return quoted(word)


def quoted(word: str) -> str:
    """In quotes; of backslashes only those before a quote count."""
    escaped = re.sub(r"\\+(?='|$)", lambda match: 2 * match[0], word).replace("'", r"\'")
    return f"'{escaped}'"


def _one(value: Any) -> bool:
    return isinstance(value, str | bytes | Mapping)
