"""experiment=recipe: the single change that makes a network learn, and its proof."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import fail, records, trials_and_tests, write_classes

from fdi.cli.recipe import Search
from fdi.cli.run import parser

NETWORK = (
    *("dataset=arrays", "dataset.file=data.npz", "dataset.valid=0.3", "model.hidden=16"),
    *("trainer.epochs=10", "trainer.batch_size=4", "threads=1", "optimizer=adam"),
    "trainer.readout=mean",
)
WORDS = ("experiment=recipe", "optimizer.lr=1e-3", *NETWORK)
STAGES = "recipe.stages={initial state: {init: kaiming}}"


@pytest.fixture(
    params=[pytest.param(True, marks=pytest.mark.slow), False],
    ids=["as in the test set", "other than in the test set"],
)
def same(request, tmp_path) -> bool:
    write(tmp_path, request.param)
    return request.param


def write(folder: Path, same: bool = True) -> None:
    write_classes(folder, classes=4, samples=120, units=8, moved=1 - same)


def told(folder: Path) -> dict[str, Any]:
    (path,) = folder.glob("results/recipes/*/recipe.json")
    return json.loads(path.read_text())


def test_the_step_is_found_by_validation_and_proven_with_another_seed(fdi_run, tmp_path, same):
    found = fdi_run(*WORDS)
    content = told(tmp_path)
    assert (found.code, content["state"]) == ((0, "found") if same else (1, "refuted"))
    assert content["candidate"].startswith("optimizer.lr=")
    assert (found.out + found.err).count("its step is too small") == 1
    best = max(trial["accuracy"] for trial in content["trials"] if trial["epochs"] == 2)
    accuracy = content["proof"]["after"][0]["accuracy"]
    assert accuracy > 0.9 if same else accuracy < 0.1
    reached = {trial["change"]: trial["accuracy"] for trial in content["trials"]}
    assert reached[content["candidate"]] == best, "validation chooses, whatever the test set says"
    assert (f"refuted: with {content['candidate']} whole" in " ".join(found.err.split())) != same

    _, tested = trials_and_tests(tmp_path / "results")
    assert len(tested) == 2, "before and after"

    lines = [line.partition(": ")[2] for line in found.out.splitlines() if "fdi-run " in line]
    assert len(lines) == len(content["lines"]) == 2 * same
    assert len([*tmp_path.rglob("found.yaml")]) == same, "what is refuted is no experiment"
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("run.json")}
    for line in lines:
        assert "experiment=recipe" not in line
        assert fdi_run(*shlex.split(line)[1:]).code == 0
    again = fdi_run(*WORDS)
    after = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("run.json")}
    assert (again.code, after) == (found.code, before), "both commands are the run that proves it"
    assert "short trainings that cost" not in again.out, "what is done costs nothing"
    assert any(tmp_path.glob("results/recipes/*/proof.png"))


@pytest.mark.slow
def test_where_something_is_not_known_nothing_is_chosen(fdi_run, tmp_path, monkeypatch):
    write(tmp_path)
    full = OSError(28, "No space left on device")
    with monkeypatch.context() as disk:
        fail(disk, "final_result", full, lambda config: config.optimizer.lr > 1e-3)
        found = fdi_run(*WORDS)
    assert found.code == 1
    assert "1 of 2 candidates of 'step' have a training that did not end" in found.err
    assert told(tmp_path)["state"] == "unknown"
    assert fdi_run(*WORDS).code == 0


def test_a_network_that_learns_costs_one_short_training(fdi_run, tmp_path):
    write(tmp_path)
    found = fdi_run("experiment=recipe", "optimizer.lr=0.2", *NETWORK)
    assert found.code == 0, found.err
    assert "cause: it learns as it is" in found.out
    assert len(records(tmp_path / "results")) == 1


@pytest.mark.slow
def test_nothing_is_made_up_for_labels_that_say_nothing(fdi_run, tmp_path):
    chance = np.random.default_rng(0)
    x = (chance.random((60, 20, 6)) < 0.2).astype(np.uint8)
    np.savez(tmp_path / "data.npz", x=x, y=chance.integers(0, 6, 60))
    found = fdi_run(*WORDS, "recipe.trainings=0.4", "trainer.epochs=2", STAGES)
    content = told(tmp_path)
    assert content["state"] in ("not found", "past guessing", "refuted")
    assert found.code == (content["state"] == "refuted"), found.err
    if content["state"] == "not found":
        assert (content["candidate"], content["proof"]) == (None, {})
        assert "no recipe" in found.out


def test_a_dry_run_trains_nothing(fdi_run, tmp_path):
    write(tmp_path)
    found = fdi_run(*WORDS, "dry_run=true")
    assert (found.code, {path.name for path in tmp_path.iterdir()}) == (0, {"data.npz"})
    assert "cost 0.2 of a whole one" in found.out


@pytest.mark.parametrize(
    ("optimizer", "floors"),
    [
        (("sgd",), []),
        (("adam",), [1e-16]),
        (("adam", "optimizer.eps=1e-16"), []),
        (("smorms3",), [1e-24, 1e-36, 1e-60]),
    ],
)
def test_of_eps_lower_ones_are_tried_with_which_steps_have_a_limit(tmp_path, optimizer, floors):
    """SMORMS3 multiplies its steps by a share of at most 1, Adam by g / eps where g^2 is 0."""
    words = ["experiment=recipe", f"optimizer={optimizer[0]}", *optimizer[1:]]
    words += [f"paths.results={tmp_path}"]
    search = Search(parser().parse_args(words))
    tried = [change.words[0].partition("=")[2] for change in search.plan.stages["eps"]]
    assert [*map(float, tried)] == floors
