"""The rule that looks for a recipe, on made-up answers of which everything is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fdi.analysis.choice import Reached, learning_threshold
from fdi.analysis.recipe import (
    AS_IT_IS,
    Candidate,
    Change,
    Finding,
    Question,
    Rule,
    Scope,
    Stage,
    can_be_lowered,
    proven,
    said,
)

CLASSES = 10
GUESSING = math.log(CLASSES)
WORDS = {
    "eps": ["eps=1e-24", "eps=1e-60"],
    "initial state": ["init=a", "init=b", "init=c"],
    "bounds": ["bounds=none"],
}
STAGES = {kind: [Change(kind, (word,)) for word in words] for kind, words in WORDS.items()}
PLAN = Scope("lr", 5e-3, 10, 5, STAGES)
STUCK = Reached(0.1, GUESSING, CLASSES, 1e6)
DIVERGED = Reached(0.0, math.inf, 2)


def reached(accuracy: float, margin: float = 1e6) -> Reached:
    return Reached(accuracy, GUESSING * (1.05 - accuracy), CLASSES, margin)


def step(candidate: Candidate) -> float:
    return next((c.value for c in candidate if c.kind == "step"), PLAN.step)


def play(reach, plan: Scope = PLAN) -> tuple[Finding, list[Stage]]:
    """What the rule finds, and its stages, where it is known what each question reaches."""
    asking, stages = Rule(plan).decide(), []
    stage = next(asking)
    while True:
        stages.append(stage)
        try:
            stage = asking.send({question: reach(*question) for question in stage.asked})
        except StopIteration as end:
            return end.value, stages


def around(best: float, begins: float = 0.0, width: float = 1.5):
    """Accuracies that fall off around the best step; training begins after so many epochs."""

    def reach(candidate: Candidate, epochs: int) -> Reached:
        share = math.exp(-((math.log(step(candidate) / best) / width) ** 2))
        part = max(0.0, (epochs - begins) / (10 - begins)) ** 0.5
        accuracy = 0.1 + 0.85 * share * part
        return reached(accuracy) if accuracy > 0.11 else STUCK

    return reach


def cost(stages: list[Stage]) -> float:
    return sum(stage.epochs for stage in stages) / PLAN.epochs


def test_what_learns_well_costs_one_short_training():
    found, stages = play(lambda *_: reached(0.93))
    assert (found.state, found.candidate) == ("learns", AS_IT_IS)
    assert cost(stages) == 0.2
    assert "learns as it is: 93.0 % after 2 of 10 epochs" in found.why


@pytest.mark.parametrize("best", [2e-4, 1e-3, 3e-3, 5e-3, 1e-2, 2.5e-2, 6e-2, 0.125, 0.4])
def test_the_step_costs_one_training_and_comes_within_a_factor_of_the_best(best):
    found, stages = play(around(best))
    assert cost(stages) <= 1.0
    assert found.state in ("found", "learns")
    assert max(step(found.candidate) / best, best / step(found.candidate)) < 2.5
    if found.state == "found":
        assert ("small" in found.why) == (best > 5e-3) or "sooner" in found.why


def test_sooner_is_said_where_it_is():
    def reach(candidate: Candidate, epochs: int) -> Reached:
        return reached(0.8)._replace(loss=1 - step(candidate))

    assert "with a lower loss with another step" in play(reach)[0].why


def test_more_trainings_look_closer():
    few, many = (play(around(2e-2), PLAN._replace(trials=n))[0] for n in (3, 10))
    assert abs(math.log(step(many.candidate) / 2e-2)) < abs(math.log(step(few.candidate) / 2e-2))


def test_a_slow_starter_is_not_dropped_while_all_are_at_chance():
    """Nothing moves in the short training; one step does later."""
    found, stages = play(around(2.5e-2, begins=4))
    assert (found.state, step(found.candidate)) == ("found", pytest.approx(2.5e-2))
    longer = [stage for stage in stages if stage.title == "step, longer"]
    assert len(longer[0].asked) == 5, "all that have not moved go on"
    assert cost(longer) == pytest.approx(2.0), "from 2 epochs to 6"


def test_the_network_as_it_is_may_be_the_slow_one():
    def reach(candidate: Candidate, epochs: int) -> Reached:
        return reached(0.6) if candidate == AS_IT_IS and epochs > 2 else STUCK

    found, _ = play(reach)
    assert (found.state, found.candidate) == ("learns", AS_IT_IS)
    assert "late" in found.why


def test_with_all_at_chance_larger_steps_are_tried_until_the_loss_grows():
    def reach(candidate: Candidate, epochs: int) -> Reached:
        return STUCK if step(candidate) < 0.1 else STUCK._replace(loss=9.0)

    _, stages = play(reach)
    steps = [step(c) for stage in stages if stage.title == "step" for c, _ in stage.asked]
    assert steps == [0.025, 0.001, 0.62, 0.12]


def test_what_diverges_is_no_candidate_and_does_not_go_on():
    def reach(candidate: Candidate, epochs: int) -> Reached:
        if step(candidate) >= 5e-3:
            return DIVERGED
        return reached(0.5)

    found, stages = play(reach)
    assert found.state == "found"
    assert "its step is too large" in found.why
    assert "since it diverges" in found.why

    found, stages = play(lambda *_: DIVERGED)
    assert found.state == "not found"
    assert not any("longer" in stage.title for stage in stages)


def test_of_equal_ones_the_nearest_to_what_is_configured():
    found, _ = play(lambda candidate, _: reached(0.5))
    assert (found.state, found.candidate) == ("learns", AS_IT_IS)
    better = ("init=b", "init=c")
    found, _ = play(lambda c, _: reached(0.5) if said(c) in better else STUCK)
    assert said(found.candidate) == "init=b"
    assert "initial state" in found.why


@pytest.mark.parametrize(("margin", "asked"), [(1e6, False), (10.0, True), (math.nan, False)])
def test_eps_is_tried_only_where_the_floor_is_near(margin, asked):
    def reach(candidate: Candidate, epochs: int) -> Reached:
        return reached(0.6) if "init=a" in said(candidate) else STUCK._replace(margin=margin)

    found, stages = play(reach)
    assert any(stage.title == "eps" for stage in stages) is asked
    assert said(found.candidate) == "init=a"
    assert any("whether eps matters" in line for line in found.open) is math.isnan(margin)


@pytest.mark.parametrize(
    ("change", "cause"), [("eps=1e-60", "does not follow"), ("bounds=none", "its bounds")]
)
def test_the_first_kind_that_suffices_ends_the_search(change, cause):
    def reach(candidate: Candidate, epochs: int) -> Reached:
        return reached(0.4) if said(candidate) == change else STUCK._replace(margin=1.0)

    found, stages = play(reach)
    assert (found.state, said(found.candidate)) == ("found", change)
    assert cause in found.why
    assert not any(len(candidate) > 1 for stage in stages for candidate, _ in stage.asked)
    assert any("which step is best then" in line for line in found.open)


def test_two_changes_where_no_single_one_suffices():
    def reach(candidate: Candidate, epochs: int) -> Reached:
        both = step(candidate) > 0.01 and "init=b" in said(candidate)
        some = 0.2 if "init=b" in said(candidate) or step(candidate) > 0.01 else 0.1
        return reached(0.7) if both else reached(some) if some > 0.1 else STUCK

    found, _ = play(reach)
    assert found.state == "found"
    assert {c.kind for c in found.candidate} == {"step", "initial state"}
    assert "two together" in found.why


def test_a_state_that_needs_a_much_larger_step_gets_it():
    """With neither alone anything moves: the largest step of which the loss has not grown."""

    def reach(candidate: Candidate, epochs: int) -> Reached:
        both = 0.3 < step(candidate) < 3 and "init=b" in said(candidate)
        return reached(0.7) if both else STUCK

    found, _ = play(reach)
    assert (found.state, len(found.candidate)) == ("found", 2)


def test_nothing_is_made_up_where_all_stay_at_chance():
    found, stages = play(lambda *_: STUCK)
    assert (found.state, found.candidate) == ("not found", AS_IT_IS)
    assert "none of" in found.why
    assert {title for title, *_ in stages} >= {"initial state, longer", "two changes, longer"}

    found, _ = play(lambda c, _: reached(0.22) if said(c) == "init=c" else STUCK)
    assert (found.state, said(found.candidate)) == ("past guessing", "init=c")


@pytest.mark.parametrize(("classes", "enough"), [(5, "60.0 %"), (10, "30.0 %"), (2, "75.0 %")])
def test_what_is_past_guessing_is_measured_by_the_bar_of_learning(classes, enough):
    """53 % of five classes is far beyond guessing, and still not learning."""

    def reach(candidate: Candidate, epochs: int) -> Reached:
        accuracy = (
            0.88 * float(learning_threshold(classes))
            if said(candidate) == "init=b"
            else 1 / classes
        )
        return Reached(accuracy, math.log(classes), classes, 1e6)

    found, _ = play(reach)
    assert found.state == "past guessing"
    assert f"nothing gets it to {enough}, from where it counts as learning" in found.why


@pytest.mark.parametrize("state", ["found", "past guessing"])
def test_a_change_is_what_its_proof_says(state):
    change = (Change("step", ("lr=0.1",), 0.1),)
    finding = Finding(state, change, "its step is too small", ["not tried: eps"])
    assert proven(finding, 0.25, 0.26) == finding
    for after in (0.25, 0.2, 0.0):
        refuted = proven(finding, 0.25, after)
        assert refuted == finding._replace(state="refuted", why=refuted.why)
        told = f"refuted: with lr=0.1 whole trainings reach {100 * after:.1f} % on the test set"
        assert refuted.why.startswith(f"{told}, without it 25.0 %; ")
        assert refuted.why.endswith("its step is too small")
    assert proven(finding, None, 0.5).state == "unknown"
    assert proven(finding, 0.5, None).state == "unknown"


def test_a_floor_is_lower_where_the_precision_has_its_square():
    single, double = (float(np.finfo(dtype).tiny) for dtype in (np.float32, np.float64))
    assert [can_be_lowered(1e-8, eps, single) for eps in (1e-8, 1e-16, 1e-24)] == [0, 1, 0]
    assert [can_be_lowered(1e-8, eps, double) for eps in (1e-24, 1e-60, 1e-200)] == [1, 1, 0]
    assert can_be_lowered(1e-16, 1e-24), "SMORMS3, whose eps is beside the mean square itself"


def test_kinds_without_a_change_are_not_said_to_be_missing():
    found, _ = play(lambda *_: reached(0.93), PLAN._replace(stages=STAGES | {"eps": []}))
    assert found.open == ["not tried: step, initial state, bounds"]


def test_a_stage_says_what_is_new_in_it():
    """Trainings go on; they do not begin again."""
    _, stages = play(lambda *_: STUCK)
    seen: dict[Candidate, int] = {}
    for stage in stages:
        questions: list[Question] = stage.asked
        assert stage.epochs == sum(epochs - seen.get(each, 0) for each, epochs in questions)
        seen |= dict(questions)


def test_no_pair_changes_a_key_twice():
    others = {"another initial state": [Change("another initial state", ("init=d",))]}
    rule = PLAN._replace(stages=STAGES | others)
    _, stages = play(lambda candidate, epochs: STUCK._replace(margin=1.0), rule)
    pairs = [c for s in stages for c, _ in s.asked if len(c) == 2]
    keys = [[word.partition("=")[0] for change in pair for word in change.words] for pair in pairs]
    assert pairs
    assert all(len({*of}) == len(of) for of in keys)
