"""What a run shows of itself, to whoever watches: a terminal, a log, a notebook."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any, Protocol

from fdi.init.verdict import Floor
from fdi.snn.outcome import Outcome


class Reporter(Protocol):
    """Shows the epochs of one training."""

    def batch(self, done: int, outcome: Outcome) -> None:
        """After `done` samples of an epoch, with the `outcome` of the last batch."""

    def row(self, row: dict[str, Any]) -> None:
        """After an epoch, with its row of metrics.csv."""


class View(Protocol):
    """Shows one run."""

    def say(self, line: str) -> None:
        """A line, as long as it is."""

    def probe(self, rows: list[dict[str, Any]], model: str, init: str, floor: Floor) -> None:
        """The initial state: the rows of fdi.init.probe; `floor`: of the optimizer."""

    def training(self, epochs: int, samples: int, done: int) -> AbstractContextManager[Reporter]:
        """A training of `epochs` epochs of `samples` samples; `done` epochs are finished."""
