"""A recipe for a network that does not learn: the change that suffices, found by short trials and
by the rule of fdi.analysis.recipe, and proven by whole runs.
"""

from __future__ import annotations

import csv
import io
import math
import shlex
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fdi.analysis.choice import REFUSED, Reached
from fdi.analysis.choice import STEP as LR
from fdi.analysis.formats import plural
from fdi.analysis.recipe import (
    FLOOR,
    RECIPE,
    RECIPES,
    STATE,
    WHOLE,
    Candidate,
    Change,
    Proof,
    Rule,
    Scope,
    Unsettled,
    can_be_lowered,
    proof,
    said,
)
from fdi.cli.cells import Cell, compose_cell, refuse_unknown, varied
from fdi.cli.compose import lacking
from fdi.cli.cost import cores, seconds
from fdi.cli.recipe_result import COMPLAINTS, Recipe, budgeted, print_in_log, recipe
from fdi.cli.sweep import run_sweep
from fdi.cli.task import FAILED, complain
from fdi.cli.terminal import console
from fdi.cli.trials import Trials, Words, changed, diverged, refuse_regression
from fdi.config.identity import LABELS, folder_name
from fdi.track.files import write_json
from fdi.track.process import lock
from fdi.track.record import digest, finished, learning_curve, look

if TYPE_CHECKING:
    from fdi.data.dataset import Split

SEEDS = ("seed=0", "seed=1")  # of the proof, unless others are given
FLOAT32 = float(np.finfo(np.float32).tiny)  # in which the weights are
VALID_LOSS, VALID = "valid/task", "valid/accuracy"


def run_recipe(arguments: Namespace) -> tuple[int, Recipe | None]:
    """Look for a recipe, prove it and say what it is; returns the exit code, and the recipe. The
    same command goes on where it stopped, since each training is a run like any other.
    """
    search = Search(arguments)
    if search.config.dry_run or not finished(search.first, "before"):
        print(search.budget(), flush=True)
    if search.config.dry_run:
        return 0, None
    with lock(search.folder, search.config.take_over):
        found = search.find()
    if found.state in COMPLAINTS:
        return complain(found.cause, FAILED), found
    return 0, found


class Search(Trials):
    """For the network of the command line `arguments`."""

    least = 0.0

    def __init__(self, arguments: Namespace) -> None:
        super().__init__(arguments, "recipe")
        if len(self.conditions) > 1:
            keys = ", ".join(varied(self.conditions))
            raise ValueError(f"a recipe is for one network and its seeds; give one value of {keys}")
        refuse_unknown(arguments, self.conditions)
        (self.words,) = self.conditions
        if len(self.tuning) != 1:
            seeds = ", ".join(map(str, self.node["seeds"]))
            raise ValueError(f"recipe.seeds = {seeds or 'none'}: a search has one seed; give one")
        if not any(word.startswith("seed=") for word in arguments.overrides):
            self.seeds = [*SEEDS]
        self.asked = self.default(self.words)
        if self.asked.values["probe"] == "only":
            raise ValueError("probe = only trains nothing; a recipe is found by training")
        refuse_regression(self.asked, "a recipe")
        if lacking(self.source, (*self.words, f"{LR}=1")):
            raise ValueError(f"{LR}: this optimizer has no step size that could be changed")
        epochs, step = self.asked.values["trainer"]["epochs"], self.asked.values["optimizer"]["lr"]
        known = {self.asked.directory}
        initial = tuple(self._changes(STATE, {"init": self.node["init"]}, known))
        stages = {FLOOR: [*self._changes(FLOOR, self.node["eps"], known)]}
        others = [
            change
            for kind, rows in self.node["others"].items()
            for change in self._changes(kind, rows, known)
        ]
        plan = Scope(LR, step, epochs, self.node["budget"], initial, stages, others)
        self.rule = Rule(plan, self.proven)
        self.first = self.trial(self.words, (), plan.short)[0].directory

    def _changes(self, kind: str, rows: Mapping[str, str], known: set[Path]) -> Iterator[Change]:
        """Of a kind, each once: those that lead to other runs, and of eps the lower."""
        optimizer = self.asked.values["optimizer"]
        # without a precision of its own it is one of torch, in that of the weights
        eps, tiny = optimizer.get("eps") or 0.0, 0.0 if "precision" in optimizer else FLOAT32
        for row in self.rows(self.words, rows):
            if kind == FLOOR and not (
                row and can_be_lowered(eps, float(row[0].partition("=")[2]), tiny)
            ):
                continue
            try:
                place = compose_cell(self.source, (*changed(self.words, row), "seed=0")).directory
            except ValueError:
                continue  # it does not fit this network
            if place not in known:
                known.add(place)
                yield Change(kind, row)

    @cached_property
    def folder(self) -> Path:
        """Where the recipe is kept, the same whatever seeds it is proven with."""
        names = [folder_name(str(self.asked.values["name"][label])) for label in LABELS]
        name = "-".join([*names, digest(str(self.asked.directory))[:8]])
        return self.results / RECIPES / name

    def budget(self) -> str:
        """What the search and the proof cost at most."""
        each = seconds([self.asked])
        return budgeted(self.rule.plan, 2 * len(self.seeds) - 1, each and each / cores())

    def trainings(self, rule: Rule, candidate: Candidate, epochs: int) -> list[Cell]:
        """Of a candidate; its whole training is the first of the proof."""
        if rule.title == WHOLE:
            return self.whole(self.words, _words(candidate))[:1]
        return self.trial(self.words, _words(candidate), epochs)

    def _reached(self, cell: Cell) -> Reached | None:
        """With the loss on the validation split of a trial; a whole training, whose validation
        split proves it, says what it reached on its training split.
        """
        reached = super()._reached(cell)
        if reached == REFUSED and cell.directory == self.first:
            raise ValueError(look(cell.directory).reason or "the network cannot be drawn")
        if not reached or math.isinf(reached.loss):
            return reached
        run = look(cell.directory)
        if f"seed={cell.values['seed']}" in self.seeds:
            return reached._replace(accuracy=(run.result or {})["train_accuracy_last"])
        loss = _curve(cell, VALID_LOSS)[-1]
        return reached._replace(loss=loss if math.isfinite(loss) else math.inf)

    def train(self, cells: Sequence[Cell], title: str = "") -> None:
        title = title or self.rule.title
        if left := [cell for cell in cells if not finished(cell.directory, "before")]:
            epochs = left[0].values["trainer"]["epochs"]
            number = f"{plural(len(left), 'training')} of {plural(epochs, 'epoch')}"
            print_in_log(f"{title}: {number}")
        run_sweep(self.arguments, [*cells], self.refused, title)

    def proven(self, candidate: Candidate) -> Proof:
        """On validation samples of the seeds of the proof, without those that the search chose by;
        nothing is right where a training diverged.
        """
        runs = [self.whole(self.words), self.whole(self.words, _words(candidate))]
        self.train([cell for of in runs for cell in of], "proof")
        if not all(_told(cell) for of in runs for cell in of):
            raise Unsettled("a whole training of the proof did not end, so nothing is proven")
        chose = {key for cell in self.trial(self.words, (), 1) for key in _valid(cell).hashes()}
        right: dict[str, list[list[float]]] = {}
        labels: dict[str, int] = {}
        for pair in zip(*runs):
            split = _valid(pair[0])
            keys = split.hashes()
            kept = np.flatnonzero([key not in chose for key in keys])
            some = split.only(kept)
            every = zip(*(_right(cell, some) for cell in pair))
            for place, both in zip(kept, every):
                right.setdefault(keys[place], []).append([*both])
                labels[keys[place]] = split.labels[place]
        if len(right) < 2:
            raise Unsettled(
                f"the validation samples of {', '.join(self.seeds)} are those that the search "
                f"chose by, so nothing is proven; give other seeds"
            )
        before, after = np.array([np.mean(each, 0) for each in right.values()]).T
        return proof(before, after, np.array([*labels.values()]), len(self.seeds))

    def find(self) -> Recipe:
        """Ask the rule, write down what it finds, and say it."""
        self.search([self.rule])
        finding = self.rule.found
        words = changed(
            [w for w in self.words if not w.startswith("experiment=")], _words(finding.candidate)
        )
        runs = {
            "before": self.whole(self.words),
            "after": self.whole(self.words, _words(finding.candidate)),
        }
        curves = {name: _curve(of[0], VALID) for name, of in runs.items()} if finding.proof else {}
        number = (2 * len(self.seeds) - 1) * bool(finding.proof)
        line = shlex.join(["fdi-run", *words])
        found = recipe(finding, self.rule, [line], number, curves=curves, folder=self.folder)
        write_json(
            self.folder / RECIPE,
            {
                "command": shlex.join(["fdi-run", *self.arguments.overrides]),
                "state": found.state,
                "cause": found.cause,
                "candidate": said(finding.candidate) if finding.candidate else None,
                "lines": found.lines,
                "proof": found.proof and found.proof._asdict(),
                "open": found.open,
                "cost": found.cost,
                "trials": [
                    {
                        "change": said(each),
                        "epochs": epochs,
                        "accuracy": told.accuracy,
                        "loss": told.loss if math.isfinite(told.loss) else None,
                    }
                    for each, known in self.rule.known.items()
                    for epochs, told in known.items()
                ],
                "runs": {name: [str(c.directory) for c in of] for name, of in runs.items()},
            },
        )
        out = console()
        lines = str(found).splitlines()
        for text in lines if found.state not in COMPLAINTS else lines[1:]:
            out.print(text)
        if curves:
            from fdi.figures.sheet import save  # matplotlib: only where it is needed

            out.print(f"picture: {save(found.draw(), self.folder / 'proof')[-1]}")
        return found


def _words(candidate: Candidate) -> Words:
    return tuple(word for change in candidate for word in change.words)


def _curve(cell: Cell, column: str) -> list[float]:
    """Of a run, by epoch."""
    text = learning_curve(cell.directory, look(cell.directory))
    rows = csv.DictReader(io.StringIO(text))
    return [float(row[column]) for row in rows if row.get(column)]


def _told(cell: Cell) -> bool:
    run = look(cell.directory)
    return bool(run.result) or diverged(run)


def _valid(cell: Cell) -> Split:
    from fdi.runner import build  # torch: only where it is needed

    return build.dataset(cell.config).valid


def _right(cell: Cell, samples: Split) -> np.ndarray:
    """Whether the trained network of a run is right, for each of the samples; of those with a label
    for each step, how often.
    """
    from fdi.runner.trained import load  # torch: only where it is needed

    if diverged(look(cell.directory)):
        return np.zeros(len(samples))
    table = load(cell.directory).predictions(samples)
    return (table["predicted"] == table["label"]).groupby(table["sample"]).mean().to_numpy()
