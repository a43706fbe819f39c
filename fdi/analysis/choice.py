"""How a value is chosen: a rule that asks for trainings and is told what they reached. It knows
nothing of runs, so that it can be tried where a whole grid is trained already. And the decisions
that were written down.
"""

from __future__ import annotations

import math
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fdi.config.metric import ACCURACY as OF_CLASSES
from fdi.config.metric import Metric
from fdi.track.files import parse_json, tell

STEP = "optimizer.lr"
TUNED = (STEP, "optimizer.eps", "optimizer.precision")
"""Keys in which the arms of a comparison may differ, each having its own best value."""
SETTINGS = {"common": "default step", "shared": "best common step", "best": "each at its best"}
CHOICES, CHOICE = "choices", "choice.json"  # below results: choices/<name>/choice.json
OF_ARM = ("init", "state", "why", "candidate", "accuracy", "seeds", "trials", "settings")
LONGER = 3  # times the short training, after which a candidate at chance counts as not found
NEAR = 1e3  # largest gradient of a layer over the effective floor, below which that matters
FINE = 2.0  # largest factor between the best value and its neighbours
SOME = 0.05  # R2, up to which nothing is learned
LOSS = 0.98  # of that of guessing: below it, training learns something
FACTOR = 3.0  # to the next value, where only one is given


class Candidate(NamedTuple):
    """A value, and the row of what is chosen `beside` it."""

    value: float
    beside: int = 0


class Reached(NamedTuple):
    """Means over the seeds of a candidate: accuracy on validation, or what else its `metric` says,
    and loss on the training set, infinite where it diverged or was refused. `classes`: NaN where
    none are told apart; then R2 has a chance level, 0, and no other metric. `margin`: what NEAR is
    compared with, the least of all layers; NaN where it was not measured.
    """

    accuracy: float
    loss: float
    classes: float
    margin: float = math.nan
    metric: Metric = OF_CLASSES

    @property
    def at_chance(self) -> bool:
        if self.metric != OF_CLASSES:
            return math.isinf(self.loss) or (self.metric.name == "R2" and self.accuracy <= SOME)
        chance = 1 / self.classes
        return self.accuracy <= min(1.5 * chance, chance + (1 - chance) / 4)

    @property
    def learns(self) -> bool:
        """Whether it is past guessing, by one of the two."""
        learned = self.metric == OF_CLASSES and self.loss < LOSS * math.log(self.classes)
        return not self.at_chance or learned

    @property
    def score(self) -> tuple[float, float]:
        """The higher the better: what it reached, unless it is at chance, then the lower loss."""
        if math.isinf(self.loss):
            return -math.inf, -math.inf
        reached = 0.0 if self.at_chance else round(self.metric.sign * self.accuracy, 9)
        return reached, -round(self.loss, 9)


FAILS = Reached(0.0, math.inf, 2)
"""A training that diverged."""
REFUSED = FAILS._replace(classes=1)
"""One of a network that cannot be drawn."""


class Grid(NamedTuple):
    """What may be chosen: `values`, in ascending order, and how many rows `beside` them; `own`:
    what is configured. All are trained for `short` of `epochs`, the `keep` best to the end; each
    stage adds values `extend` times at most.
    """

    values: Sequence[float]
    beside: int
    own: Candidate
    epochs: int
    short: int
    keep: int
    extend: int


class Decision(NamedTuple):
    """`state`: chosen; tied, where another is as good by every measure; not found, where none gets
    past guessing; refused, where the network cannot be drawn; or unknown, where a training has not
    said what it reaches: then there is no candidate.
    """

    state: str
    candidate: Candidate | None
    why: str


Question = tuple[Any, int]
"""A candidate, and for how many epochs it is to be trained."""
Trainings = Generator[list[Question], None, Any]
"""Asks for these, goes on when it is known what they reached, and returns what that decides."""


class Asking(ABC):
    """A search by a rule, `find`, which has `asked` for trainings, and goes on when it hears what
    they reached, until it has `found` something. `known`: what each candidate reached, by epochs.
    """

    found: Any = None

    def __init__(self) -> None:
        self.known: dict[Any, dict[int, Reached]] = {}
        self._rule = self.find()
        self.hear({})

    @abstractmethod
    def find(self) -> Trainings:
        """The rule."""

    @abstractmethod
    def unknown(self, which: str) -> Any:
        """What is found where `which` candidates have a training that did not end."""

    def hear(self, answers: Mapping[Question, Reached | None]) -> None:
        """What was asked for reached this, None where a training cannot tell."""
        self.asked: list[Question] = []
        for (candidate, epochs), answer in answers.items():
            if answer:
                self.known.setdefault(candidate, {})[epochs] = answer
        if missing := [*answers.values()].count(None):
            self.found = self.unknown(f"{missing} of {len(answers)} candidates")
            return
        try:
            self.asked = next(self._rule)
        except StopIteration as end:
            self.found = end.value

    def last(self, candidate: Any) -> Reached:
        """What the longest training of a candidate reached."""
        known = self.known[candidate]
        return known[max(known)]


def learning_threshold(classes: Any) -> Any:
    """The accuracy from which a network counts as one that learns: 3 times chance, or half way from
    chance to 1 if that is less.
    """
    return np.minimum(3 / classes, (1 + 1 / classes) / 2)


def mean(runs: Sequence[Reached]) -> Reached:
    """Of several seeds or arms."""
    accuracy, loss = (sum(each) / len(runs) for each in zip(*((e.accuracy, e.loss) for e in runs)))
    classes, margin = max(each.classes for each in runs), min(each.margin for each in runs)
    return Reached(accuracy, loss, classes, margin, runs[0].metric)


class Selection(Asking):
    """The choice of one arm.

    1. Each row is tried at one value. Those with gradients NEAR the effective floor may matter; of
       the others one, the first, stands for all, and the search begins with it.
    2. All values get a short training. What is at chance then is not yet known: it goes on, until
       LONGER times as many epochs. Where the best is at an end, there is a next value.
    3. The best of those that learned soon, and of those that were slow, are trained to the end;
       then neighbours of the best, until there is one within a factor of FINE on both sides; then
       the other rows that matter, at that value.

    Where no value gets past guessing, step 2 is repeated with the next row.
    """

    found: Decision

    def __init__(self, plan: Grid) -> None:
        self.plan = plan
        super().__init__()

    def unknown(self, which: str) -> Decision:
        return Decision("unknown", None, f"{which} have a training that did not end")

    def find(self) -> Trainings:
        yield from self._new(self._first(), self.plan.short)
        if all(self.last(each) == REFUSED for each in self._first()):
            return Decision("refused", self.plan.own, "it cannot be drawn")
        for row in (rows := self._rows()):
            yield from self._values(row)
            if finalists := self._finalists([e for e in self.known if e.beside == row]):
                yield from self._new(finalists, self.plan.epochs)
                yield from self._refine(rows)
                return self._decision(self._whole())
        return self._decision([*self.known])

    def _new(self, candidates: Iterable[Candidate], epochs: int) -> Trainings:
        """Of those that are not known."""
        if new := [each for each in candidates if epochs not in self.known.get(each, {})]:
            yield [(each, epochs) for each in new]

    def _first(self) -> list[Candidate]:
        value = min(self.plan.values, key=lambda value: _apart(value, self.plan.own.value))
        return [Candidate(value, row) for row in range(self.plan.beside)]

    def _rows(self) -> list[int]:
        """The row to begin with, then the others that matter."""
        margins = [self.last(each).margin for each in self._first()]
        clear = [row for row, margin in enumerate(margins) if margin >= NEAR]
        start = clear[0] if clear else len(margins) - 1
        if any(map(math.isnan, margins)):
            start = self.plan.own.beside
        return [start, *(row for row in range(len(margins)) if row not in (start, *clear))]

    def _values(self, row: int) -> Trainings:
        values = [*self.plan.values]
        for _ in range(self.plan.extend + 1):
            every = [Candidate(value, row) for value in values]
            yield from self._short(every)
            best = max(every, key=self._standing)
            beyond = [v for v in self._beside(best.value, values) if v not in values]
            if not self.last(best).learns or not beyond:
                return
            values += beyond

    def _short(self, every: Sequence[Candidate]) -> Trainings:
        yield from self._new(every, self.plan.short)
        slow = [each for each in every if not self._soon(each) and self.last(each).accuracy]
        yield from self._new(slow, min(LONGER * self.plan.short, self.plan.epochs))

    def _soon(self, candidate: Candidate) -> bool:
        """Whether it learns in the short training."""
        return self.known[candidate][self.plan.short].learns

    def _standing(self, candidate: Candidate) -> tuple[bool, tuple[float, float]]:
        """Those that learn soon before those that are slow."""
        soon, known = self._soon(candidate), self.known[candidate]
        return soon, (known[self.plan.short] if soon else self.last(candidate)).score

    def _finalists(self, every: Sequence[Candidate]) -> list[Candidate]:
        learning = [each for each in every if self.last(each).learns]
        learning.sort(key=self._standing, reverse=True)
        groups = ([each for each in learning if self._soon(each) is soon] for soon in (True, False))
        return [each for group in groups for each in group[: self.plan.keep]]

    def _whole(self) -> list[Candidate]:
        """Those that are trained to the end, the best first."""
        whole = [each for each, known in self.known.items() if self.plan.epochs in known]
        return sorted(whole, key=lambda each: self.last(each).score, reverse=True)

    def _refine(self, rows: Sequence[int]) -> Trainings:
        for _ in range(self.plan.extend + 1):
            for _ in range(self.plan.extend):
                top = self._whole()[0]
                values = [each.value for each in self.known if each.beside == top.beside]
                near = self._beside(top.value, values)
                far = [v for v in near if _apart(v, top.value) > math.log(FINE)]
                around = [*near, *(_short(math.sqrt(top.value * v)) for v in far)]  # halfway
                yield from self._new([Candidate(v, top.beside) for v in around], self.plan.epochs)
            row = self._whole()[0].beside
            steps = [each.value for each in self._whole() if each.beside == row][: self.plan.keep]
            others = [Candidate(value, other) for other in rows if other != row for value in steps]
            yield from self._short(others)
            yield from self._new(self._finalists(others), self.plan.epochs)
            if self._whole()[0].beside == row:
                return

    def _beside(self, value: float, values: Iterable[float]) -> tuple[float, float]:
        """The nearest of the values below and above; the next ones beyond their ends."""
        given = self.plan.values
        factor = given[1] / given[0] if len(given) > 1 else FACTOR
        below = max((v for v in values if v < value), default=_short(value / factor))
        return below, min((v for v in values if v > value), default=_short(value * factor))

    def _decision(self, candidates: Sequence[Candidate]) -> Decision:
        """Of those that are equal, the one that is nearest to what is configured."""
        own = self.plan.own
        ranked = sorted(candidates, key=lambda each: self.last(each).score, reverse=True)
        top = self.last(ranked[0])
        equal = [each for each in ranked if self.last(each).score == top.score]
        equal.sort(key=lambda each: (each.beside != own.beside, _apart(each.value, own.value)))
        said = f"{top.metric.text(top.accuracy)} on validation"
        if not top.learns:
            none = "all at chance" if top.metric == OF_CLASSES else "none beats the mean of targets"
            most = top.metric.text(max(self.last(each).accuracy for each in candidates))
            return Decision("not found", equal[0], f"{none}: {most} on validation at most")
        if len(equal) > 1:
            return Decision("tied", equal[0], f"{said}, as {len(equal) - 1} more")
        others = [self.last(each).accuracy for each in ranked[1:]]
        beside = f", the next {top.metric.text(others[0])}" if others else ""
        return Decision("chosen", equal[0], said + beside)


def play(plan: Grid, reach: Callable[[Question], Reached]) -> tuple[Decision, list[Question]]:
    """What the rule decides, and all that it asks, where it is known what a training will reach."""
    search, every = Selection(plan), []
    while search.asked:
        every += search.asked
        search.hear({each: reach(each) for each in search.asked})
    return search.found, every


def usual_cost(plan: Grid) -> tuple[int, int]:
    """How many trainings, of how many epochs in all, the rule asks for where what is configured is
    best.
    """
    _, asked = play(plan, lambda q: Reached(math.exp(-_apart(q[0].value, plan.own.value)), 0, 10))
    longest = dict(sorted(asked, key=lambda question: question[1]))
    return len(asked), sum(longest.values())


def _apart(one: float, other: float) -> float:
    return abs(math.log(one / other))


def _short(value: float) -> float:
    return float(f"{value:.2g}")


def decisions(results: Path) -> list[dict[str, Any]]:
    """What the decisions below `results` say of each initialization, OF_ARM and which `decision`
    it is, the oldest first; a line for each file that is none.
    """
    chosen = []
    for path in sorted((results / CHOICES).glob(f"*/{CHOICE}"), key=os.path.getmtime):
        try:
            content: Any = parse_json(path)
            arms = [_checked(arm) for arm in content["sides"] if arm["init"]]
            chosen += [arm | {"decision": path.parent.name} for arm in arms]
        except (ValueError, TypeError, KeyError, AttributeError):
            tell(f"{path} is left out: not a decision; fdi-run -m experiment=best writes it again")
    return chosen


def _checked(arm: dict[str, Any]) -> dict[str, Any]:
    """Raises KeyError or TypeError for what is no part of a decision."""
    for trial in arm["trials"]:
        _ = trial["epochs"] + 0, trial["accuracy"], trial[STEP]
    for setting, content in arm["settings"].items():
        _ = SETTINGS[setting], content["values"][STEP], [path.split() for path in content["runs"]]
    return {key: arm[key] for key in OF_ARM}
