"""What a comparison comes to, against the numbers of its table and of the statistics."""

from __future__ import annotations

import shlex

import numpy as np
import pandas as pd
import pytest

from fdi.analysis.collect import runs
from fdi.analysis.conclusion import conclude, next_step, of_states, of_sweep, of_zoo, shortly
from fdi.analysis.statistics import LEVEL, Comparison, correct, paired
from fdi.analysis.summary import summarize
from fdi.analysis.zoo import leads
from fdi.config.metric import Metric

SWEEP = "fdi-run -m init=kaiming,fluct,lsuv dataset=digits seed=0,1,2"


def spreading(n: int, mean: float, sd: float) -> np.ndarray:
    """n numbers with exactly this mean and standard deviation."""
    values = np.arange(n) - (n - 1) / 2
    return mean + sd * values / values.std(ddof=1)


@pytest.mark.parametrize("noise", [0.0, 1.5])
@pytest.mark.parametrize("level", [LEVEL, LEVEL / 3])
def test_so_many_seeds_decide_and_one_fewer_do_not(noise, level):
    mean, sd = 4.0, 5.0
    found = paired(spreading(4, mean, sd), np.zeros(4), noise)
    enough = found.enough(level)
    assert enough is not None
    for n, decided in ((enough, True), (enough - 1, False)):
        assert (paired(spreading(n, mean, sd), np.zeros(n), noise).p < level) is decided
    assert found.smallest(enough, level) < mean <= found.smallest(enough - 1, level)


def test_the_smallest_visible_difference_is_half_of_the_interval_that_the_table_has():
    found = paired(spreading(6, 3.0, 8.0), np.zeros(6), noise=1.0)
    assert found.smallest(6) == pytest.approx((found.high - found.low) / 2)
    assert found.times(-2).smallest(6) == pytest.approx(found.high - found.low)
    assert (found.times(-1).low, found.times(-1).high) == (-found.high, -found.low)
    assert paired(spreading(6, 0.1, 8.0), np.zeros(6), noise=3.0).enough() is None


def test_where_none_can_be_better_more_seeds_are_not_proposed(tmp_path, write_run):
    for seed in range(3):
        write_run("fluct", seed, 1.0)
        write_run("kaiming", seed, 1.0)
    (found,) = of_sweep(runs(tmp_path))
    assert found.text.endswith(
        "; none can be better; fewer epochs, or a harder task, may tell them apart"
    )
    assert found.more is None


def test_a_decided_sweep_says_by_how_much_and_the_next_command_chooses_the_step(
    tmp_path, write_run
):
    for seed, a in enumerate(spreading(5, 0.8, 0.02)):
        write_run("fluct", seed, a)
        write_run("kaiming", seed, a - 0.1 - 0.01 * (seed % 2))
    table = runs(tmp_path)
    (found,) = of_sweep(table)
    row = summarize(table).set_index("init").loc["fluct"]
    numbers = [f"{100 * row[key]:.1f}" for key in ("versus", "versus_low", "versus_high")]
    assert row["verdict"] == "better"
    assert found.text == "fluct is better than kaiming by {} points ({} to {})".format(*numbers)
    assert (found.leader, found.more, found.decided) == ("fluct", None, True)
    assert next_step([found], "fdi-run -m init=kaiming,fluct optimizer.lr=1 seed=0,1") == (
        "each at the step that suits it: fdi-run -m experiment=best budget=laptop "
        "init=kaiming,fluct"
    )


def test_an_undecided_sweep_says_what_cannot_be_seen_and_how_many_seeds_would_decide(
    tmp_path, write_run
):
    for seed, (a, b, c) in enumerate([(0.80, 0.74, 0.70), (0.82, 0.84, 0.79), (0.84, 0.80, 0.78)]):
        for init, accuracy in (("fluct", a), ("lsuv", b), ("kaiming", c)):
            write_run(init, seed, accuracy)
    table = runs(tmp_path)
    (found,) = of_sweep(table)
    assert found.text.startswith(
        "undecided between fluct (82.0 %), kaiming (75.7 %) and lsuv (79.3"
    )
    fluct = np.array([80.0, 82, 84])
    pairs = {"kaiming": paired(fluct, [70, 79, 78]), "lsuv": paired(fluct, [74, 84, 80])}
    worst = max(pair.smallest(3, LEVEL / 2) for pair in pairs.values())
    assert f"with 3 seeds differences below {worst:.1f} points cannot be seen" in found.text
    more = max(pair.enough(LEVEL / 2) or 999 for pair in pairs.values())
    if more <= 20:
        assert (found.more, f"; {more} seeds would decide it" in found.text) == (more, True)
    else:
        assert (found.more, "; 6 seeds would see" in found.text) == (6, True)
    command = next_step([found], SWEEP).removeprefix("to see more: ")
    assert shlex.split(command) == [*shlex.split(SWEEP)[:-1], f"seed=range({found.more})"]


def test_the_leader_is_told_apart_from_some():
    sure = Comparison(5, 12.0, 2.0, 9.5, 14.5, 0.001)
    unsure = Comparison(5, 2.0, 2.0, -0.5, 4.5, 0.2)
    reached = {"kaiming": 0.6, "fluct": 0.72, "lsuv": 0.7}
    found = conclude(reached, {"kaiming": sure, "lsuv": unsure})
    assert found.text.startswith(
        "fluct is better than kaiming by 12.0 points (9.5 to 14.5); undecided between fluct "
        "(72.0 %) and lsuv (70.0 %); with 5 seeds differences below 2.5 points cannot be seen; "
    )
    assert (found.decided, found.more) == (False, unsure.enough())
    error = Metric("error", "mm", lower=True)
    less = conclude({"a": 3.0, "b": 2.0}, {"a": sure.times(-0.1)}, metric=error)
    assert less.text == "b is better than a by 1.2 mm (0.95 to 1.45)"


def test_one_seed_decides_nothing_and_few_test_samples_are_said(tmp_path, write_run):
    for init, accuracy in (("fluct", 0.6), ("kaiming", 0.5)):
        write_run(init, 0, accuracy)
    (one,) = of_sweep(runs(tmp_path))
    assert one.text.endswith("kaiming (50.0 %); one seed decides nothing")
    assert "'seed=range(5)'" in next_step([one], SWEEP)
    noisy = Comparison(3, 1.0, 0.5, -9.0, 11.0, 0.8, noise=5.0)
    said = conclude({"a": 0.6, "b": 0.5}, {"b": noisy}, samples=50)
    assert "with 3 seeds and 50 test samples differences below" in said.text
    assert said.text.endswith("points: test on more samples")
    assert said.more is None
    same = conclude({"a": 0.5, "b": 0.5}, {"b": correct([paired([0.5] * 3, [0.5] * 3)], [0])[0]})
    assert "3 seeds are too few" in same.text


def test_what_is_larger_than_all_accuracies_is_no_number():
    two = Comparison(2, 5.0, 20.0, -90.0, 100.0, 0.7)
    assert "with 2 seeds no difference can be seen; 4 seeds would" in (
        conclude({"a": 0.6, "b": 0.5}, {"b": two}).text
    )


def test_random_networks_are_told_as_their_table_tells_them():
    chance = np.random.default_rng(0)
    rows = [
        {"zoo": 0, "network": network, "init": init, "setting": setting, "classes": 2}
        | {"state": "refused" if network == 9 and init == "lsuv" else "done"}
        | {"accuracy": 0.5 + ahead + 0.1 * chance.random(), "test_samples": 500.0}
        for network in range(10)
        for init, ahead in (("kaiming", 0.0), ("fluct", 0.3), ("lsuv", 0.29))
        for setting in ("common", "best")
    ]
    drawn = pd.DataFrame(rows).assign(words=[[]] * len(rows), learns=True)
    (found,) = of_zoo(drawn)
    lead = leads(drawn)["fluct", "kaiming", "best"]
    assert (
        f"fluct is better than kaiming by {lead.mean:.1f} points ({lead.low:.1f} to " in found.text
    )
    assert "undecided between fluct (" in found.text
    assert "with 9 networks differences below " in found.text
    assert found.more is not None
    assert found.more > 10, "of ten, nine can be drawn for all"
    assert next_step([found], "fdi-run -m experiment=zoo", "zoo.networks").endswith(
        f"fdi-run -m experiment=zoo zoo.networks={found.more}"
    )


def test_networks_have_a_line_each_and_of_many_they_are_counted(tmp_path, write_run):
    for depth in range(1, 7):
        for seed, a in enumerate(spreading(4, 0.7, 0.01)):
            for init, more in (
                ("fluct", 0.1 if depth > 2 else 0.0),
                ("kaiming", 0.01 * (seed % 2)),
            ):
                write_run(init, seed, a + more, config={"model.depth": depth})
    found = of_sweep(runs(tmp_path))
    assert [line.text.partition(":")[0] for line in found] == [f"depth = {n}" for n in range(1, 7)]
    assert [line.leader for line in found] == ["kaiming"] * 2 + ["fluct"] * 4
    assert shortly(found) == [
        "of 6 networks kaiming leads in 2 (0 of them decided), fluct leads in 4 (4 of them decided)"
    ]
    assert shortly(found[:2]) == [line.text for line in found[:2]]


def test_conditions_that_differ_in_another_key_are_compared_with_the_best(tmp_path, write_run):
    for step, mean in ((0.1, 0.6), (0.2, 0.8), (0.3, 0.7)):
        for seed, a in enumerate(spreading(4, mean, 0.01)):
            write_run("fluct", seed, a + 0.001 * (seed == step * 10), config={"optimizer.lr": step})
    (found,) = of_sweep(runs(tmp_path))
    assert found.leader == "lr = 0.2"
    assert "lr = 0.2 is better than lr = 0.1 by 20.0 points" in found.text


def test_what_is_off_in_initial_states_is_named():
    rows = [
        {"dataset": "d", "model": "m", "init": init, "n": 1, "layer": layer, "verdict": word}
        for init, words in (("fluct", ("within 1.1", "no target")), ("he", ("silent", "too weak")))
        for layer, word in zip(("h1", "h2"), words)
    ]
    said = "fluct: no layer is off; he: h1 silent, h2 too weak; only training tells what learns"
    assert of_states(rows) == said
