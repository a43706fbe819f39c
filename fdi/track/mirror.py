"""What a copy of the learning curves elsewhere takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol


class Mirror(Protocol):
    """`rows`: of the initial state, see fdi.init.probe; `row`: an epoch; `result`: the end."""

    def probe(self, rows: list[dict[str, Any]]) -> None: ...

    def row(self, row: dict[str, Any]) -> None: ...

    def result(self, result: dict[str, Any]) -> None: ...


def remarks(config: Mapping[str, Any]) -> dict[str, str]:
    """The tags and the note of a run, where it has any."""
    said = {"tags": ", ".join(config.get("tags", ())), "note": config.get("note") or ""}
    return {key: text for key, text in said.items() if text}


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
