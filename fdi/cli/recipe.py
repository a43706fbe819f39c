"""A recipe for a network that does not learn: the single change that suffices, found by short
trainings with seeds of their own and by the rule of fdi.analysis.recipe, and proven by whole ones.
"""

from __future__ import annotations

import math
import shlex
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import product
from pathlib import Path
from statistics import mean
from typing import Any

import yaml

from fdi.analysis.choice import STEP as LR
from fdi.analysis.formats import plural
from fdi.analysis.recipe import (
    AS_IT_IS,
    FLOOR,
    RECIPE,
    RECIPES,
    TRIALS,
    Candidate,
    Change,
    Finding,
    Rule,
    Scope,
    Stage,
    said,
)
from fdi.cli.cells import Cell, combinations, compose_cell, together, varied
from fdi.cli.compose import lacking
from fdi.cli.sweep import run_sweep
from fdi.cli.task import FAILED, complain
from fdi.cli.terminal import console, print_note, print_table
from fdi.cli.trainings import REFUSED, TEST, Trainings, Words, key_of, refuse_without_validation
from fdi.config.identity import LABELS, folder_name
from fdi.config.metric import ACCURACY
from fdi.track.files import write_json
from fdi.track.process import INTERRUPTED, lock
from fdi.track.record import digest, finished, look

FOUND = "found"  # the experiment that is the recipe
SHOWN = 6  # epochs of a curve
OWN = ("seed=", "trainer.epochs=", TEST)  # words in which trials differ from what is asked for
BEFORE, AFTER = "before", "after"
CROSS_ENTROPY = "fdi.snn.objective.CrossEntropy"
Curve = tuple[list[float], list[float]]


def run_recipe(arguments: Namespace) -> tuple[int, Path]:
    """Look for a recipe, prove it and say what it is; returns the exit code, and the folder it is
    kept in. The same command goes on where it stopped, since each training is a run like any other.
    """
    search = Search(arguments)
    if search.default.values["dry_run"]:
        search.announce(Stage("as it is", [], search.plan.short))
        print("each further stage says what it costs before it starts")
        return 0, search.folder
    with lock(search.folder, search.default.values["take_over"]):
        finding = search.find()
        if finding is None:
            return INTERRUPTED, search.folder
        return search.tell(finding), search.folder


class Search(Trainings):
    """For the network of the command line `arguments`."""

    def __init__(self, arguments: Namespace) -> None:
        super().__init__(arguments)
        rows = [tuple(row) for row in combinations(arguments)]
        nets = list(dict.fromkeys(tuple(w for w in r if not w.startswith("seed=")) for r in rows))
        if len(nets) > 1:
            keys = ", ".join(varied(nets))
            raise ValueError(f"a recipe is for one network and its seeds; give one value of {keys}")
        (self.words,) = nets
        self.default = compose_cell(self.source, (*self.words, "seed=0"))
        self.node: dict[str, Any] = self.default.values["recipe"]
        self.tuning = [f"seed={seed}" for seed in self.node["seeds"]]
        given = (w for row in rows for w in row if w.startswith("seed="))
        self.seeds = list(dict.fromkeys(given)) or ["seed=0"]
        self._refuse()
        epochs = self.default.values["trainer"]["epochs"]
        trials = max(1, round(TRIALS * self.node["trainings"]))
        step = self.default.values["optimizer"]["lr"]
        stages = {k: [Change(k, row) for row in self._rows(k)] for k in self.node["stages"]}
        self.plan = Scope(LR, step, epochs, trials, stages)
        self.rule, self.spent, self.trials = Rule(self.plan), 0, 0

    def _refuse(self) -> None:
        refuse_without_validation(self.default)
        if same := {*self.seeds} & {*self.tuning}:
            raise ValueError(
                f"{min(same)} is a seed of the search (recipe.seeds); prove it with other seeds"
            )
        if self.default.values["probe"] == "only":
            raise ValueError("probe = only trains nothing; a recipe is found by training")
        if (loss := str(self.default.values["objective"]["_target_"])) != CROSS_ENTROPY:
            raise ValueError(
                f"objective = {loss.rpartition('.')[2]}: a recipe tells what learns from what "
                f"guesses by the accuracy of classes; take objective=cross_entropy"
            )
        if lacking(self.source, (*self.words, f"{LR}=1")):
            raise ValueError(f"{LR}: this optimizer has no step size that could be changed")

    def _rows(self, kind: str) -> Iterator[Words]:
        """The changes of a kind, each once: those that lead to other runs, and of eps the lower."""
        beside = [
            tuple(word for words in row for word in words)
            for row in product(*(together(*item) for item in self.node["stages"][kind].items()))
        ]
        known, eps = {self.default.directory}, self.default.values["optimizer"].get("eps") or 0.0
        for row in self.rows(self.words, beside):
            if kind == FLOOR and not any(float(w.partition("=")[2]) < eps for w in row[:1]):
                continue
            try:
                place = compose_cell(self.source, (*changed(self.words, row), "seed=0")).directory
            except ValueError:
                continue  # it does not fit this network
            if place not in known:
                known.add(place)
                yield row

    @cached_property
    def folder(self) -> Path:
        """Where the recipe is kept, the same whatever seeds it is proven with."""
        results = Path(self.default.values["paths"]["results"])
        names = [folder_name(str(self.default.values["name"][label])) for label in LABELS]
        return results / RECIPES / "-".join([*names, digest(str(self.default.directory))[:8]])

    def find(self) -> Finding | None:
        """Ask the rule, and train what it asks for; None where that is interrupted."""
        asking = self.rule.decide()
        stage = next(asking)
        while True:
            cells = {question: self._trial(*question) for question in stage.asked}
            every = [cell for of in cells.values() for cell in of]
            if not all(finished(cell.directory, "before") for cell in every):
                self.announce(stage)
            if self.train(f"{stage.title} ({stage.asked[0][1]} epochs)", every) == INTERRUPTED:
                return None
            answers = {question: self.means(of, 0.0) for question, of in cells.items()}
            self.spent += stage.epochs * len(self.tuning)
            self.trials += len(every)
            known = {question: answer for question, answer in answers.items() if answer}
            if known.get((AS_IT_IS, self.plan.short)) == REFUSED:
                raise ValueError(look(every[0].directory).reason or "the network cannot be drawn")
            if missing := len(answers) - len(known):
                return self._unknown(f"{missing} of {len(answers)} candidates of '{stage.title}'")
            try:
                stage = asking.send(known)
            except StopIteration as end:
                return end.value

    def _unknown(self, which: str) -> Finding:
        why = f"{which} have a training that did not end, so nothing can be chosen"
        return Finding("unknown", AS_IT_IS, f"{why}; the same command goes on", [])

    def _trial(self, candidate: Candidate, epochs: int) -> list[Cell]:
        kept = [word for word in self.words if not word.startswith(OWN)]
        own = (f"trainer.epochs={epochs}", f"{TEST}false")
        return [
            compose_cell(self.source, (*self.changes(candidate, kept), *own, seed))
            for seed in self.tuning
        ]

    def changes(self, candidate: Candidate, words: Sequence[str]) -> Words:
        return changed(words, [word for change in candidate for word in change.words])

    def announce(self, stage: Stage) -> None:
        """Say what a stage costs."""
        share = stage.epochs * len(self.tuning) / self.plan.epochs
        print(f"{stage.title}: short trainings that cost {share:.2g} of a whole one", flush=True)

    def tell(self, finding: Finding) -> int:
        proof: dict[str, list[Cell]] = {}
        if finding.candidate and finding.state in ("found", "past guessing"):
            proof = {
                name: [
                    compose_cell(self.source, (*self.changes(of, self.words), seed))
                    for seed in self.seeds
                ]
                for name, of in ((BEFORE, AS_IT_IS), (AFTER, finding.candidate))
            }
            cells = [cell for of in proof.values() for cell in of]
            if not all(finished(cell.directory, "before") for cell in cells):
                print(f"proof: {len(cells)} whole trainings, counted apart", flush=True)
            if run_sweep(self.arguments, cells, table=False) == INTERRUPTED:
                return INTERRUPTED
        self._write(finding, proof)
        self._say(finding, proof)
        if finding.state == "unknown":
            return complain(finding.why, FAILED)
        return FAILED if None in map(_accuracy, proof.get(AFTER, ())) else 0

    def _say(self, finding: Finding, proof: dict[str, list[Cell]]) -> None:
        out = console()
        print_note(out, f"cause: {finding.why}")
        if proof:
            first, other = self._lines(finding)
            out.print(f"recipe: {first}\n    or: {other}")
            found = {name: _curve(of[0]) for name, of in proof.items()}
            print_table(out, shown(found), ["epoch"])
            print_note(out, f"proof: {self._proven(proof)}; {self._draw(found)}")
        elif finding.state == "not found":
            out.print("no recipe: what was tried is in " + str(self.folder / RECIPE))
        for line in finding.open:
            print_note(out, f"open: {line}")
        cost = self.spent / self.plan.epochs
        whole = plural(sum(map(len, proof.values())), "whole one")
        short = plural(self.trials, "short training")
        out.print(f"cost: {short}, as much as {cost:.2g} whole ones; for the proof {whole}")

    def _lines(self, finding: Finding) -> tuple[str, str]:
        """The recipe as a command, and the same with the experiment that holds the change."""
        kept = [word for word in self.words if not word.startswith("experiment=")]
        words = self.changes(finding.candidate, kept)
        rest = [word for word in words if word not in said(finding.candidate).split()]
        named = ("--config-dir", str(self.folder), f"experiment={FOUND}", *rest)
        return shlex.join(["fdi-run", *words]), shlex.join(["fdi-run", *named])

    def _proven(self, proof: dict[str, list[Cell]]) -> str:
        means = []
        for of in proof.values():
            told = [accuracy for accuracy in map(_accuracy, of) if accuracy is not None]
            means.append(mean(told) if len(told) == len(of) else math.nan)
        before, after = means
        shown = (
            ACCURACY.text(one) if one == one else "no accuracy, since it failed" for one in means
        )
        line = "{} before, {} after, on the test set".format(*shown)
        line += f", after {self.plan.epochs} epochs, {', '.join(self.seeds)}"
        return line if after > before or before != before else f"{line}: not borne out"

    def _draw(self, found: Mapping[str, Curve]) -> str:
        from fdi.figures.recipe import draw  # matplotlib: only where it is needed
        from fdi.figures.sheet import save

        page = draw(found, self.rule.steps, self.plan.short)
        return str(save(page, self.folder / "proof")[-1])

    def _write(self, finding: Finding, proof: dict[str, list[Cell]]) -> None:
        content = {
            "command": shlex.join(["fdi-run", *self.arguments.overrides]),
            **finding._asdict(),
            "candidate": said(finding.candidate) if finding.candidate else None,
            "lines": [*self._lines(finding)] if proof else [],
            "cost": self.spent / self.plan.epochs,
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
            "proof": {
                name: [{"run": str(cell.directory), "accuracy": _accuracy(cell)} for cell in of]
                for name, of in proof.items()
            },
        }
        write_json(self.folder / RECIPE, content)
        if proof:
            path = self.folder / "experiment" / f"{FOUND}.yaml"
            path.parent.mkdir(exist_ok=True)
            path.write_text(experiment(finding))


def changed(words: Sequence[str], change: Sequence[str]) -> Words:
    """The words with those of a change in place of the same keys, and of the keys below."""
    keys = {key_of(word) for word in change}
    kept = (w for w in words if not {key_of(w), key_of(w).partition(".")[0]} & keys)
    return (*kept, *change)


def experiment(finding: Finding) -> str:
    """The recipe as a file of the group `experiment`."""
    words = [word for change in finding.candidate for word in change.words]
    pairs = [word.partition("=")[::2] for word in words]
    content: dict[str, Any] = {
        "defaults": [{f"override /{key}": value} for key, value in pairs if "." not in key]
    }
    for key, value in pairs:
        group, _, name = key.partition(".")
        if name:
            content.setdefault(group, {})[name] = yaml.safe_load(value)
    kept = {key: value for key, value in content.items() if value}
    return f"# @package _global_\n# {finding.why}\n{yaml.safe_dump(kept, sort_keys=False)}"


def _accuracy(cell: Cell) -> float | None:
    return (look(cell.directory).result or {}).get("test_accuracy_last")


def _curve(cell: Cell) -> Curve:
    from fdi.analysis import collect, metrics  # pandas: only where runs are in a table

    table = collect.table(Path(cell.values["paths"]["results"]), [str(cell.directory)])
    rows = metrics.curves(table)
    return rows["epoch"].tolist(), rows[metrics.VALID].tolist() if len(rows) else []


def shown(found: Mapping[str, Curve]) -> dict[str, list[str]]:
    """Learning curves as columns of a table, of SHOWN epochs."""
    by_epoch = {name: dict(zip(*curve)) for name, curve in found.items()}
    epochs = sorted({epoch for of in by_epoch.values() for epoch in of})
    every = max(1, math.ceil(len(epochs) / SHOWN))
    chosen = epochs[every - 1 :: every]
    rows = {"epoch": [str(int(epoch)) for epoch in chosen]}
    return rows | {
        f"{name} (%)": [f"{100 * of[e]:.1f}" if e in of else "-" for e in chosen]
        for name, of in by_epoch.items()
    }
