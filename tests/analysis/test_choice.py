"""The rule that chooses a value, on grids of which everything is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fdi.analysis.choice import Candidate, Grid, Question, Reached, mean, play, usual_cost
from fdi.config.metric import Metric

VALUES = (5e-4, 1.5e-3, 5e-3, 1.5e-2, 5e-2, 1.5e-1)
PLAN = Grid(VALUES, 1, Candidate(5e-3), epochs=15, short=3, keep=3, extend=2)
FLOORS = PLAN._replace(beside=5, own=Candidate(5e-3, 1))
CLEAR = (50.0, 1e6, 1e10, 1e16, 1e20)  # margins where only the first floor matters
CLASSES = 10


def reached(accuracy: float, margin: float = math.nan) -> Reached:
    """With the loss that goes with it."""
    return Reached(accuracy, math.log(CLASSES) * (1 - (accuracy - 0.1)), CLASSES, margin)


def grid(best, width=1.0, top=0.95, begins=0.0, floor=0, margins=(math.nan,) * 5):
    """Accuracies that fall off around the `best` value; training `begins` after so many epochs, and
    needs this floor or a lower one.
    """

    def reach(question: Question) -> Reached:
        (value, row), epochs = question
        share = math.exp(-((math.log(value / best) / width) ** 2)) * (row >= floor)
        part = max(0.0, (epochs - begins) / (PLAN.epochs - begins)) ** 0.5
        return reached(0.1 + (top - 0.1) * share * part, margins[row])

    return reach


def longest(asked: list[Question]) -> dict[Candidate, int]:
    return dict(sorted(asked, key=lambda question: question[1]))


@pytest.mark.parametrize("best", [1e-4, 5e-4, 1.2e-3, 9e-3, 5e-2, 0.3, 1.0])
@pytest.mark.parametrize("begins", [0, 4, 8])
@pytest.mark.parametrize(("floor", "margins"), [(1, CLEAR), (3, (1e-9, 1e-5, 1e-2, 10.0, 1e9))])
def test_it_loses_at_most_a_point_against_the_best_of_the_grid(best, begins, floor, margins):
    """Also where nothing has moved after the short training, and the best value is at an end."""
    reach = grid(best, 1.8, begins=begins, floor=floor, margins=margins)
    decision, asked = play(FLOORS, reach)
    fine = [best * factor for factor in np.geomspace(0.5, 2, 9)]
    most = max(reach((Candidate(value, 4), 15)).accuracy for value in fine)
    assert decision.candidate
    assert reach((decision.candidate, 15)).accuracy > most - 0.045, "between two values of it"
    near = [value for (value, _), epochs in asked if epochs == 15]
    there = max(reach((Candidate(value, 4), 15)).accuracy for value in {*near, *VALUES})
    assert reach((decision.candidate, 15)).accuracy >= there - 0.01
    assert sum(longest(asked).values()) < 20 * 15, "a whole grid takes 55 at least"


def test_what_has_not_moved_yet_is_not_dropped():
    """Small steps learn late, and best; large ones soon, and badly."""

    def reach(question: Question) -> Reached:
        (value, _), epochs = question
        late = value < 4e-3
        return reached(0.9 if late and epochs > 8 else 0.1 + 0.2 * (not late))

    decision, asked = play(PLAN, reach)
    assert decision.state != "not found"
    assert decision.candidate
    assert decision.candidate.value < 4e-3
    assert (Candidate(5e-4), 9) in asked


def test_what_stays_at_chance_is_not_found_after_three_times_the_short_training():
    """Accuracies there are noise; the loss says which is best, and then the configured value."""
    noise = dict(zip(VALUES, (0.09, 0.13, 0.1, 0.12, 0.08, 0.1)))
    same = {value: Reached(noise[value], 2.30, CLASSES) for value in VALUES}
    decision, asked = play(PLAN, lambda question: same[question[0].value])
    assert (decision.state, decision.candidate) == ("not found", Candidate(5e-3))
    assert set(longest(asked).values()) == {9}
    assert {candidate.value for candidate, _ in asked} == set(VALUES), "no end is gone beyond"
    same[5e-2] = same[5e-2]._replace(loss=2.29)
    decision, _ = play(PLAN, lambda question: same[question[0].value])
    assert decision.candidate == Candidate(5e-2)
    assert decision.why == "all at chance: 13.0 % on validation at most", "8.0 % at that one"


def test_ties_do_not_decide():
    """Equal accuracies: the lower training loss; equal losses: the value nearest to the configured
    one, said to be tied.
    """
    plan = PLAN._replace(extend=0, keep=6)
    decision, _ = play(plan, lambda question: reached(0.8))
    assert (decision.state, decision.candidate) == ("tied", Candidate(5e-3))
    known = {value: Reached(0.8, 0.5 - 0.1 * (value == 5e-2), CLASSES) for value in VALUES}
    decision, _ = play(plan, lambda question: known[question[0].value])
    assert (decision.state, decision.candidate) == ("chosen", Candidate(5e-2))


def test_values_lie_within_a_factor_of_two_of_the_best_one_and_beyond_it():
    for best in (2e-4, 5e-3, 0.4):
        decision, asked = play(PLAN, grid(best, 2.0))
        values = sorted({value for (value, _), epochs in asked if epochs == 15})
        assert decision.candidate
        place = values.index(decision.candidate.value)
        around = values[place - 1 : place + 2]
        assert len(around) == 3
        assert around[2] / around[0] < 4


def test_a_floor_is_tried_only_where_gradients_stand_near_it():
    _, asked = play(FLOORS, grid(5e-3, margins=CLEAR))
    whole = {row for (_, row), epochs in asked if epochs == 15}
    assert whole == {0, 1}, "the first that does not matter stands for all below it"
    _, asked = play(FLOORS, grid(5e-3))
    values = [len({value for (value, of), _ in asked if of == row}) for row in range(5)]
    assert min(values) == PLAN.keep, "where nobody measured, each is tried at the best values"
    decision, _ = play(FLOORS, grid(5e-3, floor=4, margins=(1e-9,) * 5))
    assert decision.candidate == Candidate(5e-3, 4)


def test_where_one_floor_finds_nothing_the_next_one_is_tried():
    def reach(question: Question) -> Reached:
        row = question[0].beside
        return reached(0.9 if row == 2 and question[1] > 3 else 0.1, (1.0, 1.0, 1.0, 1.0, 1e9)[row])

    decision, _ = play(FLOORS, reach)
    assert decision.candidate
    assert decision.candidate.beside == 2


def test_a_choice_costs_less_than_four_times_that_of_before():
    """Before: 12 short trainings of two seeds and 3 whole ones, and 10 compared ones."""
    _, epochs = usual_cost(FLOORS)
    assert 3 * epochs / 15 + 15 < 4 * (2 * 12 * 3 / 15 + 2 * 3 + 10)


def test_means_keep_the_least_margin_and_what_failed():
    assert mean([reached(0.2, 5.0), reached(0.4, 2.0)])[0] == pytest.approx(0.3)
    assert mean([reached(0.2, 5.0), reached(0.4, 2.0)]).margin == 2.0
    assert not mean([Reached(0.0, math.inf, 2), Reached(0.12, 2.3, CLASSES)]).learns


@pytest.mark.parametrize(
    ("metric", "reached", "chosen"),
    [
        (Metric("R2"), {0.01: 0.2, 0.03: 0.7, 0.1: -3.0}, 0.03),
        (Metric("sMAPE", lower=True), {0.01: 0.3, 0.03: 0.2, 0.1: 1.4}, 0.03),
        (Metric("error", "", True), {0.01: 7.0, 0.03: 9.0, 0.1: 800.0}, 0.01),
    ],
)
def test_a_value_is_chosen_by_what_runs_are_judged_by(metric, reached, chosen):
    plan = Grid([*reached], 1, Candidate(0.1), 10, 2, 3, 0)

    def reach(question):
        value = min(reached, key=lambda step: abs(math.log(step / question[0].value)))
        if question[0].value > 0.3:
            return Reached(0.0, math.inf, 2)
        return Reached(reached[value], 1.0, math.nan, math.inf, metric)

    decision, _ = play(plan, reach)
    assert decision.candidate is not None
    assert (
        reached[min(reached, key=lambda s: abs(math.log(s / decision.candidate.value)))]
        == (reached[chosen])
    )
    assert metric.text(reached[chosen]) in decision.why


def test_a_network_that_answers_the_mean_of_the_targets_is_at_chance():
    assert Reached(0.01, 0.5, math.nan, metric=Metric("R2")).at_chance
    assert not Reached(0.3, 0.5, math.nan, metric=Metric("R2")).at_chance
    assert not Reached(1.2, 0.5, math.nan, metric=Metric("sMAPE", lower=True)).at_chance
    decision, _ = play(PLAN, lambda _: Reached(-0.048, 0.5, math.nan, metric=Metric("R2")))
    assert decision.why == "none beats the mean of targets: -4.8 % on validation at most"
