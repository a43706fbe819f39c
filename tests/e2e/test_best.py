"""experiment=best: a step size for each initial state, chosen on validation, then a comparison."""

from __future__ import annotations

import shutil
from collections import defaultdict
from pathlib import Path
from statistics import mean

import pandas as pd
import pytest
from commands import INPUT, TINY, records

from fdi.analysis.best import Trial, each_at_its_best, good_range, ranking
from fdi.analysis.results import own
from fdi.track.record import Run

FEW = (
    "tune.seeds=[1000]",
    "tune.short=2",
    "tune.keep=1",
    "tune.extend=1",
    "tune.values=[1e-3,1e-2]",
)
WORDS = (
    *("-m", "experiment=best", "init=kaiming,fluct", "seed=0,1"),
    *(word for word in TINY if word not in INPUT[:2]),
    *("dataset.samples=40", "dataset.steps=20", "trainer.epochs=4", "trainer.batch_size=10"),
    *FEW,
)
Candidate = tuple[float, float]


def candidate(run: Run) -> Candidate:
    return run.config["optimizer"]["lr"], run.config["optimizer"].get("eps", 0.0)


def trials(runs: list[Run], init: str, epochs: int) -> dict[Candidate, float]:
    """Candidate -> mean validation accuracy of the runs that saw no test set."""
    found = defaultdict(list)
    for run in runs:
        if run.config["name"]["init"] == init and run.config["trainer"]["epochs"] == epochs:
            assert run.result
            assert run.result["test_accuracy_last"] is run.result["test_samples"] is None
            found[candidate(run)].append(run.result["valid_accuracy_last"])
    assert {len(values) for values in found.values()} == {1}
    return {key: mean(values) for key, values in found.items()}


def chosen(out: str) -> dict[str, Candidate]:
    """Init -> step and floor, as the command says."""
    rows = [
        dict(word.split("=") for word in line.split()[1:])
        for line in out.splitlines()
        if line.startswith("chosen: ")
    ]
    return {
        row["init"]: (float(row["optimizer.lr"]), float(row.get("optimizer.eps", 0)))
        for row in rows
    }


def seeds(runs: list[Run]) -> set[int]:
    return {run.config["seed"] for run in runs}


def test_each_gets_the_step_that_validation_prefers_and_is_compared_with_other_seeds(
    fdi_run, tmp_path
):
    said = fdi_run(*WORDS, "dry_run=true")
    assert (said.code, list(tmp_path.iterdir())) == (0, [])
    assert "optimizer.lr for 2 sides: 8 trainings of 2 epochs, 2 of 4" in said.out
    found = fdi_run(*WORDS)
    assert found.code == 0, found.err
    assert said.out.partition(";")[0] in found.out
    assert "at its best" in found.out
    runs = [*records(tmp_path).values()]
    tried = [run for run in runs if not run.config["trainer"]["test"]]
    tested = [run for run in runs if run.config["trainer"]["test"]]
    assert (seeds(tried), seeds(tested)) == ({1000}, {0, 1})
    best = chosen(found.out)
    for init in ("kaiming", "fluct"):
        short, whole = trials(tried, init, 2), trials(tried, init, 4)
        assert len(whole) < len(short), "only the best are trained to the end"
        kept = [short[key] for key in whole if key in short]  # others are beyond an end
        assert max(kept) == max(short.values())
        assert whole[best[init]] == max(whole.values())
        mine = {candidate(run) for run in tested if run.config["name"]["init"] == init}
        assert mine == {(0.005, 1e-16), best[init]}
    table = each_at_its_best(own(tmp_path / "results"))
    steps = table[table["setting"] == "best"].set_index("init")["optimizer.lr"]
    assert steps.to_dict() == {init: step for init, (step, _) in best.items()}

    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("run.json")}
    gone = min(before).parent
    shutil.rmtree(gone)
    again = fdi_run(*WORDS)
    assert chosen(again.out) == best
    after = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("run.json")}
    assert {path for path in before if after[path] != before[path]} == {gone / "run.json"}


@pytest.mark.slow
def test_an_optimizer_without_eps_is_tried_once_for_each_step(fdi_run, tmp_path):
    found = fdi_run(*WORDS, "optimizer=sgd", "tune.extend=0")
    assert found.code == 0, found.err
    short = [run for run in records(tmp_path).values() if run.config["trainer"]["epochs"] == 2]
    assert len(short) == 2 * 2


@pytest.mark.slow
def test_networks_that_differ_in_another_key_are_not_mixed(fdi_run, tmp_path):
    """Each is compared with the baseline of its own size, and named by it."""
    for hidden in (4, 9):
        fdi_run(*WORDS, f"model.hidden={hidden}", "tune.extend=0", "tune.values=[5e-3]")
    table = each_at_its_best(own(tmp_path / "results")).set_index(["settings", "init"])
    best = table[table["setting"] == "best"]
    for size in ("hidden = 4", "hidden = 9"):
        mine, other = (best.loc[(size, init)] for init in ("fluct", "kaiming"))
        assert mine["difference"] == pytest.approx(mine["mean"] - other["mean"])


@pytest.mark.slow
def test_where_all_candidates_are_equal_the_table_finds_the_one_that_was_chosen(fdi_run, tmp_path):
    found = fdi_run(*WORDS, "tune.extend=0", "tune.values=[1e-12,1e-13]")  # which learn nothing
    table = each_at_its_best(own(tmp_path / "results"))
    assert sorted(table["setting"]) == ["best", "best", "common", "common"]
    steps = table[table["setting"] == "best"].set_index("init")["optimizer.lr"]
    assert steps.to_dict() == {init: step for init, (step, _) in chosen(found.out).items()}
    assert "nan" not in found.out


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


def test_a_run_that_is_not_tested_is_in_no_table_of_test_accuracies(fdi_run):
    found = fdi_run(*TINY, "trainer.test=false")
    assert found.code == 0, found.err
    assert "validation" in found.out
    table: pd.DataFrame = own(Path("results")).runs
    assert table["state"].tolist() == ["untested"]
    assert table["test_accuracy_last"].isna().all()
