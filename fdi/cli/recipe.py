"""A recipe for a network that does not learn: the single change that suffices, found by short
trials and by the rule of fdi.analysis.recipe, and proven by whole runs.
"""

from __future__ import annotations

import math
import shlex
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import yaml

from fdi.analysis.choice import STEP as LR
from fdi.analysis.formats import plural
from fdi.analysis.recipe import (
    APPLIES,
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
    can_be_lowered,
    proven,
    said,
)
from fdi.cli.cells import Cell, compose_cell, refuse_unknown, varied
from fdi.cli.compose import lacking
from fdi.cli.sweep import run_sweep
from fdi.cli.task import FAILED, complain
from fdi.cli.terminal import console, print_note, print_table
from fdi.cli.trials import REFUSED, Trials, Words, changed, diverged, refuse_regression
from fdi.config.identity import LABELS, folder_name
from fdi.config.metric import ACCURACY
from fdi.track.files import write_json
from fdi.track.process import lock
from fdi.track.record import digest, finished, look

FOUND = "found"  # the experiment that is the recipe
COMPLAINTS = ("refuted", "unknown")  # states of a finding that are complaints
EPOCHS = 6  # of a curve in the terminal
FLOAT32 = float(np.finfo(np.float32).tiny)  # in which the weights are
Curve = tuple[list[float], list[float]]


def run_recipe(arguments: Namespace) -> tuple[int, Path]:
    """Look for a recipe, prove it and say what it is; returns the exit code, and the folder it is
    kept in. The same command goes on where it stopped, since each training is a run like any other.
    """
    search = Search(arguments)
    if search.config.dry_run:
        search.announce(Stage("as it is", [], search.plan.short))
        print("each further stage says what it costs before it starts")
        return 0, search.folder
    with lock(search.folder, search.config.take_over):
        return search.tell(search.find()), search.folder


class Search(Trials):
    """For the network of the command line `arguments`."""

    def __init__(self, arguments: Namespace) -> None:
        super().__init__(arguments, "recipe")
        if len(self.conditions) > 1:
            keys = ", ".join(varied(self.conditions))
            raise ValueError(f"a recipe is for one network and its seeds; give one value of {keys}")
        refuse_unknown(arguments, self.conditions)
        (self.words,) = self.conditions
        self.asked = self.default(self.words)
        if self.asked.values["probe"] == "only":
            raise ValueError("probe = only trains nothing; a recipe is found by training")
        refuse_regression(self.asked, "a recipe")
        if lacking(self.source, (*self.words, f"{LR}=1")):
            raise ValueError(f"{LR}: this optimizer has no step size that could be changed")
        epochs, step = self.asked.values["trainer"]["epochs"], self.asked.values["optimizer"]["lr"]
        trials = max(1, round(TRIALS * self.node["trainings"]))
        stages = {k: [Change(k, row) for row in self._rows(k)] for k in self.node["stages"]}
        self.plan = Scope(LR, step, epochs, trials, stages)
        self.rule = Rule(self.plan)

    def _rows(self, kind: str) -> Iterator[Words]:
        """The changes of a kind, each once: those that lead to other runs, and of eps the lower."""
        known, optimizer = {self.asked.directory}, self.asked.values["optimizer"]
        # without a precision of its own it is one of torch, in that of the weights
        eps, tiny = optimizer.get("eps") or 0.0, 0.0 if "precision" in optimizer else FLOAT32
        for row in self.rows(self.words, self.node["stages"][kind]):
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
                yield row

    @cached_property
    def folder(self) -> Path:
        """Where the recipe is kept, the same whatever seeds it is proven with."""
        names = [folder_name(str(self.asked.values["name"][label])) for label in LABELS]
        name = "-".join([*names, digest(str(self.asked.directory))[:8]])
        return self.results / RECIPES / name

    def find(self) -> Finding:
        """Ask the rule, and train what it asks for."""
        asking = self.rule.decide()
        stage = next(asking)
        while True:
            cells = {(of, n): self.trial(self.words, _of_change(of), n) for of, n in stage.asked}
            every = [cell for of in cells.values() for cell in of]
            if not all(finished(cell.directory, "before") for cell in every):
                self.announce(stage)
            self.train(f"{stage.title} ({stage.asked[0][1]} epochs)", every)
            answers = {question: self.means(of, 0.0) for question, of in cells.items()}
            known = {question: answer for question, answer in answers.items() if answer}
            if known.get((AS_IT_IS, self.plan.short)) == REFUSED:
                raise ValueError(look(every[0].directory).reason or "the network cannot be drawn")
            if missing := len(answers) - len(known):
                why = (
                    f"{missing} of {len(answers)} candidates of '{stage.title}' have a training "
                    f"that did not end, so nothing can be chosen; the same command goes on"
                )
                return Finding("unknown", AS_IT_IS, why, [])
            try:
                stage = asking.send(known)
            except StopIteration as end:
                return end.value

    def announce(self, stage: Stage) -> None:
        """Say what a stage costs."""
        share = stage.epochs * len(self.tuning) / self.plan.epochs
        print(f"{stage.title}: short trainings that cost {share:.2g} of a whole one", flush=True)

    def tell(self, finding: Finding) -> int:
        """Prove what was found, write it down, and say it; returns the exit code."""
        proof: dict[str, list[Cell]] = {}
        if finding.candidate and finding.state in APPLIES:
            proof["before"] = self.whole(self.words)
            proof["after"] = self.whole(self.words, _of_change(finding.candidate))
            cells = [cell for of in proof.values() for cell in of]
            if not all(finished(cell.directory, "before") for cell in cells):
                print(f"proof: {len(cells)} whole trainings, counted apart", flush=True)
            run_sweep(self.arguments, cells, self.refused)
            finding = proven(finding, *map(_mean, proof.values()))
        self._write(finding, proof)
        self._say(finding, proof)
        return complain(finding.why, FAILED) if finding.state in COMPLAINTS else 0

    def _say(self, finding: Finding, proof: Mapping[str, list[Cell]]) -> None:
        from fdi.figures.learning_curves import draw_proof  # matplotlib: only where it is needed
        from fdi.figures.sheet import save

        out = console()
        if finding.state not in COMPLAINTS:
            print_note(out, f"cause: {finding.why}")
        if proof:
            if lines := self._lines(finding):
                out.print("recipe: {}\n    or: {}".format(*lines))
            found = {name: _curve(of[0]) for name, of in proof.items()}
            print_table(out, _side_by_side(found), ["epoch"])
            page = draw_proof(found, self.rule.steps, self.plan.short)
            file = save(page, self.folder / "proof")[-1]
            print_note(out, f"proof: {self._proven(proof)}; {file}")
        elif finding.state == "not found":
            out.print("no recipe: what was tried is in " + str(self.folder / RECIPE))
        for line in finding.open:
            print_note(out, f"open: {line}")
        short = plural(len(self.tuning) * sum(map(len, self.rule.known.values())), "short training")
        whole = plural(sum(map(len, proof.values())), "whole one")
        out.print(f"cost: {short}, as much as {self.cost:.2g} whole ones; for the proof {whole}")

    @property
    def cost(self) -> float:
        """Of the trials, in whole trainings."""
        return len(self.tuning) * sum(map(max, self.rule.known.values())) / self.plan.epochs

    def _lines(self, finding: Finding) -> list[str]:
        """The recipe as a command, and the same with the experiment that holds the change; none
        where no change helps.
        """
        if not finding.candidate or finding.state not in APPLIES:
            return []
        kept = [word for word in self.words if not word.startswith("experiment=")]
        words = changed(kept, _of_change(finding.candidate))
        rest = [word for word in words if word not in _of_change(finding.candidate)]
        named = ("--config-dir", str(self.folder), f"experiment={FOUND}", *rest)
        return [shlex.join(["fdi-run", *words]), shlex.join(["fdi-run", *named])]

    def _proven(self, proof: Mapping[str, list[Cell]]) -> str:
        before, after = (
            ACCURACY.text(one) if one is not None else "no accuracy, since it did not end"
            for one in map(_mean, proof.values())
        )
        epochs, seeds = self.plan.epochs, ", ".join(self.seeds)
        return f"{before} before, {after} after, on the test set, after {epochs} epochs, {seeds}"

    def _write(self, finding: Finding, proof: Mapping[str, list[Cell]]) -> None:
        content = {
            "command": shlex.join(["fdi-run", *self.arguments.overrides]),
            **finding._asdict(),
            "candidate": said(finding.candidate) if finding.candidate else None,
            "lines": self._lines(finding),
            "cost": self.cost,
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
            **{name: _mean(of) for name, of in proof.items()},
            "proof": {
                name: [{"run": str(cell.directory), "accuracy": _accuracy(cell)} for cell in of]
                for name, of in proof.items()
            },
        }
        write_json(self.folder / RECIPE, content)
        path = self.folder / "experiment" / f"{FOUND}.yaml"
        path.unlink(missing_ok=True)
        if content["lines"]:
            path.parent.mkdir(exist_ok=True)
            path.write_text(_experiment(finding))


def _of_change(candidate: Candidate) -> Words:
    return tuple(word for change in candidate for word in change.words)


def _experiment(finding: Finding) -> str:
    """The recipe as a file of the group `experiment`."""
    pairs = [word.partition("=")[::2] for word in _of_change(finding.candidate)]
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
    """On the test set; 0 where it diverged, None where it did not end."""
    run = look(cell.directory)
    return 0.0 if diverged(run) else (run.result or {}).get("test_accuracy_last")


def _mean(cells: Sequence[Cell]) -> float | None:
    """Of the accuracies; None where a run has none."""
    told = [accuracy for accuracy in map(_accuracy, cells) if accuracy is not None]
    return mean(told) if len(told) == len(cells) else None


def _curve(cell: Cell) -> Curve:
    from fdi.analysis import collect, results  # pandas: only where runs are in a table

    table = collect.table(Path(cell.values["paths"]["results"]), [str(cell.directory)])
    rows = results.read_curves(table)
    return rows["epoch"].tolist(), rows[results.VALID].tolist() if len(rows) else []


def _side_by_side(found: Mapping[str, Curve]) -> dict[str, list[str]]:
    """Learning curves as columns of a table, of EPOCHS epochs."""
    by_epoch = {name: dict(zip(*curve)) for name, curve in found.items()}
    epochs = sorted({epoch for of in by_epoch.values() for epoch in of})
    every = max(1, math.ceil(len(epochs) / EPOCHS))
    chosen = epochs[every - 1 :: every]
    rows = {"epoch": [str(int(epoch)) for epoch in chosen]}
    return rows | {
        f"{name} (%)": [f"{100 * of[e]:.1f}" if e in of else "-" for e in chosen]
        for name, of in by_epoch.items()
    }
