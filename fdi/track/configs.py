"""The config.yaml of a run, nested and flat."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from fdi.config.identity import REMOVED
from fdi.track.files import parse_yaml, read

TOP_LEVEL_KEY = re.compile(r"^(?=[A-Za-z_])", re.MULTILINE)
EXCLUDE = "identity.exclude"
LARGEST = 10**300  # a number that a float can hold


def read_values(path: Path) -> dict[str, Any]:
    """The values of a config, without keys that parts no longer have; nobody changes them.

    The file is block-style YAML as Hydra writes it. It is parsed a top-level key at a time, and
    equal text only once, because the configs of a sweep differ in a few lines. Raises OSError, and
    ValueError for what is not a whole config.
    """
    return _merged(path, _parse)


def read_config(path: Path) -> dict[str, Any]:
    """Dotted key -> value, lists as JSON text, without the keys that `identity.exclude` names: they
    cannot change the numbers. Raises what `read_values` raises.
    """
    flat = _merged(path, _parse_flat)
    excluded = _names(flat.get(EXCLUDE))
    inside = tuple(f"{key}." for key in excluded)
    return {
        key: value
        for key, value in flat.items()
        if key not in excluded and not key.startswith(inside)
    }


def _merged(path: Path, parse: Any) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    try:
        for block in TOP_LEVEL_KEY.split(read(path)):
            merged |= parse(block)
    except ValueError as error:
        raise ValueError(f"{path}: not a config ({' '.join(str(error).split())})") from error
    if "seed" not in merged:
        raise ValueError(f"{path}: not a whole config (no seed)")
    return merged


@lru_cache(maxsize=16384)
def _parse(block: str) -> dict[str, Any]:
    values = parse_yaml(block) or {}
    if not isinstance(values, dict):
        raise ValueError("no keys")
    _refuse_what_is_no_config(values)
    return _of_today(values)


@lru_cache(maxsize=16384)
def _parse_flat(block: str) -> dict[str, Any]:
    return dict(_flat(_parse(block)))


def _refuse_what_is_no_config(value: Any) -> None:
    """YAML also has dates, sets and bytes, and keys that are no words."""
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str | int | float | None):
                raise ValueError(f"a key is a {type(key).__name__}")
            _refuse_what_is_no_config(item)
    elif isinstance(value, list):
        for item in value:
            _refuse_what_is_no_config(item)
    elif not isinstance(value, str | int | float | None):
        raise ValueError(f"a value is a {type(value).__name__}")
    elif isinstance(value, int) and abs(value) > LARGEST:
        raise ValueError("a number has more than 300 digits")


def _of_today(values: dict[str, Any]) -> dict[str, Any]:
    target = values.get("_target_")
    removed = REMOVED.get(target, {}) if isinstance(target, str) else {}
    return {
        key: _of_today(value) if isinstance(value, dict) else value
        for key, value in values.items()
        if key not in removed or removed[key] != value
    }


def _names(text: Any) -> list[str]:
    names = json.loads(text) if isinstance(text, str) and text.startswith("[") else []
    return [name for name in names if isinstance(name, str)]


def _flat(node: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in node.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", json.dumps(value) if isinstance(value, list) else value
