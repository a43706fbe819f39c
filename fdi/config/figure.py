"""The node `figure` of an experiment: how its sweep is drawn."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING

from fdi.config.parts import choose

DERIVED = (
    "bounds",
    "homeostasis",
    "instead",
    "layers",
    "neuron",
    "optimizer",
    "populations",
    "recurrent",
    "scheduler",
)
"""Columns made of several keys: fdi.analysis.derived."""
FINDINGS = ("", "decided", "difference", "ends", "highest", "last", "rescued", "verdicts")
"""What may be said of a sweep: fdi.figures.findings."""
SCALES = ("auto", "linear", "log", "names")


@dataclass
class Figure:
    """A quantity over `x`, a key of the config or one of DERIVED, with a colour for each
    initialization and from light to dark for the values of `shade`.

    docs/howto/figure.md says what each key means.
    """

    x: str = MISSING
    name: str = ""
    title: str = ""
    about: str = ""
    needs: str = ""
    command: str = ""
    place: int = 50
    question: str = ""
    finding: str = field(default="", metadata={"choices": FINDINGS})
    quantities: list[str] = field(default_factory=lambda: ["accuracy"])
    panels: list[str] = field(default_factory=list)
    pages: str = ""
    shade: str = "init.sigma_u"
    only: dict[str, Any] = field(default_factory=dict)
    free: list[str] = field(default_factory=list)
    longest: str = ""
    least: int = field(default=2, metadata={"least": 2})
    usual: bool = False
    best: bool = False
    label: str = ""
    legend: str = ""
    scale: str = field(default="auto", metadata={"choices": SCALES})
    columns: int = field(default=1, metadata={"least": 1})
    height: float = field(default=1.4, metadata={"least": 0.5})
    names: dict[str, Any] = field(default_factory=dict)


def unknown_keys(figure: dict[str, Any], groups: Iterable[str]) -> Iterator[str]:
    """Complaints about keys of the config that a figure names, by the `groups` of the config."""
    known = {*groups, *DERIVED}
    for option in ("x", "shade", "pages", "longest", "panels", "free", "only", "names"):
        named = figure[option]
        for key in filter(None, [named] if isinstance(named, str) else named):
            if (group := key.partition(".")[0]) not in known:
                yield f"figure.{option}: {key} is no key of the config; {choose(group, known)}"
