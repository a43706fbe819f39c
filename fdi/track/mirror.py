"""A copy of the numbers of a run elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Mirror:
    """`log` takes values, of which some may be no numbers, and the epoch after which they are
    true.
    """

    log: Callable[[dict[str, Any], int], None]

    def probe(self, rows: list[dict[str, Any]]) -> None:
        """The initial state, see fdi.init.probe."""
        for row in rows:
            rest = {key: value for key, value in row.items() if key != "population"}
            self.log({f"init/{key}/{row['population']}": rest[key] for key in rest}, 0)

    def row(self, row: dict[str, Any]) -> None:
        """One epoch of the learning curves."""
        self.log(row, row["epoch"])

    def result(self, result: dict[str, Any]) -> None:
        """The final numbers, after the last epoch."""
        self.log({f"result/{key}": value for key, value in result.items()}, result["epochs"])


def numbers(values: Mapping[str, Any]) -> dict[str, float]:
    """Those among the values."""
    return {key: value for key, value in values.items() if isinstance(value, int | float)}


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
