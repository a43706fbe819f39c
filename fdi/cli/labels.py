"""What tells the cells of a sweep apart, in few words."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from fdi.cli.cells import Cell

LABELS = ("dataset", "model", "init")


def varied(cells: Iterable[Sequence[str]]) -> list[str]:
    """Keys that take more than one value, or that some cells lack, among the overrides of each."""
    values = defaultdict(set)
    counts: dict[str, int] = defaultdict(int)
    total = 0
    for overrides in cells:
        total += 1
        for override in overrides:
            key, _, value = override.partition("=")
            values[key].add(value)
            counts[key] += 1
    return [key for key in values if len(values[key]) > 1 or counts[key] < total]


def label(cell: Cell, keys: Sequence[str]) -> str:
    """The init, the other values of `keys`, and the seed: fluct model.depth=3 seed=0."""
    names = [str(cell.values["name"][key]) for key in LABELS if key in keys or key == "init"]
    others = chosen(cell, [key for key in keys if key not in (*LABELS, "seed")])
    return " ".join([*names, *others, f"seed={cell.values['seed']}"])


def chosen(cell: Cell, keys: Sequence[str]) -> list[str]:
    """The overrides of the cell with these keys."""
    return [word for word in cell.overrides if word.partition("=")[0] in keys]
