"""`hydra/sweeper=optuna`: trials are ordinary runs, and what is searched is validation accuracy."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from commands import finish
from omegaconf import OmegaConf

PLUGIN = importlib.util.find_spec("hydra_plugins.hydra_optuna_sweeper")
optuna = pytest.mark.skipif(PLUGIN is None, reason="hydra-optuna-sweeper is not installed")
pytestmark = pytest.mark.filterwarnings("ignore:.*declarative_base")  # Optuna 2.10's import
SEARCH = ("-m", "hydra/sweeper=optuna", "hydra.sweeper.n_trials=6", "hydra.sweeper.n_jobs=1")
SIGMA = "init.sigma_u=interval(0.2,2)"


def run(config, directory: Path, *_) -> dict:
    """Best on validation at sigma_u = 1, and worst on test; one above 1.4 fails."""
    calls.append(config.init.sigma_u)
    if config.init.sigma_u > 1.4:
        raise RuntimeError("the loss is nan")
    distance = abs(config.init.sigma_u - 1)
    result = {
        "test_accuracy_last": distance,
        "test_accuracy_best": distance,
        "valid_accuracy_best": 1 - distance,
        "rates": {"h1": 10.0},
        "seconds": 12.3,
    }
    return finish(config, directory, result)


calls: list[float] = []


@pytest.fixture(autouse=True)
def trials(monkeypatch):
    monkeypatch.setitem(sys.modules, "fdi.runner.story", SimpleNamespace(run=run))
    calls.clear()


@optuna
@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_a_search_finds_the_best_on_validation_and_is_not_repeated(fdi_run, tmp_path, direction):
    words = (*SEARCH, SIGMA, "hydra.sweeper.sampler.seed=0", f"hydra.sweeper.direction={direction}")
    found = fdi_run(*words)
    assert found.code == 0, found.err
    good = [sigma for sigma in calls if sigma <= 1.4]
    assert len(calls) == len(set(calls)) == 6 > len(good) > 2
    best = min(good, key=lambda sigma: abs(sigma - 1))
    written = OmegaConf.load(tmp_path / "results/runs/optimization_results.yaml")
    assert written.best_params == {"init.sigma_u": best}
    assert f"best on validation: init.sigma_u={best}\n" in found.out
    assert len(list(tmp_path.glob("results/runs/randman/dense/fluct/seed=0-*"))) >= len(good)
    assert len([line for line in found.out.splitlines() if line.startswith("trial ")]) == len(good)
    failed = found.err.splitlines()
    assert len(failed) == 6 - len(good), "one line each, and nothing else"
    assert all(line.endswith("failed: RuntimeError: the loss is nan") for line in failed)
    before = list(calls)
    assert fdi_run(*words).code == 0
    assert calls[len(before) :] == [sigma for sigma in before if sigma > 1.4]  # failed before


@optuna
def test_a_refused_trial_is_one_line_and_the_search_goes_on(fdi_run):
    found = fdi_run(*SEARCH, "init.sigma_u=choice(-1,1)", "hydra.sweeper.sampler.seed=0")
    assert found.code == 0, found.err
    assert set(calls) == {1}
    refused = "init.sigma_u=-1 failed: init.sigma_u = -1 must be a number above 0"
    lines = found.err.splitlines()
    assert 0 < len(lines) < 6
    assert all(re.fullmatch(rf"fdi-run: trial ./6 {refused}", line) for line in lines)
    assert "best on validation: init.sigma_u=1\n" in found.out


@optuna
def test_a_grid_whose_last_trial_fails_is_one_line(fdi_run):
    words = ("init.sigma_u=choice(-1,-2)", "hydra/sweeper/sampler=grid")
    found = fdi_run(*SEARCH, *words)
    assert found.code == 2
    assert found.err.splitlines()[-1] == (
        "fdi-run: hydra/sweeper/sampler=grid cannot end with a trial that failed; leave "
        "hydra/sweeper out: a sweep runs all combinations"
    )


@optuna
def test_the_first_failure_ends_a_search_that_asks_for_it(fdi_run):
    found = fdi_run(*SEARCH, "init.sigma_u=choice(-1,-2)", "hydra.sweeper.max_failure_rate=0")
    assert found.code == 2
    assert found.err.splitlines()[-1].startswith("fdi-run: trial 1/6 init.sigma_u=-")
    assert "trial 2/6" not in found.err


@optuna
def test_a_search_without_a_good_trial_fails(fdi_run):
    found = fdi_run(*SEARCH, "init.sigma_u=choice(-1,-2)")
    assert found.code == 2
    *trials, last = found.err.splitlines()
    assert [line[:18] for line in trials] == [f"fdi-run: trial {i}/6" for i in range(1, 7)]
    assert last == "fdi-run: no trial succeeded"


@optuna
def test_a_typo_is_one_line_not_one_a_trial(fdi_run):
    found = fdi_run(*SEARCH, "init.sigma_uu=interval(0.2,2)")
    assert (found.code, calls) == (2, [])
    (line,) = found.err.splitlines()
    assert "did you mean sigma_u?" in line


@optuna
@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["seed=1"], "nothing to search; give a key several values"),
        ([SIGMA, "probe=only"], "a search trains to know what to try next"),
        ([SIGMA, "dry_run=true"], "a search trains to know what to try next"),
        ([SIGMA, "dataset.valid=0"], "a search needs a validation split"),
        ([SIGMA, "trainer.epochs=0"], "trainer.epochs = 0 must be at least 1"),
        ([SIGMA, "hydra.sweeper.n_trials=0"], "hydra.sweeper.n_trials = 0 must be at least 1"),
        ([SIGMA, "hydra.sweeper.custom_search_space=os.system"], "fdi does not use it"),
        ([SIGMA, "hydra.sweeper.sampler._target_=os.system"], "fdi calls nothing from there"),
    ],
)
def test_what_cannot_be_searched_is_one_line_and_runs_nothing(fdi_run, tmp_path, words, line):
    found = fdi_run(*SEARCH, *words)
    assert found.code == 2
    assert line in found.err
    assert len(found.err.splitlines()) == 1
    assert not calls
    assert not list(tmp_path.iterdir())


@optuna
def test_a_study_in_a_file_wants_an_older_sqlalchemy_and_says_so(fdi_run, monkeypatch, tmp_path):
    versions = {"optuna": "2.10.1", "sqlalchemy": "2.0.1"}
    monkeypatch.setattr("fdi.cli.search.version", versions.__getitem__)
    found = fdi_run(*SEARCH, SIGMA, "hydra.sweeper.storage=sqlite:///study.db")
    assert (found.code, calls, found.err) == (
        2,
        [],
        "fdi-run: hydra.sweeper.storage = sqlite:///study.db: this sweeper keeps a study with "
        "SQLAlchemy below 2, and 2.0.1 is installed; "
        "pip install 'fdi-snn[optuna]' 'sqlalchemy<2'\n",
    )
    assert not list(tmp_path.iterdir())


def test_a_sweeper_that_is_not_installed_is_one_line(fdi_run, monkeypatch):
    from hydra.core.config_store import ConfigStore

    from fdi.cli import compose

    compose._whole.cache_clear()  # other tests composed it
    group = ConfigStore.instance().repo["hydra"]["sweeper"]
    monkeypatch.delitem(group, "optuna.yaml", raising=False)
    found = fdi_run(*SEARCH, SIGMA)
    assert (found.code, found.err) == (
        2,
        "fdi-run: hydra/sweeper/optuna needs a package that is not installed; "
        "pip install 'fdi-snn[optuna]'\n",
    )
