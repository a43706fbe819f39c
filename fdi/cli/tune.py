"""A comparison of each arm at its best: first a value is chosen for each arm on validation, with
seeds of its own, by the rule of fdi.analysis.choice; then the arms are compared with other seeds:
at the values of the configuration, at those that suit all of them together, and each at its own. In
a zoo each arm is an initialization on one of the random networks that are drawn first.
"""

from __future__ import annotations

import math
from argparse import Namespace
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from hydra.core.override_parser.types import IntervalSweep

from fdi.analysis.choice import (
    CHOICE,
    CHOICES,
    FAILS,
    TUNED,
    Candidate,
    Decision,
    Grid,
    Question,
    Reached,
    Selection,
    usual_cost,
)
from fdi.cli.cells import (
    SHORTENED,
    Cell,
    key_of,
    refuse_unknown,
    shortened,
    together,
    tuned_epochs,
    varied,
)
from fdi.cli.compose import parsed
from fdi.cli.cost import estimate
from fdi.cli.summary import print_best, print_last, print_zoo
from fdi.cli.sweep import plan_of, run_sweep
from fdi.cli.task import FAILED, complain
from fdi.cli.trials import REFUSED, Trials, Words, refuse_regression
from fdi.config.identity import contents, run_id
from fdi.config.settings import Zoo, check_values
from fdi.track.files import RUNS, ZOO, parse_json, write_json
from fdi.track.process import lock
from fdi.track.record import digest, look


def run_tuned(arguments: Namespace) -> tuple[int, list[Cell]]:
    """Choose, then compare; returns the exit code and the compared cells. The same command goes on
    where it stopped, since each training is a run like any other. With dry_run=true it says what it
    would cost, and there are no cells.
    """
    choice = Choice(arguments)
    print(choice.cost(), flush=True)
    if choice.config.dry_run:
        return 0, []
    with lock(
        choice.path.with_suffix("") if choice.zoo else choice.path.parent, choice.config.take_over
    ):
        choice.decide()
        cells = choice.write()
        code = run_sweep(arguments, cells, choice.refused)
    code = choice.say_unknown() or code
    return (choice.tell_zoo if choice.zoo else choice.tell)(cells, code), cells


OPEN = Decision("open", None, "")


@dataclass
class Subject:
    """What something is chosen for: an initialization on the network of this `place`, or several of
    them together, its `parts`. `words`: those of the command; `rows`: those beside a value;
    `default`: a cell of the configuration. `trials`: what was asked, with None for what no training
    could tell.
    """

    place: int
    words: Words
    rows: list[Words]
    default: Cell
    plan: Grid
    parts: list[Subject] = field(default_factory=list)
    cells: dict[Question, list[Cell]] = field(default_factory=dict)
    trials: dict[Question, Reached | None] = field(default_factory=dict)
    decision: Decision = OPEN

    def __post_init__(self) -> None:
        self.asking = Selection(self.plan).decide()
        self.asked = next(self.asking)

    @property
    def longest(self) -> Question | None:
        """The longest training of what was chosen."""
        mine = [question for question in self.trials if question[0] == self.decision.candidate]
        return max(mine, key=lambda question: question[1], default=None)

    @property
    def score(self) -> tuple[float, float]:
        """What that reached on validation, the higher the better."""
        told = self.trials[self.longest] if self.longest else None
        return told.score if told else FAILS.score

    def hear(self, answers: Mapping[Question, Reached | None]) -> None:
        self.trials |= answers
        known = {each: answer for each, answer in answers.items() if answer}
        if missing := len(answers) - len(known):
            why = f"{missing} of {len(answers)} candidates have a training that did not end"
            self.decision = Decision("unknown", None, why)
        elif all(answer == REFUSED for answer in known.values()):
            self.decision = Decision("refused", self.plan.own, "it cannot be drawn")
        else:
            try:
                self.asked = self.asking.send(known)
            except StopIteration as end:
                self.decision = end.value


class Choice(Trials):
    """The choice that the command line `arguments` asks for."""

    def __init__(self, arguments: Namespace) -> None:
        super().__init__(arguments, "tune")
        self.key, self.beside = self.node["key"], self.node["beside"] or {}
        self.zoo = contents(self.config.zoo) if self.config.zoo else None
        if self.zoo:
            check_values(Zoo, self.zoo, "zoo.")
        self.members = random_networks(self.zoo, arguments.overrides) if self.zoo else []
        places = [*dict.fromkeys(map(_network, self.conditions))]
        every = [(places.index(_network(state)), state) for state in self.conditions]
        if self.zoo:
            every = [
                (m.place, (*m.words, *state)) for m in self.members for state in self.conditions
            ]
        self._refuse([words for _, words in every])
        self.arms = [self._arm(place, words) for place, words in every]
        if self.zoo:
            refuse_regression(self.arms[0].default, "a zoo")
        self._kept()
        self.short = shortened(self.source, [arm.default for arm in self.arms])
        self.shared: list[Subject] = []

    def _refuse(self, arms: Sequence[Words]) -> None:
        refuse_unknown(self.arguments, arms)
        chosen = {key for keys in (self.key, *self.beside) for key in keys.split("+")}
        if others := chosen - {*TUNED}:
            raise ValueError(
                f"tune chooses {min(others)}; the comparison knows {', '.join(TUNED)} as what may "
                f"differ between its arms"
            )
        if given := chosen & {key_of(word) for arm in arms for word in arm}:
            raise ValueError(
                f"{min(given)} is what is chosen (tune): leave it out, or give tune.values"
            )

    def _kept(self) -> dict[str, Any]:
        """What the file of a zoo of this seed holds already: other networks, and initializations.
        Raises ValueError where other words drew it, or made the runs.
        """
        content = parse_json(self.path) if self.zoo else None
        if content is None:
            return {"sides": [], "networks": []}
        from fdi.analysis.zoo import arms

        try:
            arms(self.path)
        except ValueError as error:
            raise ValueError(f"{self.path}: {error}") from None
        if any(mine != other for mine, other in zip(self._networks(), content["networks"])):
            raise ValueError(
                f"{self.path} holds another zoo of this seed: give another zoo.seed or "
                f"paths.results, or move the file away"
            )
        return content

    def _networks(self) -> list[dict[str, Any]]:
        """What tells the networks of a zoo, without their initializations."""
        values = {arm.place: arm.default.values for arm in self.arms}
        return [
            {"kind": m.kind, "words": [*m.words], "id": run_id(values[m.place] | {"init": {}})}
            for m in self.members
        ]

    def _arm(self, place: int, words: Words) -> Subject:
        default = self.default(words)
        rows = list(dict.fromkeys(self.rows(words, self.beside)))
        places = [self.cell((*words, *row, "seed=0")).directory for row in rows]
        configured = places.index(default.directory) if default.directory in places else 0
        own = Candidate(_value(default, self.key), configured)
        node, epochs = self.node, default.values["trainer"]["epochs"]
        values, short = sorted(node["values"]), max(1, epochs // node["short"])
        plan = Grid(values, len(rows), own, epochs, short, node["keep"], node["extend"])
        return Subject(place, words, rows, default, plan)

    def _together(self, parts: list[Subject]) -> Subject:
        """What suits several arms together: among the steps from the smallest to the largest that
        was chosen for one of them, and the rows that were.
        """
        first = parts[0]
        found = [arm for arm in parts if arm.decision.state != "not found"] or parts
        chosen = [arm.decision.candidate for arm in found if arm.decision.candidate]
        own = {each.value for each in chosen}
        values = own | {v for v in first.plan.values if min(own) < v < max(own)}
        rows = [first.rows[row] for row in sorted({each.beside for each in chosen})]
        plan = first.plan._replace(
            values=sorted(values), beside=len(rows), extend=0, own=Candidate(first.plan.own.value)
        )
        return Subject(first.place, _network(first.words), rows, first.default, plan, parts)

    @cached_property
    def path(self) -> Path:
        """Where the decision is kept, the same whatever seeds it is compared with."""
        if self.zoo:
            return self.results / ZOO / f"seed={self.zoo['seed']}.json"
        arms = sorted(str(arm.default.directory) for arm in self.arms)
        name = self.arms[0].default.values["name"]["experiment"]
        return self.results / CHOICES / f"{name}-{digest(' '.join(arms))[:8]}" / CHOICE

    def cost(self) -> str:
        """How many trainings that is, about, since it depends on what they reach; and what they
        cost.
        """
        trainings, left, plan = 0, [], self.arms[0].plan
        compared = len(self.arms) * len(self.seeds) * (2 if self.zoo else 3)
        for arm in self.arms:
            number, epochs = usual_cost(arm.plan)
            trainings += number * len(self.tuning)
            left += [arm.default] * round(epochs * len(self.tuning) / arm.plan.epochs)
            self._ask(arm)  # raises for values that are refused
        cost = ""
        if self.config.dry_run:
            cost = "; as long as " + estimate(left + [self.arms[0].default] * compared)
        some = f"{plan.short} to " * (plan.short < plan.epochs)
        short = ""
        if self.short:
            choices = self.config.hydra.runtime.choices
            short = "; " + SHORTENED.format(epochs=self.short, **choices)
            again = "; then the two best again for as many, where that costs less than the choice"
            short += again * (not self.zoo)
        return (
            f"{self.key} for {len(self.arms)} arms: about {trainings} trainings to choose, of "
            f"{some}{plan.epochs} epochs, and {compared} that are compared"
            f"{short}{cost}"
        )

    def longer(self) -> list[list[Cell]]:
        """Of each network the two arms that are best on validation, as chosen, with the epochs
        that are tuned; none where that costs more than the choice did.
        """
        tried = {
            c.directory: c for s in (*self.arms, *self.shared) for c in chain(*s.cells.values())
        }
        pairs = []
        for place in dict.fromkeys(arm.place for arm in self.arms):
            arms = [arm for arm in self.arms if arm.place == place and arm.decision.candidate]
            pair = sorted(arms, key=lambda arm: arm.score)[-2:]
            epochs = tuned_epochs(self.source, arms[0].default.overrides) if len(pair) == 2 else 0
            if epochs > pair[0].plan.epochs:
                more = f"trainer.epochs={epochs}"
                pairs.append(
                    [c for s in pair for c in self.whole(s.words, (*(self._chosen(s) or ()), more))]
                )
        return pairs if _epochs(chain(*pairs)) < _epochs(tried.values()) else []

    def decide(self) -> None:
        """For all arms, and for those of each network together."""
        self._decide(self.arms)
        if self.zoo:
            return
        for place in dict.fromkeys(arm.place for arm in self.arms):
            arms = [arm for arm in self.arms if arm.place == place]
            parts = [arm for arm in arms if arm.decision.state != "refused"]
            if len(parts) > 1 and all(arm.decision.state != "unknown" for arm in parts):
                self.shared.append(self._together(parts))
        self._decide(self.shared)
        named = varied(arm.words for arm in self.arms)
        for arm in (*self.arms, *self.shared):
            words = [word for word in arm.words if key_of(word) in named]
            words += ["all together"] * bool(arm.parts) + [*(self._chosen(arm) or ())]
            print(f"{arm.decision.state}: {' '.join(words)} ({arm.decision.why})", flush=True)

    def _decide(self, arms: Sequence[Subject]) -> None:
        while waiting := [arm for arm in arms if arm.decision.state == "open"]:
            every = [cell for arm in waiting for cell in self._ask(arm)]
            self.train(f"choosing {self.key}", every)
            for arm in waiting:
                arm.hear({each: self.means(arm.cells[each]) for each in arm.asked})

    def _ask(self, arm: Subject) -> list[Cell]:
        """The trainings of all candidates that a arm, or all of its parts, are asked for."""
        for question in arm.asked:
            candidate, epochs = question
            arm.cells[question] = [
                cell
                for part in arm.parts or [arm]
                for cell in self.trial(part.words, self._change(arm, candidate), epochs)
            ]
        return [cell for question in arm.asked for cell in arm.cells[question]]

    def _change(self, arm: Subject, candidate: Candidate) -> Words:
        return (f"{self.key}={candidate.value:g}", *arm.rows[candidate.beside])

    def _chosen(self, arm: Subject) -> Words | None:
        """The words of what was chosen; None where nothing was."""
        chosen = arm.decision.candidate
        return None if chosen is None else self._change(arm, chosen)

    def _compared(self, arm: Subject) -> dict[str, list[Cell]]:
        """The cells that compare a arm, by setting; none for several together."""
        shared = {other.place: self._chosen(other) for other in self.shared}
        chosen = {"common": (), "shared": shared.get(arm.place), "best": self._chosen(arm)}
        return {
            setting: self.whole(arm.words, own)
            for setting, own in chosen.items()
            if own is not None and not arm.parts
        }

    def write(self) -> list[Cell]:
        """Write the decision: what each candidate reached, what was chosen and why, and which runs
        compare it. Returns these.
        """
        arms = [(arm, self._compared(arm)) for arm in (*self.arms, *self.shared)]
        cells = {c.directory: c for _, asked in arms for few in asked.values() for c in few}
        content: dict[str, Any] = {
            "command": plan_of(self.arguments, [*cells.values()]).command,
            "tune": self.node,
            "sides": [self._told(*arm) for arm in arms],
        }
        if self.zoo:
            mine, kept, networks = content["sides"], self._kept(), self._networks()
            new = {(arm["network"], arm["init"]) for arm in mine}
            mine += [s for s in kept["sides"] if (s["network"], s["init"]) not in new]
            networks += kept["networks"][len(networks) :]
            content |= {"zoo": self.zoo, "networks": networks}
        write_json(self.path, content)
        return [*cells.values()]

    def _told(self, arm: Subject, compared: Mapping[str, Sequence[Cell]]) -> dict[str, Any]:
        values = {question: _tuned(arm.cells[question][0]) for question in arm.trials}
        longest = arm.longest
        reached = longest and arm.trials[longest]
        runs = self.results / RUNS
        return {
            "network": arm.place,
            "init": None if arm.parts else arm.default.values["name"]["init"],
            "words": arm.words,
            **arm.decision._asdict(),
            "candidate": values[longest] if longest else None,
            "accuracy": reached and reached.accuracy,
            "seeds": len(self.tuning),
            "trials": [
                {
                    **values[question],
                    "epochs": question[1],
                    "accuracy": told and told.accuracy,
                    "loss": told.loss if told and math.isfinite(told.loss) else None,
                }
                for question, told in arm.trials.items()
            ],
            "settings": {
                setting: {
                    "values": _tuned(cells[0]),
                    "runs": [str(cell.directory.relative_to(runs)) for cell in cells],
                }
                for setting, cells in compared.items()
            },
        }

    def tell_zoo(self, cells: Sequence[Cell], code: int) -> int:
        """What random networks learn, and what that comes to; returns the exit code."""
        from fdi.analysis.conclusion import next_step, of_zoo, shortly
        from fdi.analysis.results import own
        from fdi.analysis.zoo import members

        print_zoo(drawn := members(own(self.results)))
        if not code and (told := of_zoo(drawn)):
            command = plan_of(self.arguments, cells).command
            print_last([*shortly(told), next_step(told, command, "zoo.networks")])
        return code

    def tell(self, cells: Sequence[Cell], code: int) -> int:
        """How the arms compare at their best, what that comes to, and whether it stays in as many
        epochs as are tuned; returns the exit code.
        """
        from fdi.analysis.best import each_at_its_best, networks
        from fdi.analysis.collect import table
        from fdi.analysis.conclusion import next_step, of_best, of_sweep, shortly
        from fdi.analysis.results import of_runs

        def rows(cells: Sequence[Cell]) -> Any:
            return table(self.results, [str(cell.directory) for cell in cells])

        best = each_at_its_best(runs := of_runs(rows(cells), self.results))
        if not best.empty:
            print_best(best)
        if code or best.empty:
            return code
        told = of_best(networks(runs))
        epochs = self.short or f"{self.arms[0].plan.epochs} epochs"
        lines = [f"each at its best, chosen at {epochs}: {line}" for line in shortly(told)]
        for pair in self.longer():
            code |= run_sweep(self.arguments, pair, self.refused)
            whole = pair[0].values["trainer"]["epochs"]
            again = of_sweep(rows(pair))
            lines += [f"with what was chosen, at {whole} epochs: {each.text}" for each in again]
        print_last([*lines, next_step(told, plan_of(self.arguments, cells).command)])
        return code

    def say_unknown(self) -> int:
        """Complain if something is not chosen; returns the exit code."""
        for arm in (*self.arms, *self.shared):
            if not arm.decision.candidate:
                runs = [look(cell.directory) for cells in arm.cells.values() for cell in cells]
                broken = any(run.state == "broken" for run in runs)
                then = "mend what is broken, then the same" if broken else "the same"
                why = arm.decision.why
                return complain(f"not all is chosen: {why}; {then} command goes on", FAILED)
        return 0


def _epochs(cells: Iterable[Cell]) -> int:
    return sum(cell.values["trainer"]["epochs"] for cell in cells)


def _network(words: Words) -> Words:
    """Without the words of the initialization."""
    return tuple(word for word in words if not word.startswith(("init=", "init.")))


def _tuned(cell: Cell) -> dict[str, Any]:
    return {key: value for key in TUNED if (value := _value(cell, key)) is not None}


def _value(cell: Cell, key: str) -> Any:
    group, _, name = key.partition(".")
    return cell.values[group].get(name)


class Member(NamedTuple):
    """A network of the zoo: its place, its kind, and the words that were drawn for it."""

    place: int
    kind: str
    words: tuple[str, ...]


def random_networks(zoo: Mapping[str, Any], given: Sequence[str] = ()) -> list[Member]:
    """The networks of a zoo. What is `given` on the command line, as words, is not drawn, and of
    the kinds those are left that have a given model; where none has, it is one. Each network has
    random numbers of its own, so that the first ones stay whatever the number of networks. Raises
    ValueError for what cannot be drawn.
    """
    fixed = {key_of(word): word.partition("=")[2] for word in given}
    shares = {name: _share(name, kind) for name, kind in zoo["kinds"].items()}
    draws = {name: kind["draw"] for name, kind in zoo["kinds"].items()}
    if model := fixed.get("model"):
        draws = {n: d for n, d in draws.items() if d.get("model") == model} or {model: {}}
    weights = np.array([shares.get(name, 1.0) for name in draws])
    if not weights.sum() > 0:
        raise ValueError("zoo.kinds: give at least one kind a share above 0")
    members = []
    for place in range(zoo["networks"]):
        chance = np.random.default_rng([zoo["seed"], place])
        kind = str(chance.choice([*draws], p=weights / weights.sum()))
        domain = sorted((zoo["draw"] | draws[kind]).items())
        words = [word for key, values in domain for word in _one_of(key, str(values), chance)]
        kept = tuple(word for word in words if key_of(word) not in fixed)
        members.append(Member(place, kind, kept))
    return members


def _share(name: str, kind: Any) -> float:
    if not isinstance(kind, Mapping) or set(kind) != {"share", "draw"}:
        raise ValueError(f"zoo.kinds.{name} must have the keys share and draw")
    share = kind["share"]
    if not isinstance(share, int | float) or not 0 <= share < np.inf:
        raise ValueError(f"zoo.kinds.{name}.share = {share} must be a number of at least 0")
    return float(share)


def _one_of(key: str, values: str, chance: np.random.Generator) -> Sequence[str]:
    """One of `values`, as words; of keys joined by +, one row; of an interval a number of three
    digits, a whole one where both ends are.
    """
    if "+" in key:
        rows = together(key, values)
        return rows[chance.integers(len(rows))]
    override = parsed(f"{key}={values}")
    interval: Any = override.value()
    if not override.is_sweep_override():
        return [f"{key}={override.get_value_element_as_str()}"]
    if not isinstance(interval, IntervalSweep):
        known = [*override.sweep_string_iterator()]
        return [f"{key}={known[chance.integers(len(known))]}"]
    ends: Any = (interval.start, interval.end)
    whole = all(isinstance(end, int) for end in ends)
    low, high = ends[0], ends[1] + whole
    if "log" in interval.tags:
        value = float(np.exp(chance.uniform(np.log(low), np.log(high))))
    else:
        value = float(chance.uniform(low, high))
    return [f"{key}={min(int(value), ends[1]) if whole else format(value, '.3g')}"]
