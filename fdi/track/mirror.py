"""What a copy of the learning curves elsewhere takes."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from fdi.track.files import read_json, write_json

START = "mirror.json"


def start(directory: Path) -> str:
    """A name of these curves, drawn once in a folder of a run: one that was deleted and is made
    anew, or lies elsewhere with other data, has curves of its own in spite of its id.
    """
    known = read_json(directory / START)
    if isinstance(known, dict) and isinstance(name := known.get("start"), str) and name.isalnum():
        return name
    write_json(directory / START, {"start": (name := secrets.token_hex(4))})
    return name


class Mirror(Protocol):
    """`rows`: of the initial state, see fdi.init.probe; `row`: an epoch; `result`: the end."""

    def probe(self, rows: list[dict[str, Any]]) -> None: ...

    def row(self, row: dict[str, Any]) -> None: ...

    def result(self, result: dict[str, Any]) -> None: ...


def leaves(config: Mapping[str, Any], above: str = "") -> dict[str, bool | int | float | str]:
    """Dotted names of the single values that may change the numbers of a run, for tables of
    hyper-parameters; what is null is not among them.
    """
    left_out = () if above else ("name", "identity", *config["identity"]["exclude"])
    flat: dict[str, bool | int | float | str] = {}
    for key, value in config.items():
        if key in left_out:
            continue
        if isinstance(value, Mapping):
            flat |= leaves(value, f"{above}{key}.")
        elif isinstance(value, bool | int | float | str):
            flat[f"{above}{key}"] = value
        elif isinstance(value, list):
            flat[f"{above}{key}"] = str(value)
    return flat
