"""Numbers, values of the config and names of its keys as text, the same in every table."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from fdi.config.parts import spelt

NAMING = re.compile(r"\.(_target_|name)$")
"""The end of a key that names what its group chose."""


def number(value: float | None, form: str = ".1f", scale: float = 1.0) -> str:
    """`scale` times a number in a format of Python's; - for None and NaN."""
    return "-" if value is None or value != value else format(scale * value, form)


def plural(count: int, noun: str) -> str:
    """As in 1 run, 2 runs or 1,000 runs."""
    return f"{count:,} {noun}{'s' * (count != 1)}"


def shown(value: Any) -> str:
    """A value of a column as one would write it, in short: null, true, 0.5, [1,2], or the class of
    a `_target_`.
    """
    if isinstance(value, float):
        return "null" if value != value else f"{value:g}"
    text = spelt(value)
    if text.startswith(("fdi.", "torch.")):
        return text.rpartition(".")[2]
    if text in ("True", "False"):
        return text.lower()
    return text.replace(", ", ",") if text.startswith("[") else text  # a list of a table of runs


def told(columns: Sequence[str], values: Sequence[Any], but: Sequence[str] = ()) -> str:
    """The values of these columns that are known, `but` some: hidden = 128, lr = 0.005."""
    names = short_names(columns)
    parts = [
        f"{names[column]} = {shown(value)}"
        for column, value in zip(columns, values)
        if column not in but and value is not None and value == value
    ]
    return ", ".join(parts)


def short_names(columns: Sequence[str]) -> dict[str, str]:
    """Column -> the shortest end of its dotted name that no other column has: model.hidden ->
    hidden, optimizer._target_ -> optimizer, engine.name -> engine.
    """
    parts = {column: NAMING.sub("", column).split(".") for column in columns}
    ends = {
        column: [".".join(names[i:]) for i in reversed(range(len(names)))]
        for column, names in parts.items()
    }
    times = Counter(end for column in columns for end in ends[column])
    return {
        column: next((end for end in ends[column] if times[end] == 1), column) for column in columns
    }
