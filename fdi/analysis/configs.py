"""The config.yaml of a run, flat."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

from fdi.config.identity import REMOVED
from fdi.track.files import parse_yaml, read

TOP_LEVEL_KEY = re.compile(r"^(?=[A-Za-z_])", re.MULTILINE)
EXCLUDE = "identity.exclude"


def read_config(path: Path) -> dict[str, Any]:
    """Dotted key -> value, lists as JSON text, without the keys that `identity.exclude` names: they
    cannot change the numbers.

    The file is block-style YAML as Hydra writes it. It is parsed a top-level key at a time, and
    equal text only once, because the configs of a sweep differ in a few lines. Raises OSError, and
    ValueError for what is not a whole config.
    """
    flat: dict[str, Any] = {}
    try:
        for block in TOP_LEVEL_KEY.split(read(path)):
            flat |= _parse(block)
    except (ValueError, AttributeError) as error:
        raise ValueError(f"{path}: not a config ({' '.join(str(error).split())})") from error
    if "seed" not in flat:
        raise ValueError(f"{path}: not a whole config (no seed)")
    excluded = _names(flat.get(EXCLUDE))
    inside = tuple(f"{key}." for key in excluded)
    return {
        key: value
        for key, value in flat.items()
        if key not in excluded and not key.startswith(inside)
    }


@lru_cache(maxsize=16384)
def _parse(block: str) -> dict[str, Any]:
    return dict(_flat(parse_yaml(block) or {}))


def _names(text: Any) -> list[str]:
    names = json.loads(text) if isinstance(text, str) and text.startswith("[") else []
    return [name for name in names if isinstance(name, str)]


def _flat(node: dict[str, Any], prefix: str = ""):
    removed = REMOVED.get(node.get("_target_", ""), {})
    for key, value in node.items():
        if key in removed and removed[key] == value:
            continue  # newer runs have no such key
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", json.dumps(value) if isinstance(value, list) else value
