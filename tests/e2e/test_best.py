"""experiment=best: a step size for each initial state, chosen on validation, then a comparison."""

from __future__ import annotations

import math
import sys
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from commands import finish

from fdi.analysis.best import Trial, each_at_its_best, good_range, ranking
from fdi.analysis.results import own
from fdi.cli import tune

BEST = {"kaiming": 0.5, "fluct": 5e-3}  # the step size that suits each; 0.5 is beyond the grid
WORDS = ("-m", "experiment=best", "budget=laptop", "init=kaiming,fluct", "seed=0,1")


def run(config, directory: Path, *_) -> dict:
    """Validation likes the step size of BEST and a lowered eps; the test set likes the opposite."""
    lr, init = config.optimizer.lr, config.name.init
    calls.append((init, lr, config.seed, config.trainer.epochs, config.trainer.test))
    if lr == 0.05:
        raise RuntimeError("the loss is nan")
    distance = abs(math.log10(lr / BEST[init])) + 0.1 * (config.optimizer.get("eps") == 1e-16)
    accuracy = round(0.9 - 0.2 * distance, 6)
    tested = {"test_accuracy_last": 1 - accuracy, "test_accuracy_best": 1 - accuracy}
    result = {
        **(tested if config.trainer.test else dict.fromkeys(tested)),
        "valid_accuracy_last": accuracy,
        "valid_accuracy_best": accuracy,
        "classes": 10,
        "test_samples": 1000 if config.trainer.test else None,
        "rates": {"h1": 10.0},
        "seconds": 1.0,
        "epochs": config.trainer.epochs,
    }
    return finish(config, directory, result)


calls: list[tuple[str, float, int, int, bool]] = []


@pytest.fixture(autouse=True)
def trials(monkeypatch, request):
    if "real" in request.node.name:
        return
    monkeypatch.setitem(sys.modules, "fdi.runner.story", SimpleNamespace(run=run))
    calls.clear()


def test_each_gets_the_step_that_validation_prefers_and_is_compared_with_other_seeds(
    fdi_run, tmp_path
):
    found = fdi_run(*WORDS)
    assert "optimizer.lr for 2 sides: 48 trainings of 3 epochs, 12 of 15" in found.out
    chosen = [line for line in found.out.splitlines() if line.startswith("chosen: ")]
    tail = "optimizer.eps=1e-60 optimizer.precision=float64"
    assert chosen == [
        f"chosen: init=kaiming optimizer.lr=0.45 {tail}",
        f"chosen: init=fluct optimizer.lr=0.005 {tail}",
    ]
    tested = [call for call in calls if call[4]]
    assert {call[2] for call in tested} == {0, 1}
    assert {call[2] for call in calls if not call[4]} == {1000, 1001}
    assert sorted(set(tested)) == [
        (init, lr, seed, 15, True)
        for init, steps in (("fluct", [0.005]), ("kaiming", [0.005, 0.45]))
        for lr in steps
        for seed in (0, 1)
    ]
    assert max(lr for _, lr, *_ in calls) == pytest.approx(1.4)  # beyond the best one
    table = each_at_its_best(own(tmp_path / "results"))
    found_best = table[table["setting"] == "best"].set_index("init")
    assert found_best["optimizer.lr"].to_dict() == {"fluct": 0.005, "kaiming": 0.45}
    assert found_best["good_high"]["kaiming"] == pytest.approx(1.4)  # 0.81, above 0.9 of 0.89
    assert "at its best" in found.out
    before = len(calls)
    again = fdi_run(*WORDS)
    assert "chosen: init=kaiming optimizer.lr=0.45" in again.out
    assert {lr for _, lr, *_ in calls[before:]} <= {0.05}  # only what failed is tried again


def test_a_dry_run_says_what_it_costs_and_runs_nothing(fdi_run, monkeypatch):
    monkeypatch.setattr("fdi.cli.cost.KINDS", 0)
    found = fdi_run(*WORDS, "dry_run=true")
    assert found.code == 0
    assert "48 trainings of 3 epochs" in found.out
    assert not calls


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("optimizer.lr=0.1",), "optimizer.lr is what is chosen"),
        (("seed=0,1000",), "seed=1000 is a seed of the choice"),
        (("dataset.valid=0",), "a choice needs a validation split"),
        (("tune.keep=0",), "tune.keep = 0 must be at least 1"),
        (("tune.key=init.sigma_u",), "tune chooses init.sigma_u; the comparison knows"),
    ],
)
def test_what_makes_no_fair_choice_is_refused_before_anything_runs(fdi_run, words, reason):
    given = {word.partition("=")[0] for word in words}
    kept = [word for word in WORDS if word.partition("=")[0] not in given]
    found = fdi_run(*kept, *words)
    assert found.code != 0
    assert reason in found.err
    assert not calls


@pytest.mark.slow
def test_an_optimizer_without_eps_is_tried_once_for_each_step(fdi_run, monkeypatch):
    composed: Counter[tuple[str, ...]] = Counter()
    compose_cell = tune.compose_cell

    def counted(compose, words):
        composed[words] += any(word.startswith("optimizer.eps=") for word in words)
        return compose_cell(compose, words)

    monkeypatch.setattr(tune, "compose_cell", counted)
    fdi_run(*WORDS, "optimizer=sgd", "tune.extend=0", "tune.values=[5e-3,5e-2]", "tune.keep=1")
    short = [call for call in calls if call[3] == 3]
    assert len(short) == len(set(short)) == 2 * 2 * 2
    assert composed.total() == 2  # once for each initialization one learns that sgd has no eps


def test_candidates_are_ranked_by_those_trained_longest_and_a_failure_is_0():
    trials = [
        Trial("a", (1.0,), 0, 3, 0.99),
        Trial("a", (1.0,), 1, 3, 0.99),
        Trial("b", (2.0,), 0, 3, 0.5),
        Trial("b", (2.0,), 1, 3, None),
        Trial("b", (2.0,), 0, 15, 0.6),
        Trial("c", (3.0,), 0, 15, 0.7),
    ]
    assert [name for name, *_ in ranking(trials)] == ["c", "b", "a", "b"]
    assert ranking(trials)[-1][2] == 0.25
    equal = [Trial("large", (2.0,), 0, 3, 0.1), Trial("small", (1.0,), 0, 3, 0.1)]
    assert [name for name, *_ in ranking(equal)] == ["small", "large"]


def test_the_range_of_good_steps_ends_where_accuracy_falls():
    steps = {1e-3: 0.95, 3e-3: 0.5, 1e-2: 0.91, 3e-2: 1.0, 1e-1: 0.9, 0.3: 0.2}
    assert good_range(steps) == (1e-2, 1e-1)
    assert good_range({1.0: 0.5}) == (1.0, 1.0)


def test_a_real_run_that_is_not_tested_is_in_no_table_of_test_accuracies(fdi_run, tmp_path):
    tiny = ("dataset.samples=20", "dataset.units=5", "model.hidden=4", "trainer.epochs=1")
    found = fdi_run(*tiny, "trainer.test=false", "probe=none")
    assert found.code == 0, found.err
    assert "validation" in found.out
    (path,) = (tmp_path / "results").glob("runs/*/*/*/seed=*/result.json")
    result = pd.read_json(path, typ="series")
    assert result["test_accuracy_last"] is None
    assert result["test_samples"] is None
    assert own(tmp_path / "results").runs["state"].tolist() == ["untested"]


@pytest.mark.slow
def test_networks_that_differ_in_another_key_are_not_mixed(fdi_run, tmp_path, monkeypatch):
    """Each is compared with the baseline of its own size, and named by it."""

    def sized(config, directory: Path, *_) -> dict:
        result = run(config, directory)
        if config.trainer.test:
            shift = 0.01 * config.model.hidden * (config.name.init == "kaiming")
            result |= {"test_accuracy_last": 0.5 - shift, "test_accuracy_best": 0.5}
        return finish(config, directory, result)

    monkeypatch.setitem(sys.modules, "fdi.runner.story", SimpleNamespace(run=sized))
    for hidden in (8, 16):
        fdi_run(
            *WORDS, f"model.hidden={hidden}", "tune.extend=0", "tune.values=[5e-3]", "tune.keep=1"
        )
    table = each_at_its_best(own(tmp_path / "results"))
    found = table[table["init"] == "fluct"].groupby("settings")["difference"].unique()
    assert {name: pytest.approx(value) for name, value in found.items()} == {
        "hidden = 8": [8.0],
        "hidden = 16": [16.0],
    }


@pytest.mark.slow
def test_where_all_candidates_are_equal_the_table_finds_the_one_that_was_chosen(
    fdi_run, tmp_path, monkeypatch
):
    def guess(config, directory: Path, *_) -> dict:
        result = run(config, directory)
        known = [key for key in result if "accuracy" in key and result[key] is not None]
        return finish(config, directory, result | dict.fromkeys(known, 0.1))

    monkeypatch.setitem(sys.modules, "fdi.runner.story", SimpleNamespace(run=guess))
    grid = ("tune.extend=0", "tune.values=[5e-3,5e-2]", "tune.keep=1")
    found = fdi_run(*WORDS, "trainer.epochs=10", *grid)
    table = each_at_its_best(own(tmp_path / "results"))
    assert sorted(table["setting"]) == ["best", "best", "common", "common"]
    assert "nan" not in found.out
    assert "trainer.epochs=10 " not in found.out
