"""`hydra/sweeper=optuna`: trials are ordinary runs, and what is searched is validation accuracy."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest
from commands import TINY, fail, records

from fdi.track.record import Run

optuna: Any = pytest.importorskip("optuna", "4")
SIX = ("hydra.sweeper.n_trials=6", "hydra.sweeper.n_jobs=1")
SEARCH = ("-m", *TINY, "hydra/sweeper=optuna", *SIX)
SIGMA = "init.sigma_u=interval(0.2,2)"


@pytest.fixture(autouse=True)
def trials_fail_above(monkeypatch) -> None:
    fail(monkeypatch, "train", NAN, lambda config: config.init.get("sigma_u", 0) > 1.4)


NAN = RuntimeError("the loss is nan")


def tried(run: Run) -> float:
    return run.config["init"]["sigma_u"]


def trials(folder: Path = Path()) -> tuple[list[Run], list[Run]]:
    """Those that were trained, and those that failed."""
    runs = [*records(folder).values()]
    return [run for run in runs if run.result], [run for run in runs if not run.result]


def best(runs: list[Run]) -> float:
    """The validation accuracy that no trial exceeds."""
    return max(validated(run) for run in runs)


def validated(run: Run) -> float:
    assert run.result
    return run.result["valid_accuracy_best"]


@pytest.mark.parametrize(
    "sampler", ["tpe", *(pytest.param(s, marks=pytest.mark.slow) for s in ("random", "cmaes"))]
)
def test_a_search_finds_the_best_on_validation_and_is_not_repeated(fdi_run, tmp_path, sampler):
    words = (*SEARCH, SIGMA, f"hydra/sweeper/sampler={sampler}", "hydra.sweeper.sampler.seed=0")
    found = fdi_run(*words)
    assert found.code == 0, found.err
    good, bad = trials()
    assert len(good) + len(bad) == 6 > len(good) > 2
    (chosen,) = re.findall(r"best on validation: init.sigma_u=(\S+)", found.out)
    assert [validated(run) for run in good if tried(run) == float(chosen)] == [best(good)]
    assert len([line for line in found.out.splitlines() if line.startswith("trial ")]) == len(good)
    failed = found.err.splitlines()
    assert len(failed) == 6 - len(good), "one line each, and nothing else"
    assert all(line.endswith("failed: RuntimeError: the loss is nan") for line in failed)
    assert fdi_run(*words).code == 0
    again, failed_again = trials()
    assert good == again
    assert [*map(tried, bad)] == [*map(tried, failed_again)], "no other is tried"


def test_a_refused_trial_is_one_line_and_the_search_goes_on(fdi_run):
    found = fdi_run(*SEARCH, "init.sigma_u=choice(-1,1)", "hydra.sweeper.sampler.seed=0")
    assert found.code == 0, found.err
    good, bad = trials()
    assert ({*map(tried, good)}, bad) == ({1}, [])
    refused = "init.sigma_u=-1 failed: init.sigma_u = -1 must be a number above 0"
    lines = found.err.splitlines()
    assert 0 < len(lines) < 6
    assert all(re.fullmatch(rf"fdi-run: trial ./6 {refused}", line) for line in lines)
    assert "best on validation: init.sigma_u=1\n" in found.out


def test_a_search_without_a_good_trial_fails(fdi_run):
    found = fdi_run(*SEARCH, "init.sigma_u=choice(-1,-2)")
    assert found.code == 2
    *trials, last = found.err.splitlines()
    assert [line[:18] for line in trials] == [f"fdi-run: trial {i}/6" for i in range(1, 7)]
    assert last == "fdi-run: no trial succeeded"


def test_a_typo_is_one_line_not_one_a_trial(fdi_run):
    found = fdi_run(*SEARCH, "init.sigma_uu=interval(0.2,2)")
    assert (found.code, trials()) == (2, ([], []))
    (line,) = found.err.splitlines()
    assert "did you mean sigma_u?" in line


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["seed=1"], "nothing to search; give a key several values"),
        ([SIGMA, "probe=only"], "a search trains to know what to try next"),
        ([SIGMA, "dry_run=true"], "a search trains to know what to try next"),
        ([SIGMA, "dataset.valid=0"], "a search needs a validation split"),
        ([SIGMA, "trainer.epochs=0"], "trainer.epochs = 0 must be an integer at least 1"),
        ([SIGMA, "hydra.sweeper.n_trials=0"], "hydra.sweeper.n_trials = 0 must be at least 1"),
        ([SIGMA, "hydra.sweeper.n_trails=3"], "n_trails: no such key; did you mean n_"),
        ([SIGMA, "hydra.sweeper.storage=nonsense"], "hydra.sweeper.storage = nonsense: Could not"),
    ],
)
def test_what_cannot_be_searched_is_one_line_and_runs_nothing(fdi_run, tmp_path, words, line):
    found = fdi_run(*SEARCH, *words)
    assert found.code == 2
    assert line in found.err
    assert len(found.err.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_a_study_in_a_file_goes_on_and_is_what_optuna_reads(fdi_run, tmp_path):
    kept = ("hydra.sweeper.storage=sqlite:///study.db", "hydra.sweeper.study_name=mine")
    for _ in range(2):
        assert fdi_run(*SEARCH, SIGMA, *kept).code == 0
    study = optuna.load_study(study_name="mine", storage="sqlite:///study.db")
    assert len(study.trials) == 12
    good, bad = trials()
    assert study.best_value == best(good)
    done = optuna.trial.TrialState.COMPLETE
    assert sum(trial.state == done for trial in study.trials) == len(good)
    assert len(bad) == 12 - len(good)


def test_a_study_that_minimizes_is_refused(fdi_run, tmp_path):
    optuna.create_study(storage="sqlite:///study.db", study_name="mine")
    kept = ("hydra.sweeper.storage=sqlite:///study.db", "hydra.sweeper.study_name=mine")
    found = fdi_run(*SEARCH, SIGMA, *kept)
    assert "study that minimizes; give another study_name" in found.err
    assert not records(tmp_path)


def test_whole_numbers_options_and_texts_are_drawn(fdi_run):
    words = ("model.hidden=int(interval(4,6))", "init=kaiming,fluct")
    found = fdi_run(*SEARCH, *words, "optimizer.lr=tag(log,interval(1e-4,1e-2))")
    assert found.code == 0, found.err
    configs = [run.config for run in records(Path()).values()]
    assert len(configs) == 6
    assert {config["model"]["hidden"] for config in configs} <= {4, 5, 6}
    assert {config["name"]["init"] for config in configs} <= {"kaiming", "fluct"}
    assert all(1e-4 <= config["optimizer"]["lr"] <= 1e-2 for config in configs)


def test_trials_that_are_drawn_together_run_beside_each_other(fdi_run, monkeypatch):
    from fdi.cli import search

    given = []
    launch = search.launch
    monkeypatch.setattr(search, "launch", lambda *w: given.append(len(w[1])) or launch(*w))
    words = [*SEARCH[:-1], "hydra.sweeper.n_jobs=4", SIGMA]
    assert fdi_run(*words).code == 0
    assert given == [4, 2]


def test_without_optuna_it_is_one_line(fdi_run, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    line = "fdi-run: hydra/sweeper=optuna needs Optuna 4 or later: pip install 'fdi-snn[optuna]'"
    assert fdi_run(*SEARCH, SIGMA).err == f"{line}\n"


def test_another_sweeper_is_one_line(fdi_run):
    words = (*SEARCH, SIGMA, "hydra.sweeper._target_=hydra_plugins.x.Y")
    assert (
        fdi_run(*words).err
        == "fdi-run: hydra/sweeper: hydra_plugins.x.Y is none of fdi's; give optuna\n"
    )
