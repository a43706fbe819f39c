"""The config.yaml of a run, flat."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
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
        for block in TOP_LEVEL_KEY.split(path.read_text(encoding="utf-8")):
            flat |= _parse(block)
    except (yaml.YAMLError, AttributeError) as error:
        raise ValueError(f"not a config ({' '.join(str(error).split())})") from error
    if "seed" not in flat:
        raise ValueError("not a whole config (no seed)")
    excluded = json.loads(flat.get(EXCLUDE, "[]"))
    inside = tuple(f"{key}." for key in excluded)
    return {
        key: value
        for key, value in flat.items()
        if key not in excluded and not key.startswith(inside)
    }


@lru_cache(maxsize=16384)
def _parse(block: str) -> dict[str, Any]:
    return dict(_flat(yaml.load(block, LOADER) or {}))


def _flat(node: dict[str, Any], prefix: str = ""):
    for key, value in node.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", json.dumps(value) if isinstance(value, list) else value
