"""experiment=recipe: the change that makes a network learn, and its proof."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import fail, records, write_classes

from fdi.analysis.recipe import Change
from fdi.cli.recipe import Search, _valid
from fdi.cli.run import parser

NETWORK = (
    *("dataset=arrays", "dataset.file=data.npz", "dataset.valid=0.3", "model.hidden=16"),
    *("trainer.epochs=10", "trainer.batch_size=4", "threads=1", "optimizer=adam"),
    "trainer.readout=mean",
)
WORDS = ("experiment=recipe", "optimizer.lr=1e-4", *NETWORK)
NONE = "recipe.others={bounds: {homeostasis: none}}"


def told(folder: Path) -> dict[str, Any]:
    (path,) = folder.glob("results/recipes/*/recipe.json")
    return json.loads(path.read_text())


def test_state_and_step_are_found_and_proven_with_other_seeds_and_samples(fdi_run, tmp_path):
    """The test set, where classes have other names, has no say."""
    write_classes(tmp_path, classes=4, samples=240, units=8)
    found = fdi_run(*WORDS)
    content = told(tmp_path)
    assert (found.code, content["state"]) == (0, "found"), found.err
    assert "optimizer.lr=" in content["candidate"]
    assert content["proof"]["after"] > 0.8 > content["proof"]["before"]
    short = [trial for trial in content["trials"] if trial["epochs"] == 1]
    assert len(short) >= 10
    best = min(short, key=lambda trial: trial["loss"] or np.inf)
    assert content["candidate"] == best["change"], "the least validation loss chooses"

    runs = records(tmp_path / "results").values()
    tried = [run for run in runs if run.config["seed"] == 1000]
    proven = [run for run in runs if run.config["seed"] != 1000]
    assert {run.config["trainer"]["test"] for run in tried} == {False}
    assert [run.config["seed"] for run in proven].count(0) == 2, "before and after"
    assert {run.config["seed"] for run in proven} == {0, 1}
    assert min(run.result["test_accuracy_last"] for run in proven if run.result) < 0.1

    lines = [line.partition(": ")[2] for line in found.out.splitlines() if "fdi-run " in line]
    assert lines == content["lines"]
    assert found.out.startswith("at most 4 trainings of 10 epochs, about ")
    assert "points, 95 % interval +" in found.out
    assert len(found.out.splitlines()) < 15
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("run.json")}
    assert "experiment=recipe" not in lines[0]
    assert fdi_run(*shlex.split(lines[0])[1:]).code == 0
    again = fdi_run(*WORDS)
    after = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("run.json")}
    assert (again.code, after) == (0, before), "the command is the run that proves it"
    assert "trainings of" not in again.out, "what is done costs nothing"
    assert any(tmp_path.glob("results/recipes/*/proof.png"))


def test_the_samples_of_the_proof_are_not_those_of_the_choice(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_classes(tmp_path, classes=4, samples=240, units=8)
    search = Search(parser().parse_args([*WORDS, "engine=reference"]))
    (trial,), proofs = search.trial(search.words, (), 1), search.whole(search.words)
    chose = {*_valid(trial).hashes()}
    seen: set[str] = set()

    def right(cell, samples):
        seen.update(samples.hashes())
        return np.ones(len(samples)) if cell not in proofs else np.zeros(len(samples))

    monkeypatch.setattr("fdi.cli.recipe._right", right)
    monkeypatch.setattr("fdi.cli.recipe._told", lambda cell: True)
    monkeypatch.setattr(Search, "train", lambda *_: None)
    found = search.proven((Change("step", ("optimizer.lr=1",), 1.0),))
    assert (found.before, found.after, found.seeds) == (0.0, 1.0, 2)
    assert not chose & seen
    assert found.samples == len(seen) > 40


@pytest.mark.slow
def test_where_something_is_not_known_nothing_is_chosen(fdi_run, tmp_path, monkeypatch):
    write_classes(tmp_path, classes=4, samples=240, units=8)
    full = OSError(28, "No space left on device")
    with monkeypatch.context() as disk:
        fail(disk, "final_result", full, lambda config: config.optimizer.lr > 1e-3)
        found = fdi_run(*WORDS)
    assert found.code == 1
    assert "of 9 candidates of 'step' have a training that did not end" in " ".join(
        found.err.split()
    )
    assert told(tmp_path)["state"] == "unknown"
    assert fdi_run(*WORDS).code == 0


def test_a_network_that_learns_costs_one_short_training(fdi_run, tmp_path):
    write_classes(tmp_path, classes=4, samples=240, units=8)
    found = fdi_run("experiment=recipe", "optimizer.lr=0.3", *NETWORK, "trainer.epochs=30")
    assert found.code == 0, found.err
    assert "cause: it learns as it is" in found.out
    assert len(records(tmp_path / "results")) == 1


@pytest.mark.slow
def test_nothing_is_made_up_for_labels_that_say_nothing(fdi_run, tmp_path):
    chance = np.random.default_rng(0)
    x = (chance.random((120, 20, 6)) < 0.2).astype(np.uint8)
    np.savez(tmp_path / "data.npz", x=x, y=chance.integers(0, 6, 120))
    found = fdi_run(*WORDS, NONE)
    content = told(tmp_path)
    assert content["state"] in ("not found", "refuted", "learns")
    assert found.code == (content["state"] == "refuted"), found.err
    assert content["lines"] == []


def test_a_dry_run_says_what_it_costs_and_trains_nothing(fdi_run, tmp_path):
    write_classes(tmp_path, classes=4, samples=240, units=8)
    found = fdi_run(*WORDS, "dry_run=true", "recipe.budget=3")
    assert (found.code, {path.name for path in tmp_path.iterdir()}) == (0, {"data.npz"})
    assert "at most 3 trainings of 10 epochs, about " in found.out
    assert "the proof takes 3 more" in found.out


def test_a_budget_without_room_is_refused(fdi_run, tmp_path):
    write_classes(tmp_path, classes=4, samples=240, units=8)
    found = fdi_run(*WORDS, "recipe.budget=1.1")
    assert found.code == 2
    assert "budget = 1.1 leaves no room for short trainings" in found.err


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
    tried = [change.words[0].partition("=")[2] for change in search.rule.plan.stages["eps"]]
    assert [*map(float, tried)] == floors
