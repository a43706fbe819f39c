"""Trials, by which best, zoo and recipe choose: ordinary runs with seeds of their own that never
see the test set; and what they reached.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from fdi.analysis.choice import FAILS, REFUSED, Asking, Reached, mean
from fdi.cli.cells import Cell, combinations, compose_cell, compose_sweep, key_of, together
from fdi.cli.compose import fitting, lacking, source
from fdi.config.identity import contents
from fdi.config.metric import of_result
from fdi.track import record
from fdi.track.record import Run, initial_state, look

TEST = "trainer.test="
APART = ("seed=", "trainer.epochs=", TEST)  # in which trials differ from what is asked for
Words = tuple[str, ...]
CROSS_ENTROPY = "fdi.snn.objective.CrossEntropy"


def refuse_regression(cell: Cell, what: str) -> None:
    """Raises ValueError where nothing is classified."""
    if (loss := str(cell.values["objective"]["_target_"])) != CROSS_ENTROPY:
        raise ValueError(
            f"objective = {loss.rpartition('.')[2]}: {what} tells what learns from what guesses by "
            f"the accuracy of classes; take objective=cross_entropy"
        )


class Trials(ABC):
    """Those of the command line `arguments`, by the `node` of the configuration that says what is
    chosen. `conditions`: the words of each, without a seed; `seeds`: those that compare or prove;
    `least`: margins below it do not count.
    """

    least = -1.0

    def __init__(self, arguments: Namespace, node: str) -> None:
        self.arguments, self.source = arguments, source(arguments)
        self.config: Any = compose_sweep(arguments)
        self.node = contents(self.config[node])
        self.results = Path(self.config.paths.results)
        rows = [tuple(row) for row in combinations(arguments)]
        given = (word for row in rows for word in row if word.startswith("seed="))
        self.seeds = [*dict.fromkeys(given)] or ["seed=0"]
        self.conditions = [
            *dict.fromkeys(tuple(w for w in row if not w.startswith("seed=")) for row in rows)
        ]
        self.tuning = [f"seed={seed}" for seed in self.node["seeds"]]
        if same := {*self.seeds} & {*self.tuning}:
            raise ValueError(
                f"{min(same)} is a seed of the trials ({node}.seeds); compare with other seeds"
            )
        self.refused: set[Path] = set()

    def cell(self, words: Sequence[str]) -> Cell:
        return compose_cell(self.source, fitting(self.source, words))

    def default(self, words: Words) -> Cell:
        """What is configured. Raises ValueError where nothing is held out for a choice."""
        cell = self.cell((*words, "seed=0"))
        if cell.values["dataset"].get("valid") == 0:
            raise ValueError(
                "dataset.valid = 0: a choice needs a validation split; hold samples out for it"
            )
        return cell

    def trial(self, words: Words, change: Words, epochs: int) -> list[Cell]:
        """The trainings of a candidate."""
        kept = [word for word in changed(words, change) if not word.startswith(APART)]
        last = (f"trainer.epochs={epochs}", f"{TEST}false")
        return [self.cell((*kept, *last, seed)) for seed in self.tuning]

    def whole(self, words: Words, change: Words = ()) -> list[Cell]:
        """The runs that compare, or prove, a change."""
        return [self.cell((*changed(words, change), seed)) for seed in self.seeds]

    def rows(self, words: Words, beside: Mapping[str, str]) -> Iterator[Words]:
        """What may stand `beside` the words of a network, written as in hydra.sweeper.params,
        without the words of keys that its options lack. An eps for float64 is none for an optimizer
        that computes in float32 only, where its square is 0.
        """
        eps, precision = "optimizer.eps", "optimizer.precision"
        for parts in product(*(together(*item) for item in beside.items())):
            row = tuple(word for part in parts for word in part)
            lacks = lacking(self.source, (*words, *row))
            if eps in lacks or precision not in lacks or f"{precision}=float64" not in row:
                yield tuple(word for word in row if key_of(word) not in lacks)

    def search(self, rules: Sequence[Asking]) -> None:
        """Train what all ask for, in one sweep, until each has found something."""
        while asking := [rule for rule in rules if rule.asked]:
            asked = [{each: self.trainings(rule, *each) for each in rule.asked} for rule in asking]
            cells = [cell for each in asked for few in each.values() for cell in few]
            self.train(cells)
            for rule, each in zip(asking, asked):
                rule.hear({question: self._means(few) for question, few in each.items()})

    @abstractmethod
    def trainings(self, rule: Any, candidate: Any, epochs: int) -> list[Cell]:
        """Those of a candidate that a rule asks for."""

    @abstractmethod
    def train(self, cells: Sequence[Cell]) -> None:
        """Train these."""

    def _means(self, cells: Sequence[Cell]) -> Reached | None:
        """What the trainings of a candidate reached; None where one cannot tell."""
        told = [self._reached(cell) for cell in cells]
        known = [each for each in told if each]
        return mean(known) if len(known) == len(told) else None

    def _reached(self, cell: Cell) -> Reached | None:
        run = look(cell.directory)
        if cell.directory in self.refused or run.state == record.REFUSED:
            return REFUSED
        if diverged(run):
            return FAILS
        if not (result := run.result):
            return None
        margins = map(_margin, initial_state(cell.directory, run))
        metric = of_result(result)
        return Reached(
            result[metric.key("valid_accuracy_last")],
            result["train_loss_last"],
            result["classes"] or math.nan,
            min((m for m in margins if m is not None and m > self.least), default=math.nan),
            metric,
        )


def diverged(run: Run) -> bool:
    """Whether its loss became infinite."""
    return (run.error or "").startswith("Diverged: ")


def changed(words: Sequence[str], change: Sequence[str]) -> Words:
    """The words with those of a change in place of the same keys, and of the keys below."""
    keys = {key_of(word) for word in change}
    kept = (w for w in words if not {key_of(w), key_of(w).partition(".")[0]} & keys)
    return (*kept, *change)


def _margin(row: dict[str, Any]) -> float | None:
    """The largest gradient of a hidden layer over the effective floor of the optimizer."""
    named: list[Any] = [
        row.get(key) for key in ("rate", "grad_task_max", "floor_steady", "floor_noisy")
    ]
    if None in named:
        return None
    _, gradient, *floors = named
    return gradient / max(floors) if max(floors) > 0 else math.inf
