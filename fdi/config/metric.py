"""What runs are judged by: a number of their readout, with a unit and a direction."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from math import inf
from typing import Any, NamedTuple


class Metric(NamedTuple):
    """`unit` "%": a share, shown as 100 times the number; `lower`: the lower the better."""

    name: str = "accuracy"
    unit: str = "%"
    lower: bool = False

    def __str__(self) -> str:
        return f"{self.title}{', lower is better' * self.lower}"

    @property
    def title(self) -> str:
        return f"{self.name} ({self.unit})" if self.unit else self.name

    @property
    def scale(self) -> float:
        """From a number to what is shown of it."""
        return 100.0 if self.unit == "%" else 1.0

    @property
    def ends(self) -> tuple[float, float]:
        """No value lies below the first or above the second."""
        return ENDS.get(self.name, (-inf, inf))

    @property
    def sign(self) -> int:
        """Of a difference that is an improvement."""
        return -1 if self.lower else 1

    def key(self, of_accuracy: str) -> str:
        return of_accuracy.replace("accuracy", self.name)

    def text(self, value: float | None) -> str:
        if value is None:
            return "-"
        return f"{self.scale * value:{self.form()}} {self.unit}".strip()

    def form(self, sign: str = "") -> str:
        """Python's format of a number as it is shown, `sign` "+" or none."""
        return f"{sign}.1f" if self.unit == "%" else f"{sign}.3g"


def in_percent(share: float) -> str:
    """As in 12 %."""
    return f"{share:.0%}".replace("%", " %")


ACCURACY = Metric()
ENDS = {"accuracy": (0.0, 1.0), "R2": (-inf, 1.0), "sMAPE": (0.0, inf), "error": (0.0, inf)}


def of_result(result: Mapping[str, Any]) -> Metric:
    """That of the result of a run."""
    return Metric(**(result.get("metric") or {}))


def of_rows(texts: Iterable[Any]) -> Metric:
    """The one that tables call so, an accuracy where they say nothing; of several, the first by
    name.
    """
    said = sorted({text for text in texts if isinstance(text, str)})
    if not said:
        return ACCURACY
    name, unit, lower = re.fullmatch(
        r"(?s)(.*?)(?: \((.*)\))?(, lower is better)?", said[0]
    ).groups()  # type: ignore[union-attr] # it matches any text
    return Metric(name, unit or "", bool(lower))
