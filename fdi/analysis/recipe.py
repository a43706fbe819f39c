"""Which single change makes a network learn, the cheapest first: a rule that asks for short
trainings and is told what they reached. It knows nothing of runs, so that it serves networks of
other libraries, and can be tried on made-up answers.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterable, Mapping, Sequence
from itertools import combinations, product
from typing import NamedTuple

from fdi.analysis.choice import FINE, LONGER, NEAR, Reached, learning_threshold
from fdi.config.metric import ACCURACY

RECIPES, RECIPE = "recipes", "recipe.json"  # below results: recipes/<name>/recipe.json
STEP, FLOOR, PAIRS = "step", "eps", "two changes"
GOOD = 0.9  # accuracy of a short training from which no change could add much
FACTOR = 5.0  # between the first steps
TRIALS = 5  # short trainings that cost as much as a whole one
GO_ON = 5  # of a stage that are not yet known
GROWN = 1.1  # times the loss of guessing, above which a step is too large
OF_EACH = 2  # changes of a kind that are tried together with others
NAMED = 5  # candidates in a sentence
SHORT = "short ones had said"
APPLIES = ("found", "past guessing")  # states of a finding whose candidate can be made use of


class Change(NamedTuple):
    """One thing that may be done, as the words that do it, and the `value` in them if it is a
    number; that of a step always is.
    """

    kind: str
    words: tuple[str, ...]
    value: float = 0.0


Candidate = tuple[Change, ...]
"""Changes made together; none: the network as it is."""
AS_IT_IS: Candidate = ()
Question = tuple[Candidate, int]
"""A candidate, and for how many epochs it is to be trained."""
Answers = Mapping[Question, Reached]


class Scope(NamedTuple):
    """What may be changed: the `step`, configured as `key`, in `trials` short trainings; then what
    is in `stages`, by kind. Trainings have `epochs`.
    """

    key: str
    step: float
    epochs: int
    trials: int
    stages: Mapping[str, Sequence[Change]]

    @property
    def short(self) -> int:
        """Epochs of a short training."""
        return max(1, self.epochs // TRIALS)


class Stage(NamedTuple):
    """Trainings that are asked for at once; `epochs`: those of all that are new."""

    title: str
    asked: list[Question]
    epochs: int


class Finding(NamedTuple):
    """`state`: learns, as it is; found, a change with which it learns; past guessing, where the
    best does no more than that; not found; refuted, where whole trainings are no better with the
    change than without; or unknown, where a training has not said what it reaches. `why`: the cause
    in one sentence; `open`: what that leaves open.
    """

    state: str
    candidate: Candidate
    why: str
    open: list[str]


Asking = Generator[Stage, Answers, None]


def proven(finding: Finding, before: float | None, after: float | None) -> Finding:
    """What is left of a change after its proof, the accuracies of whole trainings without and with
    it on the test set; None where a training has none.
    """
    if before is None or after is None:
        why = "a whole training of the proof did not end, so nothing is proven"
        return finding._replace(state="unknown", why=f"{why}; {SHORT}: {finding.why}")
    if after > before:
        return finding
    change, texts = said(finding.candidate), map(ACCURACY.text, (after, before))
    why = "refuted: with {} whole trainings reach {} on the test set, without it {}"
    why = f"{why.format(change, *texts)}; {SHORT}: {finding.why}"
    return finding._replace(state="refuted", why=why)


def can_be_lowered(eps: float, to: float, tiny: float = 0.0) -> bool:
    """Whether `to` is a lower floor than the `eps` of an optimizer. Where that is added to the root
    of a mean square, `tiny` is the least number of its precision: a gradient g below its root has
    the square 0 there, so that a step has the size lr g / eps, and no limit.
    """
    return math.sqrt(tiny) <= to < eps


class Rule:
    """The search for a recipe.

    1. The network as it is gets a short training. At GOOD accuracy no change could add much.
    2. The step: a factor of FACTOR up and down; then beyond the best where that is at an end, by
       FACTOR squared where nothing has moved yet; else between it and the better one beside it.
    3. Each of the other kinds of change, alone, at the configured step; eps only where some
       gradient is NEAR the floor of the optimizer.
    4. The best OF_EACH of all kinds, in pairs.

    A stage ends the search where something gets past `bar`. Where nothing does, the GO_ON best of
    it that did not diverge are not yet known, and go on until LONGER times as many epochs.
    """

    def __init__(self, plan: Scope) -> None:
        self.plan = plan
        self.known: dict[Candidate, dict[int, Reached]] = {}

    def decide(self) -> Generator[Stage, Answers, Finding]:
        """Yields what to train, is sent what it reached, and returns what that says."""
        yield from self._ask("as it is", [AS_IT_IS])
        if self.last(AS_IT_IS).accuracy >= GOOD:
            return self._finding("learns", AS_IT_IS)
        for kind in (STEP, *self.plan.stages, PAIRS):
            if kind != FLOOR or self.margin < NEAR:
                yield from self._stage(kind)
            if enough := [each for each in self.of(kind) if self.suffices(each)]:
                best = self.best(enough)
                return self._finding("found" if best else "learns", best)
        best = self.best(self.known)
        chance = self.last(best).at_chance
        return self._finding("not found" if chance else "past guessing", best)

    def last(self, each: Candidate) -> Reached:
        """What the longest training of a candidate reached."""
        known = self.known[each]
        return known[max(known)]

    @property
    def steps(self) -> dict[float, Reached]:
        """Step size -> what a short training with it alone reached."""
        return {self._value(each): self.known[each][self.plan.short] for each in self.of(STEP)}

    @property
    def margin(self) -> float:
        """That of the network as it is."""
        return self.known[AS_IT_IS][self.plan.short].margin

    def suffices(self, each: Candidate) -> bool:
        """Whether it counts as learning."""
        reached = self.last(each)
        return reached.accuracy >= learning_threshold(reached.classes)

    def _trains(self, each: Candidate) -> bool:
        """Whether it was not refused, and did not diverge."""
        return math.isfinite(self.last(each).loss)

    def of(self, kind: str) -> list[Candidate]:
        """The candidates of a stage; the network as it is is one of the steps."""
        if kind == PAIRS:
            return [each for each in self.known if len(each) > 1]
        single: list[Candidate] = [
            each for each in self.known if len(each) == 1 and each[0].kind == kind
        ]
        return [AS_IT_IS, *single] if kind == STEP else single

    def best(self, of: Iterable[Candidate]) -> Candidate:
        """Of those that are equal, the one with the fewest changes and the nearest step, and else
        the first.
        """

        def far(each: Candidate) -> float:
            return sum(abs(math.log(c.value / self.plan.step)) for c in each if c.kind == STEP)

        return min(of, key=lambda each: (self._behind(each), len(each), far(each)))

    def _behind(self, each: Candidate) -> tuple[float, float]:
        accuracy, loss = self.last(each).score
        return -accuracy, -loss

    def _ask(self, title: str, candidates: Iterable[Candidate], times: int = 1) -> Asking:
        epochs = min(times * self.plan.short, self.plan.epochs)
        new = [each for each in dict.fromkeys(candidates) if epochs not in self.known.get(each, {})]
        if not new:
            return
        cost = sum(epochs - max(self.known.get(each, [0])) for each in new)
        answers = yield Stage(title, [(each, epochs) for each in new], cost)
        for each in new:
            self.known.setdefault(each, {})[epochs] = answers[each, epochs]

    def _stage(self, kind: str) -> Asking:
        if kind == STEP:
            first = [self.plan.step * FACTOR, self.plan.step / FACTOR]
            yield from self._ask(STEP, map(self._step, first[: self.plan.trials - 1]))
            while len(self.of(STEP)) < self.plan.trials and (value := self._next_step()):
                yield from self._ask(STEP, [self._step(value)])
        elif kind == PAIRS:
            yield from self._ask(PAIRS, self._pairs())
        else:
            yield from self._ask(kind, [(each,) for each in self.plan.stages[kind]])
        every = sorted(self.of(kind), key=self._behind)
        if not any(map(self.suffices, every)):
            waiting = [each for each in every if self._trains(each)]
            yield from self._ask(f"{kind}, longer", waiting[:GO_ON], LONGER)

    def _next_step(self) -> float | None:
        """None where the best has one within a factor of FINE on both sides."""
        values = {self._value(each): each for each in self.of(STEP)}
        top = min(values, key=lambda value: self._trust(values[value]))
        above = min((value for value in values if value > top), default=None)
        below = max((value for value in values if value < top), default=None)
        moves = self.last(values[top]).learns
        if above is None or below is None:
            factor = FACTOR if moves else FACTOR**2
            return top * factor if above is None else top / factor
        near = [above, below]
        if moves:
            near.sort(key=lambda value: self._behind(values[value]))
        far = [value for value in near if max(value / top, top / value) > FINE]
        return math.sqrt(top * far[0]) if far else None

    def _trust(self, each: Candidate) -> tuple[bool, bool, tuple[float, float], float]:
        """The lower the better. Of steps with which nothing has moved yet the largest goes first,
        unless its loss has grown.
        """
        last = self.last(each)
        grown = not last.learns and last.loss > GROWN * math.log(last.classes)
        return (
            not last.learns,
            grown,
            self._behind(each) if last.learns else (0.0, 0.0),
            -self._value(each),
        )

    def _value(self, each: Candidate) -> float:
        return each[0].value if each else self.plan.step

    def _step(self, value: float) -> Candidate:
        value = float(f"{value:.2g}")
        return (Change(STEP, (f"{self.plan.key}={value:g}",), value),)

    def _pairs(self) -> list[Candidate]:
        kinds = [
            sorted(
                (e for e in self.of(kind) if e and self._trains(e)),
                key=self._trust if kind == STEP else self._behind,
            )[:OF_EACH]
            for kind in (STEP, *self.plan.stages)
        ]
        both = [(*a, *b) for one, other in combinations(kinds, 2) for a, b in product(one, other)]
        # where both change a key, only the latter would count
        keys = {
            pair: [w.partition("=")[0] for change in pair for w in change.words] for pair in both
        }
        return [pair for pair in both if len({*keys[pair]}) == len(keys[pair])]

    def _finding(self, state: str, candidate: Candidate) -> Finding:
        return Finding(state, candidate, self._cause(state, candidate), self._open(candidate))

    def _cause(self, state: str, candidate: Candidate) -> str:
        before, after = self.reached(AS_IT_IS), self.reached(candidate)
        if state == "learns":
            late = max(self.known[AS_IT_IS]) > self.plan.short
            tried = len(self.of(STEP)) > 1
            others = ", and none of the other steps that were tried is better" * tried
            return f"it learns as it is{', but late' * late}: {after}{others}"
        if state == "not found":
            return (
                f"not known: none of {len(self.known)} candidates gets past guessing; the lowest "
                f"loss has {said(candidate)}, {after}"
            )
        if state == "past guessing":
            enough = ACCURACY.text(learning_threshold(self.last(candidate).classes))
            return (
                f"not known: nothing gets it to {enough}, from where it counts as learning; the "
                f"best is {said(candidate)}, {after}, as it is {before}"
            )
        with_it = f"with {said(candidate)} it reaches {after}, as it is {before}"
        if self.suffices(AS_IT_IS):
            more = self.last(candidate).accuracy > self.last(AS_IT_IS).accuracy
            how = "sooner" if more else "with a lower loss"
            return f"it learns as it is, and {how} with another step: {with_it}"
        if len(candidate) > 1:
            return f"no single change is enough, two together are: {with_it}"
        if candidate[0].kind == STEP:
            direction = "small" if candidate[0].value > self.plan.step else "large"
            return f"its step is too {direction}: {with_it}"
        if candidate[0].kind == FLOOR:
            return f"its optimizer does not follow gradients as small as its own: {with_it}"
        return f"its {candidate[0].kind}, not its step alone: {with_it}"

    def _open(self, candidate: Candidate) -> list[str]:
        """What the trainings could not tell."""
        few = [STEP] * (len(self.of(STEP)) < 2)
        kinds = few + [k for k, changes in self.plan.stages.items() if changes and not self.of(k)]
        lines = []
        if kinds:
            lines.append(f"not tried: {', '.join(kinds)}")
        if FLOOR in kinds and math.isnan(self.margin):
            lines.append("whether eps matters: no gradient was measured beside the effective floor")
        waiting = [each for each in self.known if self.last(each).at_chance and self._trains(each)]
        if waiting and candidate not in waiting:
            names = [f"{said(each)} ({max(self.known[each])} epochs)" for each in waiting]
            more = f"; and {len(names) - NAMED} more" * (len(names) > NAMED)
            told = "; ".join(names[:NAMED]) + more
            lines.append(f"still at chance, which may be slow or hopeless: {told}")
        if candidate and STEP not in {change.kind for change in candidate}:
            lines.append(f"which step is best then: ask for a recipe again, with {said(candidate)}")
        return lines

    def reached(self, each: Candidate) -> str:
        """As in: 61.2 % after 2 of 10 epochs."""
        last, epochs = self.last(each), max(self.known[each])
        if not math.isfinite(last.loss):
            return "nothing, since it diverges"
        guess = " (guessing)" * last.at_chance
        return f"{100 * last.accuracy:.1f} %{guess} after {epochs} of {self.plan.epochs} epochs"


def said(candidate: Candidate) -> str:
    """Its words."""
    return " ".join(word for change in candidate for word in change.words) or "no change"
