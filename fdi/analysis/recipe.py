"""Which change makes a network learn, for the cost of a few trainings: a rule that asks for short
trainings, is told what they reached, and has what it found proven. It knows nothing of runs, so
that it serves networks of other libraries, and can be tried on made-up answers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import product
from typing import NamedTuple

import numpy as np

from fdi.analysis.choice import NEAR, Reached
from fdi.analysis.statistics import PERCENT, paired, summary
from fdi.config import Mistake
from fdi.config.metric import ACCURACY

RECIPES, RECIPE = "recipes", "recipe.json"  # below results: recipes/<name>/recipe.json
STEP, FLOOR, STATE, PAIRS, WHOLE = "step", "eps", "initialization", "pairs", "whole training"
GOOD = 0.9  # accuracy of a short training from which no change could add much
FACTOR = 3.0  # between steps
SCAN = 10  # short trainings, which cost as much as a whole one
BEYOND = 2  # steps at once where the best is at an end, and how often
OF_STEPS = 2  # steps that are tried together with others
BUDGET = 4.0  # trainings of the search, the last of what it found
SHORT = "the search had said"
APPLIES = ("found",)  # states of a finding whose candidate can be made use of


class Change(NamedTuple):
    """One thing that may be done, as the words that do it, and the `value` in them if it is a
    number; that of a step always is.
    """

    kind: str
    words: tuple[str, ...]
    value: float = 0.0

    @property
    def keys(self) -> set[str]:
        return {word.partition("=")[0] for word in self.words}


Candidate = tuple[Change, ...]
"""Changes made together; none: the network as it is."""
AS_IT_IS: Candidate = ()
Question = tuple[Candidate, int]
"""A candidate, and for how many epochs it is to be trained."""


class Scope(NamedTuple):
    """What may be changed: the `step`, configured as `key`, with the initialization `initial`;
    then what is in `stages`, by kind; where that does not suffice, `others`. A training has
    `epochs`; the search costs at most `budget` of them.
    """

    key: str
    step: float
    epochs: int
    budget: float
    initial: Candidate
    stages: Mapping[str, Sequence[Change]]
    others: Sequence[Change]

    @property
    def short(self) -> int:
        """Epochs of a short training."""
        return max(1, self.epochs // SCAN)


class Proof(NamedTuple):
    """Of whole trainings without and with a change, on samples that did not choose it: accuracies
    `before` and `after`, a 95 % interval of their difference over the samples, the least that
    `after` may be by them, the accuracy of naming the most frequent class, and the numbers of
    samples and `seeds`.
    """

    before: float
    after: float
    low: float
    high: float
    least: float
    guess: float
    samples: int
    seeds: int

    @property
    def holds(self) -> bool:
        """Whether it is better with the change, and then better than naming the same class always:
        what refutes a change is the opposite.
        """
        return self.after > self.before and self.least > self.guess

    def __str__(self) -> str:
        before, after = map(ACCURACY.text, (self.before, self.after))
        known = not math.isnan(self.low)
        interval = f", 95 % interval {PERCENT * self.low:+.1f}..{PERCENT * self.high:+.1f}" * known
        difference = f"{PERCENT * (self.after - self.before):+.1f} points{interval}"
        return (
            f"{before} before, {after} after ({difference}), on {self.samples} samples that were "
            f"held out, {self.seeds} seed{'s' * (self.seeds > 1)}"
        )


def proof(before: np.ndarray, after: np.ndarray, labels: np.ndarray, seeds: int) -> Proof:
    """Of samples: in what share of trainings each is right, without and with a change; and their
    labels.
    """
    _, counts = np.unique(labels, return_counts=True)
    difference, reached = paired(after, before), summary(after)
    least = reached.low if reached.sd > 0 else reached.mean
    guess, samples = counts.max() / counts.sum(), len(labels)
    means = float(np.mean(before)), float(np.mean(after))
    return Proof(*means, difference.low, difference.high, least, guess, samples, seeds)


class Finding(NamedTuple):
    """`state`: learns, as it is; found, a change with which it learns; not found, where nothing
    leaves chance; refuted, where whole trainings are no better with the change than without; or
    unknown, where a training has not said what it reaches. `why`: the cause in one sentence;
    `open`: what that leaves open.
    """

    state: str
    candidate: Candidate
    why: str
    open: list[str]
    proof: Proof | None = None


class Unsettled(Exception):
    """A training has not said what it reaches; the message says which."""


Train = Callable[[str, list[Question]], Mapping[Question, Reached]]
"""Trains what is asked for under a title; raises Unsettled."""
Prove = Callable[[Candidate], Proof]
"""Whole trainings of two seeds, without and with a change; raises Unsettled."""


def can_be_lowered(eps: float, to: float, tiny: float = 0.0) -> bool:
    """Whether `to` is a lower floor than the `eps` of an optimizer. Where that is added to the root
    of a mean square, `tiny` is the least number of its precision: a gradient g below its root has
    the square 0 there, so that a step has the size lr g / eps, and no limit.
    """
    return math.sqrt(tiny) <= to < eps


class Rule:
    """The search for a recipe.

    1. The network as it is gets a short training. At GOOD accuracy no change could add much.
    2. From the initialization of the plan, steps by a FACTOR up and down, one short training each:
       SCAN in all, and BEYOND where the best is at an end. The least validation loss is the best,
       here and below.
    3. At the best, each stage of the plan in turn; eps only where some gradient is NEAR the
       effective floor.
    4. The best gets a whole training. Where that leaves chance, it is proven.
    5. Where it does not, or its proof refutes it: the other changes, each with the OF_STEPS best
       steps, as many as fit into the budget; then 4 again, once.
    """

    def __init__(self, plan: Scope, train: Train, prove: Prove) -> None:
        self.plan, self.train, self.prove = plan, train, prove
        self.known: dict[Candidate, dict[int, Reached]] = {}
        self.cost = 0.0  # of all that was asked for, in whole trainings
        if self._room() < 2:
            least = 1 + 2 * plan.short / plan.epochs
            raise Mistake(
                f"budget = {plan.budget:g} leaves no room for short trainings beside the whole one "
                f"of what they find; give at least {least:g}"
            )

    def find(self) -> Finding:
        """What it finds."""
        try:
            return self._find()
        except Unsettled as error:
            return Finding("unknown", AS_IT_IS, str(error), [])

    def _find(self) -> Finding:
        plan = self.plan
        self._short("as it is", [AS_IT_IS])
        if self.last(AS_IT_IS).accuracy >= GOOD:
            return self._finding("learns", AS_IT_IS)
        scan = self._short(STEP, self._steps(plan.initial))
        if plan.initial and all(self.last(each).classes == 1 for each in scan):  # refused
            self._short(STEP, self._steps(AS_IT_IS))
        for _ in range(BEYOND):
            self._short(STEP, self._beyond(self.best(self.known)))
        best = self.best(self.known)
        for kind, changes in plan.stages.items():
            if kind != FLOOR or self.last(best).margin < NEAR:
                self._short(kind, [joined(best, change) for change in changes])
                best = self.best(self.known)
        finding = self._judged(best)
        if finding.state in ("not found", "refuted"):
            steps = sorted(self._scanned(), key=self._behind)[:OF_STEPS]
            pairs = [joined(*pair) for pair in product(steps, plan.others)]
            if asked := self._short(PAIRS, pairs):
                return self._judged(self.best(asked))
        return finding

    def last(self, each: Candidate) -> Reached:
        """What the longest training of a candidate reached."""
        known = self.known[each]
        return known[max(known)]

    def best(self, of: Iterable[Candidate]) -> Candidate:
        """By short trainings; of equal ones the one with the fewest changes and the nearest step,
        and else the first.
        """
        return min(of, key=self._behind)

    def _scanned(self) -> list[Candidate]:
        """Those that differ in the step and the initialization of the plan alone."""
        kinds = {STEP, *(change.kind for change in self.plan.initial)}
        return [each for each in self.known if {change.kind for change in each} <= kinds]

    @property
    def steps(self) -> dict[float, Reached]:
        """Step size -> what a short training with it reached, from the initialization."""
        found = {self._value(e): self.known[e][self.plan.short] for e in self._scanned()}
        return dict(sorted(found.items()))

    def _behind(self, each: Candidate) -> tuple[float, int, float]:
        loss = self.known[each][self.plan.short].loss
        return loss, len(each), abs(math.log(self._value(each) / self.plan.step))

    def _value(self, each: Candidate) -> float:
        return next((change.value for change in each if change.kind == STEP), self.plan.step)

    def _steps(self, begin: Candidate) -> list[Candidate]:
        """From the configured step to both sides."""
        powers = [(i + 1) // 2 * (-1) ** (i + 1) for i in range(1, SCAN - 1)]  # 1, -1, 2, -2, ...
        return [begin, *(self._step(begin, self.plan.step * FACTOR**power) for power in powers)]

    def _beyond(self, best: Candidate) -> list[Candidate]:
        value, known = self._value(best), [*self.steps]
        if known[0] < value < known[-1]:
            return []
        factor = FACTOR if value == known[-1] else 1 / FACTOR
        return [self._step(best, value * factor ** (i + 1)) for i in range(BEYOND)]

    def _step(self, begin: Candidate, value: float) -> Candidate:
        value = float(f"{value:.2g}")
        return joined(begin, Change(STEP, (f"{self.plan.key}={value:g}",), value))

    def _room(self) -> int:
        """How many short trainings the budget has beside a whole one."""
        left = (self.plan.budget - self.cost - 1) * self.plan.epochs
        return max(0, math.floor(left / self.plan.short + 1e-9))

    def _short(self, title: str, candidates: Iterable[Candidate]) -> list[Candidate]:
        """Short trainings of those that are new, as many as there is room for."""
        new = [each for each in dict.fromkeys(candidates) if each not in self.known]
        return self._ask(title, new[: self._room()], self.plan.short)

    def _ask(self, title: str, candidates: list[Candidate], epochs: int) -> list[Candidate]:
        if candidates:
            answers = self.train(title, [(each, epochs) for each in candidates])
            self.cost += len(candidates) * epochs / self.plan.epochs
            for each in candidates:
                self.known.setdefault(each, {})[epochs] = answers[each, epochs]
        return candidates

    def _judged(self, best: Candidate) -> Finding:
        """By a whole training and, where that leaves chance, its proof."""
        self._ask(WHOLE, [best], self.plan.epochs)
        if not self.last(best).learns:
            return self._finding("not found", best)
        if best == AS_IT_IS:
            return self._finding("learns", best)
        finding, found = self._finding("found", best), self.prove(best)
        if found.holds:
            return finding._replace(proof=found)
        why = f"refuted: {said(best)} is no better than no change, or than guessing, in whole "
        why += f"trainings; {SHORT}: {finding.why}"
        return finding._replace(state="refuted", why=why, proof=found)

    def _finding(self, state: str, candidate: Candidate) -> Finding:
        return Finding(state, candidate, self._cause(state, candidate), self._open())

    def _cause(self, state: str, candidate: Candidate) -> str:
        after = self.reached(candidate)
        if state == "learns":
            tried = ", and nothing that was tried is better" * (len(self.known) > 1)
            return f"it learns as it is: {after}{tried}"
        if state == "not found":
            return (
                f"not known: none of {len(self.known)} candidates leaves chance; the lowest loss "
                f"has {said(candidate)}, {after}"
            )
        names = [self._blamed(change) for change in candidate]
        return f"it does not learn as it could because of {' and '.join(names)}"

    def _blamed(self, change: Change) -> str:
        if change.kind == STEP:
            return f"a step that is too {'small' if change.value > self.plan.step else 'large'}"
        if change.kind == FLOOR:
            return "an optimizer that does not follow gradients as small as its own"
        return f"its {change.kind.removeprefix('another ')}"

    def _open(self) -> list[str]:
        """What the trainings could not tell."""
        kinds = {STEP: self._steps(self.plan.initial), **self.plan.stages}
        kinds |= {change.kind: [change] for change in (*self.plan.initial, *self.plan.others)}
        tried = {change.kind for each in self.known for change in each}
        missing = [kind for kind, changes in kinds.items() if changes and kind not in tried]
        lines = [f"not tried: {', '.join(missing)}"] if missing else []
        if FLOOR in missing and math.isnan(self.last(AS_IT_IS).margin):
            lines.append("whether eps matters: no gradient was measured beside the effective floor")
        return lines

    def reached(self, each: Candidate) -> str:
        """As in: 61.2 % after 2 of 10 epochs."""
        last, epochs = self.last(each), max(self.known[each])
        if not math.isfinite(last.loss):
            return "nothing, since it diverges"
        guess = " (guessing)" * last.at_chance
        return f"{100 * last.accuracy:.1f} %{guess} after {epochs} of {self.plan.epochs} epochs"


def joined(candidate: Candidate, change: Change) -> Candidate:
    """A candidate with one more change, in place of those of the same keys."""
    return (*(each for each in candidate if not each.keys & change.keys), change)


def said(candidate: Candidate) -> str:
    """Its words."""
    return " ".join(word for change in candidate for word in change.words) or "no change"
