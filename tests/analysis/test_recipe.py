"""The rule that looks for a recipe, on made-up answers of which everything is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fdi.analysis.choice import REFUSED, Question, Reached
from fdi.analysis.recipe import (
    AS_IT_IS,
    FLOOR,
    STATE,
    STEP,
    WHOLE,
    Candidate,
    Change,
    Finding,
    Proof,
    Rule,
    Scope,
    Unsettled,
    can_be_lowered,
    joined,
    proof,
    said,
)
from fdi.config import Mistake

CLASSES = 10
GUESSING = math.log(CLASSES)
INITIAL = (Change(STATE, ("init=f",)),)
LOWER = {FLOOR: [Change(FLOOR, ("eps=1e-24",)), Change(FLOOR, ("eps=1e-60",))]}
OTHERS = [Change("bounds", ("bounds=none",)), Change("another initialization", ("init=g",))]
PLAN = Scope("lr", 5e-3, 10, 4.0, INITIAL, LOWER, OTHERS)
STUCK = Reached(0.1, GUESSING, CLASSES, 1e6)
BETTER = Proof(0.2, 0.8, 0.5, 0.7, 0.7, 0.1, 100, 2)
WORSE = Proof(0.5, 0.45, -0.1, 0.0, 0.35, 0.1, 100, 2)


def step(candidate: Candidate) -> float:
    return next((c.value for c in candidate if c.kind == STEP), PLAN.step)


def around(best: float, state: str = "init=f"):
    """Losses that fall towards the best step, from one initial state."""

    def reach(candidate: Candidate, epochs: int) -> Reached:
        share = 0.8 * math.exp(-((math.log(step(candidate) / best) / 3) ** 2))
        if state not in said(candidate):
            return STUCK
        return Reached(0.1 + 0.8 * share, GUESSING * (1 - share), CLASSES, 1e6)

    return reach


def play(reach, plan: Scope = PLAN, prove=lambda candidate: BETTER):
    """What the rule finds, all that it asked, by title, and what that cost."""
    asked: list[tuple[str, list[Question]]] = []
    rule = Rule(plan, prove)
    while rule.asked:
        asked.append((rule.title, rule.asked))
        rule.hear({question: reach(*question) for question in rule.asked})
    return rule.found, asked, rule.cost


def test_what_learns_well_costs_one_short_training():
    found, _, cost = play(lambda *_: Reached(0.93, 0.1, CLASSES))
    assert (found.state, found.candidate, cost) == ("learns", AS_IT_IS, 0.1)
    assert "learns as it is: 93.0 % after 1 of 10 epochs" in found.why
    assert found.open[0] == "not tried: step, eps, initialization, bounds, another initialization"


@pytest.mark.parametrize("best", [1e-4, 3e-4, 1e-3, 5e-3, 2e-2, 0.1, 0.4])
def test_step_and_state_are_found_for_two_trainings(best):
    found, asked, cost = play(around(best))
    assert found.state == "found"
    assert found.candidate[0] == INITIAL[0]
    assert max(step(found.candidate) / best, best / step(found.candidate)) < math.sqrt(3) * 1.05
    assert cost <= 2.4
    assert [title for title, _ in asked][-1] == WHOLE
    assert found.proof == BETTER
    assert ("too small" in found.why) == (step(found.candidate) > PLAN.step)


def test_steps_go_out_from_the_configured_one_to_both_sides():
    _, asked, cost = play(around(5e-3))
    (_, scan), *_ = (each for each in asked if each[0] == STEP)
    steps = [step(candidate) for candidate, _ in scan]
    assert steps[:3] == [5e-3, 1.5e-2, 1.7e-3]
    assert len(steps) == 9
    assert {epochs for _, epochs in scan} == {1}
    assert cost == pytest.approx(2.0)


def test_beyond_the_end_of_the_scan_there_are_more_steps():
    found, _, _ = play(around(8.0))
    assert step(found.candidate) > 81 * PLAN.step


def test_a_state_that_does_not_fit_is_left_out():
    def reach(candidate: Candidate, epochs: int) -> Reached:
        return REFUSED if "init=f" in said(candidate) else around(5e-2, "")(candidate, epochs)

    found, _, _ = play(reach)
    assert found.state == "found"
    assert [change.kind for change in found.candidate] == [STEP]


def test_of_equal_ones_the_nearest_to_what_is_configured():
    found, _, _ = play(lambda *_: Reached(0.5, 1.0, CLASSES, 1e6))
    assert (found.state, found.candidate) == ("learns", AS_IT_IS)


@pytest.mark.parametrize(("margin", "asked"), [(1e6, False), (10.0, True), (math.nan, False)])
def test_eps_is_tried_only_where_the_floor_is_near(margin, asked):
    def reach(candidate: Candidate, epochs: int) -> Reached:
        better = 0.5 * ("eps" in said(candidate))
        reached = around(5e-3)(candidate, epochs)
        return reached._replace(margin=margin, loss=reached.loss - better)

    found, every, _ = play(reach)
    assert any(title == FLOOR for title, _ in every) is asked
    assert ("does not follow" in found.why) is asked
    assert any("whether eps matters" in line for line in found.open) is math.isnan(margin)


def test_other_changes_follow_where_nothing_leaves_chance():
    """Where it needs both, they are tried together with the best steps."""

    def reach(candidate: Candidate, epochs: int) -> Reached:
        both = "bounds=none" in said(candidate) and "init=f" in said(candidate)
        reached = around(5e-3)(candidate, epochs)
        return reached if both else STUCK._replace(loss=GUESSING + 0.001 * reached.loss)

    found, _, cost = play(reach)
    assert (found.state, {c.kind for c in found.candidate}) == ("found", {STATE, "bounds"})
    assert "its bounds" in found.why
    assert cost <= PLAN.budget


def test_what_is_refuted_goes_on_once():
    proven: list[Candidate] = []

    def prove(candidate: Candidate) -> Proof:
        proven.append(candidate)
        return WORSE

    found, _, cost = play(around(2e-2), prove=prove)
    assert (found.state, len(proven), len({*proven})) == ("refuted", 2, 2)
    assert found.why.startswith("refuted: ")
    assert cost <= PLAN.budget

    found, _, _ = play(around(2e-2), prove=lambda c: BETTER if "bounds" in said(c) else WORSE)
    assert found.state == "found"
    assert "bounds=none" in said(found.candidate)


def test_nothing_is_made_up_where_all_stay_at_chance():
    def never(candidate: Candidate) -> Proof:
        raise AssertionError("nothing is there to prove")

    found, _, cost = play(lambda *_: STUCK, prove=never)
    assert found.state == "not found"
    assert "none of" in found.why
    assert cost <= PLAN.budget


def test_what_is_not_known_decides_nothing():
    def prove(candidate: Candidate) -> Proof:
        raise Unsettled("a training did not end")

    found, _, _ = play(around(2e-2), prove=prove)
    assert found == Finding("unknown", AS_IT_IS, "a training did not end", [])


@pytest.mark.parametrize("epochs", [1, 2, 5, 10, 15, 30, 100])
@pytest.mark.parametrize("budget", [2.5, 3.0, 4.0, 8.0])
def test_no_search_costs_more_than_its_budget(budget, epochs):
    plan = PLAN._replace(budget=budget, epochs=epochs)
    if budget < 1 + 2 * plan.short / epochs:
        with pytest.raises(Mistake, match="leaves no room for short trainings"):
            play(lambda *_: STUCK, plan)
        return
    for reach in (lambda *_: STUCK._replace(margin=1.0), around(0.4), around(1e9)):
        assert play(reach, plan)[2] <= budget + 1e-9


def test_a_proof_is_what_its_samples_say():
    labels = np.arange(100) % 4
    half, most = (np.arange(100) < n for n in (50, 90))
    better = proof(half, most, labels, 2)
    assert better.holds
    assert (better.before, better.after, better.guess) == (0.5, 0.9, 0.25)
    assert 0.3 < better.low < 0.4 < better.high < 0.5
    assert "50.0 % before, 90.0 % after (+40.0 points" in str(better)
    assert not proof(most, most, labels, 2).holds, "as good is not better"
    assert not proof(most, half, labels, 2).holds
    many = np.where(np.arange(100) < 60, 0, 1)
    assert not proof(~most, half, many, 2).holds, "always the same class is right more often"
    chance = np.random.default_rng(0).random((2, 100)) < 0.25
    assert not any(proof(chance[i], chance[1 - i], labels, 2).holds for i in (0, 1))


def test_a_floor_is_lower_where_the_precision_has_its_square():
    single, double = (float(np.finfo(dtype).tiny) for dtype in (np.float32, np.float64))
    assert [can_be_lowered(1e-8, eps, single) for eps in (1e-8, 1e-16, 1e-24)] == [0, 1, 0]
    assert [can_be_lowered(1e-8, eps, double) for eps in (1e-24, 1e-60, 1e-200)] == [1, 1, 0]
    assert can_be_lowered(1e-16, 1e-24), "SMORMS3, whose eps is beside the mean square itself"


def test_a_change_takes_the_place_of_those_of_the_same_keys():
    both = joined(INITIAL, OTHERS[0])
    assert said(both) == "init=f bounds=none"
    assert said(joined(both, OTHERS[1])) == "bounds=none init=g"
