"""Networks that begin with weights that were trained before."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from making import one_line

import fdi

SMALL = ["dataset=poisson", "dataset.samples=12", "dataset.shape=[20]", "dataset.classes=3"]
SMALL += ["dataset.steps=30", "engine=reference", "model.hidden=8", "model.depth=2"]
SMALL += ["dataset.valid=0.25", "dataset.test=0.25", "trainer.epochs=2", "threads=1", "probe=none"]
FROZEN = "trainer.frozen=[h1,h2]"


def run(results: Path, *words: str, **more: Any) -> Any:
    return fdi.run(*SMALL, *words, results=results, **more)


def warm(results: Path, source: Path, *words: str) -> Any:
    return run(results, "init=from_run", *words, **{"init.run": str(source)})


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Any:
    return run(tmp_path_factory.mktemp("trained"))


def weights(run: Any) -> dict[str, torch.Tensor]:
    return run.network.weights()


def test_all_weights_or_those_of_a_population(trained, tmp_path):
    whole = warm(tmp_path, trained.directory, FROZEN, "optimizer.lr=1e-30")
    for name, weight in weights(trained).items():
        assert torch.equal(weights(whole)[name], weight), name
    part = warm(tmp_path, trained.directory, FROZEN, "init.populations=[h1]", "init.others=fluct")
    assert torch.equal(weights(part)["input->h1"], weights(trained)["input->h1"])
    assert not torch.equal(weights(part)["h1->h2"], weights(trained)["h1->h2"])
    cold = run(tmp_path, "init=fluct", "optimizer.lr=1e-30")
    hidden = warm(tmp_path, trained.directory, "init.populations=[hidden]", "optimizer.lr=1e-30")
    assert torch.equal(weights(hidden)["h1->h2"], weights(trained)["h1->h2"])
    assert torch.equal(weights(hidden)["h2->readout"], weights(cold)["h2->readout"])


def test_the_weights_of_the_best_epoch(trained, tmp_path):
    best = fdi.load(trained.directory, "best")
    taken = warm(tmp_path, trained.directory, "init.weights=best", "optimizer.lr=1e-30")
    assert torch.equal(weights(taken)["h1->h2"], weights(best)["h1->h2"])


@pytest.mark.parametrize(
    ("option", "names"),
    [("model.norm=tdbn", ("h1.norm.gain", "h2.norm.bias")), ("model.bias=true", ("h2.bias",))],
)
def test_what_is_learned_besides_weights_comes_with_its_population(tmp_path, option, names):
    learned = run(tmp_path, option)
    taken = warm(tmp_path, learned.directory, option, "optimizer.lr=1e-30", FROZEN)
    for name in names:
        assert weights(learned)[name].any()
        assert torch.allclose(weights(taken)[name], weights(learned)[name])


def test_the_run_is_that_of_the_weights_wherever_they_lie(trained, tmp_path):
    one = warm(tmp_path, trained.directory)
    moved = tmp_path / "moved"
    shutil.copytree(trained.directory, moved)
    assert warm(tmp_path, moved).directory == one.directory
    assert one.config.init.checksum != ""
    other = run(tmp_path, "seed=1")
    assert warm(tmp_path, other.directory).directory != one.directory


def test_a_file_of_arrays_is_as_good_as_a_run(trained, tmp_path):
    file = tmp_path / "weights.npz"
    given: Any = {name: weight.numpy() for name, weight in weights(trained).items()}
    np.savez(file, **given)
    one, other = warm(tmp_path, file), warm(tmp_path, trained.directory)
    assert torch.equal(weights(one)["h1->h2"], weights(other)["h1->h2"])


def test_a_warm_run_goes_on_as_if_it_had_not_stopped(trained, tmp_path):
    warm(tmp_path, trained.directory)
    on = warm(tmp_path, trained.directory, "trainer.epochs=4")
    whole = warm(tmp_path / "whole", trained.directory, "trainer.epochs=4")
    for result in (on.result, whole.result):
        del result["seconds"]
    assert on.result == whole.result


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["model.hidden=7"], r"input->h1 is \(8, 20\) there and \(7, 20\) here"),
        (["model.depth=3"], "has no h2->h3; did you mean h1->h2"),
        (["init.populations=[h9]"], "init.populations: no population h9"),
        (["init.checksum=0"], "init.checksum"),
        (["init.others=gain"], "init.others = gain must be kaiming or fluct"),
        (["neuron.tau_shape=3"], "set neuron.tau_shape=null"),
    ],
)
def test_what_does_not_fit_is_one_line(trained, tmp_path, words, line):
    with one_line(line):
        warm(tmp_path, trained.directory, *words)


def test_what_is_no_weights_is_one_line(tmp_path):
    with one_line(r"^init.run = .*: there is no"):
        warm(tmp_path / "results", tmp_path / "nowhere")
    (tmp_path / "weights.npz").write_text("no")
    with one_line("holds no weights"):
        warm(tmp_path / "results", tmp_path / "weights.npz")
    nothing: Any = {"input->h1": np.full((8, 20), np.nan)}
    np.savez(tmp_path / "weights.npz", **nothing)
    with one_line("input->h1 must be finite"):
        warm(tmp_path / "results", tmp_path / "weights.npz")
    with one_line(r"init.run = \?\?\? must be given a value"):
        run(tmp_path / "results", "init=from_run")
