"""A comparison of each side at its best: first a value is chosen for each side on validation, with
seeds of its own, by the rule of fdi.analysis.choice; then the sides are compared with other seeds:
at the values of the configuration, at those that suit all of them together, and each at its own. In
a zoo each side is an initial state on one of the random networks that are drawn first.
"""

from __future__ import annotations

import math
from argparse import Namespace
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from hydra.core.override_parser.types import IntervalSweep, Override
from omegaconf import OmegaConf

from fdi.analysis.choice import (
    CHOICE,
    CHOICES,
    TUNED,
    Candidate,
    Decision,
    Plan,
    Question,
    Reached,
    Rule,
    usual,
)
from fdi.cli.cells import (
    Cell,
    combinations,
    compose_cell,
    compose_sweep,
    refuse_unknown,
    together,
    varied,
)
from fdi.cli.compose import fitting, parsed
from fdi.cli.cost import estimate
from fdi.cli.summary import print_best, print_zoo
from fdi.cli.sweep import plan_of, run_sweep
from fdi.cli.task import FAILED, complain
from fdi.cli.trainings import (
    REFUSED,
    TEST,
    Trainings,
    Words,
    key_of,
    refuse_without_validation,
)
from fdi.track.files import RUNS, ZOO, write_json
from fdi.track.process import INTERRUPTED, lock
from fdi.track.record import digest


def run_tuned(arguments: Namespace) -> tuple[int, list[Cell]]:
    """Choose, then compare; returns the exit code and the compared cells. The same command goes on
    where it stopped, since each training is a run like any other. With dry_run=true it says what it
    would cost, and there are no cells.
    """
    choice = Choice(arguments)
    print(choice.cost(), flush=True)
    if choice.config.dry_run:
        return 0, []
    with lock(choice.path.parent, choice.config.take_over):
        if code := choice.choose():
            return code, []
        cells = choice.write()
        code = run_sweep(arguments, cells, table=not choice.zoo, refused=choice.refused)
    if choice.members and code != INTERRUPTED:
        from fdi.analysis.results import own
        from fdi.analysis.zoo import members

        print_zoo(members(own(choice.results)))
    elif not code:
        from fdi.analysis.best import each_at_its_best
        from fdi.analysis.collect import table
        from fdi.analysis.results import of_runs

        paths = [str(cell.directory) for cell in cells]
        print_best(each_at_its_best(of_runs(table(choice.results, paths), choice.results)))
    return code or choice.say_unknown(), cells


@dataclass
class Side:
    """What something is chosen for: an initial state on the network of this `place`, or several of
    them together, its `parts`. `words`: those of the command; `rows`: those beside a value;
    `default`: a cell of the configuration. `trials`: what was asked, with None for what no training
    could tell.
    """

    place: int
    words: Words
    rows: list[Words]
    default: Cell
    plan: Plan
    parts: list[Side] = field(default_factory=list)
    cells: dict[Question, list[Cell]] = field(default_factory=dict)
    trials: dict[Question, Reached | None] = field(default_factory=dict)
    decision: Decision | None = None

    def __post_init__(self) -> None:
        self.asking = Rule(self.plan).decide()
        self.asked = next(self.asking)

    @property
    def state(self) -> str:
        return self.decision.state if self.decision else "open"

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


class Choice(Trainings):
    """The choice that the command line `arguments` asks for."""

    def __init__(self, arguments: Namespace) -> None:
        super().__init__(arguments)
        self.config: Any = compose_sweep(arguments)
        nodes: Any = OmegaConf.to_container(self.config)
        self.tune, self.zoo = nodes["tune"], nodes["zoo"]
        self.key = self.tune["key"]
        self.tuning = [f"seed={seed}" for seed in self.tune["seeds"]]
        words = [tuple(row) for row in combinations(arguments)]
        self.seeds = list(dict.fromkeys(w for row in words for w in row if w.startswith("seed=")))
        states = dict.fromkeys(tuple(w for w in row if not w.startswith("seed=")) for row in words)
        self.members = drawn(self.zoo, arguments.overrides) if self.zoo else []
        self.networks = [*dict.fromkeys(map(_network, states))]
        every = [(self.networks.index(_network(state)), state) for state in states]
        if self.members:
            every = [(m.place, (*m.words, *state)) for m in self.members for state in states]
        beside = [
            tuple(word for words in row for word in words)
            for row in product(*(together(*item) for item in self.tune["beside"].items()))
        ]
        self._refuse([words for _, words in every], beside)
        self.sides = [self._side(place, words, beside) for place, words in every]
        self.shared: list[Side] = []
        self.results = Path(self.sides[0].default.values["paths"]["results"])

    def _refuse(self, sides: Sequence[Words], beside: Sequence[Words]) -> None:
        if self.zoo and len(self.seeds) > 1:
            raise ValueError("seed: a zoo has one run of each; zoo.networks draws more networks")
        if same := {*self.seeds} & {*self.tuning}:
            raise ValueError(
                f"{min(same)} is a seed of the choice (tune.seeds); compare with other seeds"
            )
        refuse_unknown(self.arguments, sides)
        chosen = {self.key, *(key_of(word) for row in beside for word in row)}
        if others := chosen - {*TUNED}:
            raise ValueError(
                f"tune chooses {min(others)}; the comparison knows {', '.join(TUNED)} as what may "
                f"differ between its sides"
            )
        if given := chosen & {key_of(word) for side in sides for word in side}:
            raise ValueError(
                f"{min(given)} is what is chosen (tune): leave it out, or give tune.values"
            )

    def _side(self, place: int, words: Words, beside: Sequence[Words]) -> Side:
        default = self._cell((*words, "seed=0"))
        refuse_without_validation(default)
        rows = list(dict.fromkeys(self.rows(words, beside)))
        places = [self._cell((*words, *row, "seed=0")).directory for row in rows]
        configured = places.index(default.directory) if default.directory in places else 0
        own = Candidate(_value(default, self.key), configured)
        epochs, values = default.values["trainer"]["epochs"], sorted(self.tune["values"])
        short = max(1, epochs // self.tune["short"])
        plan = Plan(values, len(rows), own, epochs, short, self.tune["keep"], self.tune["extend"])
        return Side(place, words, rows, default, plan)

    def _together(self, parts: list[Side]) -> Side:
        """What suits several sides together: among the steps from the smallest to the largest that
        was chosen for one of them, and the rows that were.
        """
        first = parts[0]
        found = [side for side in parts if side.state != "not found"] or parts
        chosen = [s.decision.candidate for s in found if s.decision and s.decision.candidate]
        own = {each.value for each in chosen}
        values = own | {v for v in first.plan.values if min(own) < v < max(own)}
        rows = [first.rows[row] for row in sorted({each.beside for each in chosen})]
        plan = first.plan._replace(
            values=sorted(values), beside=len(rows), extend=0, own=Candidate(first.plan.own.value)
        )
        return Side(first.place, _network(first.words), rows, first.default, plan, parts)

    @cached_property
    def path(self) -> Path:
        """Where the decision is kept, the same whatever seeds it is compared with."""
        if self.zoo:
            return self.results / ZOO / f"seed={self.zoo['seed']}.json"
        sides = sorted(str(side.default.directory) for side in self.sides)
        name = self.sides[0].default.values["name"]["experiment"]
        return self.results / CHOICES / f"{name}-{digest(' '.join(sides))[:8]}" / CHOICE

    def cost(self) -> str:
        """How many trainings that is, about, since it depends on what they reach; and what they
        cost.
        """
        trainings, left, plan = 0, [], self.sides[0].plan
        compared = len(self.sides) * len(self.seeds) * (2 if self.zoo else 3)
        for side in self.sides:
            number, epochs = usual(side.plan)
            trainings += number * len(self.tuning)
            left += [side.default] * round(epochs * len(self.tuning) / side.plan.epochs)
            self._asked(side)  # raises for values that are refused
        cost = ""
        if self.config.dry_run:
            cost = "; " + estimate(left + [self.sides[0].default] * compared)
        return (
            f"{self.key} for {len(self.sides)} sides: about {trainings} trainings to choose, of "
            f"{plan.short} to {plan.epochs} epochs, and {compared} that are compared{cost}"
        )

    def choose(self) -> int:
        """Decide for all sides, and for those of each network together; returns INTERRUPTED where
        that came between, else 0.
        """
        if self._decide(self.sides) == INTERRUPTED:
            return INTERRUPTED
        for place in range(len(self.networks) * (not self.zoo)):
            parts = [s for s in self.sides if s.place == place and s.state != "refused"]
            if len(parts) > 1 and all(side.state != "unknown" for side in parts):
                self.shared.append(self._together(parts))
        if self._decide(self.shared) == INTERRUPTED:
            return INTERRUPTED
        named = varied(side.words for side in self.sides)
        for side in (*self.sides, *self.shared) if not self.zoo else ():
            words = [word for word in side.words if key_of(word) in named]
            words += ["all together"] * bool(side.parts) + [*(self._words(side) or ())]
            assert side.decision
            print(f"{side.decision.state}: {' '.join(words)} ({side.decision.why})", flush=True)
        return 0

    def _decide(self, sides: Sequence[Side]) -> int:
        while waiting := [side for side in sides if not side.decision]:
            every = [cell for side in waiting for cell in self._asked(side)]
            if self.train(f"choosing {self.key}", every) == INTERRUPTED:
                return INTERRUPTED
            for side in waiting:
                side.hear({each: self.means(side.cells[each]) for each in side.asked})
        return 0

    def _asked(self, side: Side) -> list[Cell]:
        """The trainings of all candidates that a side, or all of its parts, are asked for."""
        for question in side.asked:
            candidate, epochs = question
            last = (*self._candidate(side, candidate), f"trainer.epochs={epochs}", f"{TEST}false")
            side.cells[question] = [
                self._cell((*own, *last, seed))
                for part in side.parts or [side]
                for own in [[w for w in part.words if not w.startswith(("trainer.epochs=", TEST))]]
                for seed in self.tuning
            ]
        return [cell for question in side.asked for cell in side.cells[question]]

    def _candidate(self, side: Side, candidate: Candidate) -> Words:
        return (f"{self.key}={candidate.value:g}", *side.rows[candidate.beside])

    def _cell(self, words: Words) -> Cell:
        return compose_cell(self.source, fitting(self.source, words))

    def _words(self, side: Side) -> Words | None:
        """Of what was chosen; None where nothing was."""
        chosen = side.decision.candidate if side.decision else None
        return None if chosen is None else self._candidate(side, chosen)

    def _compared(self, side: Side) -> dict[str, list[Cell]]:
        """The cells that compare a side, by setting; none for several together."""
        shared = {other.place: self._words(other) for other in self.shared}
        chosen = {"common": (), "shared": shared.get(side.place), "best": self._words(side)}
        return {
            setting: [self._cell((*side.words, *own, seed)) for seed in self.seeds]
            for setting, own in chosen.items()
            if own is not None and not side.parts
        }

    def write(self) -> list[Cell]:
        """Write the decision: what each candidate reached, what was chosen and why, and which runs
        compare it. Returns these.
        """
        sides = [(side, self._compared(side)) for side in (*self.sides, *self.shared)]
        cells = {cell.directory: cell for _, of in sides for each in of.values() for cell in each}
        content = {
            "command": plan_of(self.arguments, [*cells.values()]).command,
            "tune": self.tune,
            "sides": [self._told(*side) for side in sides],
        }
        if self.zoo:
            networks = [{"kind": member.kind, "words": member.words} for member in self.members]
            content |= {"zoo": self.zoo, "networks": networks}
        write_json(self.path, content)
        return [*cells.values()]

    def _told(self, side: Side, compared: Mapping[str, Sequence[Cell]]) -> dict[str, Any]:
        decision = side.decision
        assert decision
        values = {question: _values(side.cells[question][0]) for question in side.trials}
        chosen = [question for question in side.trials if question[0] == decision.candidate]
        longest = max(chosen, key=lambda question: question[1], default=None)
        reached = longest and side.trials[longest]
        runs = self.results / RUNS
        return {
            "network": side.place,
            "init": None if side.parts else side.default.values["name"]["init"],
            "words": side.words,
            **decision._asdict(),
            "candidate": values[longest] if longest else None,
            "accuracy": reached and reached.accuracy,
            "seeds": len(self.tuning),
            "trials": [
                {
                    **values[each],
                    "epochs": each[1],
                    "accuracy": told and told.accuracy,
                    "loss": told.loss if told and math.isfinite(told.loss) else None,
                }
                for each, told in side.trials.items()
            ],
            "settings": {
                setting: {
                    "values": _values(cells[0]),
                    "runs": [str(cell.directory.relative_to(runs)) for cell in cells],
                }
                for setting, cells in compared.items()
            },
        }

    def say_unknown(self) -> int:
        decided = [side.decision for side in (*self.sides, *self.shared) if side.decision]
        for why in {decision.why for decision in decided if not decision.candidate}:
            return complain(f"not all is chosen: {why}; the same command goes on", FAILED)
        return 0


def _network(words: Words) -> Words:
    """Without the words of the initial state."""
    return tuple(word for word in words if not word.startswith(("init=", "init.")))


def _values(cell: Cell) -> dict[str, Any]:
    return {key: value for key in TUNED if (value := _value(cell, key)) is not None}


def _value(cell: Cell, key: str) -> Any:
    group, _, name = key.partition(".")
    return cell.values[group].get(name)


class Member(NamedTuple):
    """A network of the zoo: its place, its kind, and the words that were drawn for it."""

    place: int
    kind: str
    words: tuple[str, ...]


def drawn(zoo: Mapping[str, Any], given: Sequence[str] = ()) -> list[Member]:
    """The networks of a zoo. What is `given` on the command line, as words, is not drawn, and of
    the kinds those are left that have a given model. Each network has random numbers of its own, so
    that the first ones stay whatever the number of networks. Raises ValueError for what cannot be
    drawn.
    """
    fixed = dict(word.partition("=")[::2] for word in given)
    share_of = {name: _share(name, kind) for name, kind in zoo["kinds"].items()}
    kinds = _with_model(zoo["kinds"], fixed.get("model"))
    shares = np.array([share_of.get(name, 1.0) for name in kinds])
    if not kinds or not shares.sum() > 0:
        raise ValueError("zoo.kinds: give at least one kind a share above 0")
    domains = {name: zoo["draw"] | dict(kind["draw"]) for name, kind in kinds.items()}
    members = []
    for place in range(zoo["networks"]):
        chance = np.random.default_rng([zoo["seed"], place])
        kind = str(chance.choice([*kinds], p=shares / shares.sum()))
        words = [
            word
            for key, values in sorted(domains[kind].items())
            for word in _word(key, str(values), chance)
        ]
        kept = tuple(word for word in words if word.partition("=")[0] not in fixed)
        members.append(Member(place, kind, kept))
    return members


def _with_model(kinds: Mapping[str, Any], model: str | None) -> Mapping[str, Any]:
    """The kinds that draw this model; where none does, one that is named after it."""
    if model is None:
        return kinds
    same = {name: kind for name, kind in kinds.items() if kind["draw"].get("model") == model}
    return same or {model: {"draw": {}}}


def _share(name: str, kind: Any) -> float:
    if not isinstance(kind, Mapping) or set(kind) != {"share", "draw"}:
        raise ValueError(f"zoo.kinds.{name} must have the keys share and draw")
    share = kind["share"]
    if not isinstance(share, int | float) or not 0 <= share < np.inf:
        raise ValueError(f"zoo.kinds.{name}.share = {share} must be a number of at least 0")
    return float(share)


def _word(key: str, values: str, chance: np.random.Generator) -> tuple[str, ...]:
    """One value of `values`, as words; of keys joined by +, one row."""
    if "+" in key:
        rows = together(key, values)
        return rows[chance.integers(len(rows))]
    override = parsed(f"{key}={values}")
    if not override.is_sweep_override():
        return (f"{key}={override.get_value_element_as_str()}",)
    if override.is_discrete_sweep():
        known = [*override.sweep_string_iterator()]
        return (f"{key}={known[chance.integers(len(known))]}",)
    return (f"{key}={_between(override, chance)}",)


def _between(override: Override, chance: np.random.Generator) -> str:
    """A number of the interval, of three digits; a whole one where both ends are."""
    interval: Any = override.value()
    if not isinstance(interval, IntervalSweep):
        raise ValueError(f"zoo: {override.input_line} is neither a sweep nor an interval")
    low, high = interval.start, interval.end
    assert low is not None
    assert high is not None
    whole = isinstance(low, int) and isinstance(high, int)
    if "log" in interval.tags:
        value = float(np.exp(chance.uniform(np.log(low), np.log(high + whole))))
    else:
        value = float(chance.uniform(low, high + whole))
    return str(min(int(value), high)) if whole else f"{value:.3g}"
