"""The trainings by which something is chosen: ordinary runs that never see the test set, what they
reached.
"""

from __future__ import annotations

import math
from argparse import Namespace
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from fdi.analysis.choice import FAILS, Reached, mean
from fdi.analysis.formats import plural
from fdi.cli.cells import Cell
from fdi.cli.compose import lacking, source
from fdi.cli.sweep import run_sweep
from fdi.config.metric import of_result
from fdi.track.process import INTERRUPTED
from fdi.track.record import initial_state, look

TEST = "trainer.test="
EPS, PRECISION = "optimizer.eps", "optimizer.precision"
DIVERGED = "Diverged: "  # how the error of such a run begins
REFUSED = FAILS._replace(classes=1)
FLOORS = ("floor_steady", "floor_noisy")
Words = tuple[str, ...]


def key_of(word: str) -> str:
    """That of an override."""
    return word.partition("=")[0]


class Trainings:
    """Those of the command line `arguments`."""

    def __init__(self, arguments: Namespace) -> None:
        self.arguments, self.source = arguments, source(arguments)
        self.trained: set[Path] = set()
        self.refused: set[Path] = set()

    def train(self, what: str, asked: Iterable[Cell]) -> int:
        """Train what this command has not; returns INTERRUPTED where that came between, else 0."""
        new = {cell.directory: cell for cell in asked if cell.directory not in self.trained}
        if not new:
            return 0
        print(f"{what}: {plural(len(new), 'training')}", flush=True)
        code = run_sweep(self.arguments, [*new.values()], table=False, refused=self.refused)
        self.trained |= new.keys()
        return code if code == INTERRUPTED else 0

    def means(self, cells: Sequence[Cell], least: float = -1.0) -> Reached | None:
        """What the trainings of a candidate reached; None where one cannot tell. Its margin is that
        of the layers that have a larger one than `least`.
        """
        told = [self._reached(cell, least) for cell in cells]
        known = [each for each in told if each]
        return mean(known) if len(known) == len(told) else None

    def _reached(self, cell: Cell, least: float) -> Reached | None:
        run = look(cell.directory)
        if cell.directory in self.refused or run.refused:
            return REFUSED
        if (run.error or "").startswith(DIVERGED):
            return FAILS
        if not (result := run.result):
            return None
        margins = map(_margin, initial_state(cell.directory, run))
        metric = of_result(result)
        return Reached(
            result[metric.key("valid_accuracy_last")],
            result["train_loss_last"],
            result["classes"] or math.nan,
            min((m for m in margins if m is not None and m > least), default=math.nan),
            metric,
        )

    def rows(self, words: Words, beside: Iterable[Words]) -> Iterator[Words]:
        """The words `beside` those of a network, without those of keys that its options lack. An
        eps for float64 is none for an optimizer that computes in float32 only, where its square is
        0.
        """
        for row in beside:
            lacks = lacking(self.source, (*words, *row))
            if EPS in lacks or PRECISION not in lacks or f"{PRECISION}=float64" not in row:
                yield tuple(word for word in row if key_of(word) not in lacks)


def _margin(row: dict[str, Any]) -> float | None:
    """The largest gradient of a hidden layer over the floor of the optimizer."""
    named: list[Any] = [row.get(k) for k in ("rate", "grad_task_max", *FLOORS)]
    if None in named:
        return None
    _, gradient, *floors = named
    return gradient / max(floors) if max(floors) > 0 else math.inf


def refuse_without_validation(cell: Cell) -> None:
    """Raises ValueError where nothing is held out for a choice."""
    if cell.values["dataset"].get("valid") == 0:
        raise ValueError(
            "dataset.valid = 0: a choice needs a validation split; hold samples out for it"
        )
