"""A trained run is an object again: the same network, config and metrics."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from making import edit, one_line

import fdi
from fdi.data.inputs import Frames
from fdi.engine.reference import ReferenceEngine
from fdi.runner import build, training
from fdi.snn.models import dense
from fdi.snn.neuron import lif
from fdi.track import evidence, record
from fdi.track.files import CHECKPOINT, METRICS, RUN, read_checkpoint, write_checkpoint


@pytest.fixture(scope="module")
def directory(tmp_path_factory) -> Path:
    """Two epochs of a small network."""
    results = tmp_path_factory.mktemp("results")
    words = ["engine=reference", "dataset.samples=20", "model.hidden=8", "model.depth=2"]
    return fdi.run(*words, "trainer.epochs=2", "threads=1", results=results).directory


def test_a_loaded_run_tests_as_it_did(directory):
    run = fdi.load(directory)
    assert list(run.network.weights()) == ["input->h1", "h1->h2", "h2->readout"]
    assert list(run.metrics["epoch"]) == [1, 2]
    assert run.result is not None
    assert run.config.seed == run.result["seed"] == 0
    data = build.dataset(run.config)
    inputs, labels = data.test.batch(np.arange(len(data.test)), np.random.default_rng(0))
    objective = build.training_phases(run.config, data, run.network)[-1].objective
    outcome = ReferenceEngine().evaluate(run.network, inputs, labels, objective)
    assert outcome.sums[0] / outcome.samples == run.result["test_accuracy_last"]
    assert outcome.task / outcome.samples == pytest.approx(run.result["test_loss_last"], rel=1e-5)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_an_input_that_is_no_number_is_refused(directory, value):
    run = fdi.load(directory)
    x = np.full((1, 5, *run.network.input_shape), value)
    for ask, given in ((run.predictions, x), (run.spikes, x), (run.potentials, Frames(x))):
        with one_line("the input holds nan or infinite values"):
            ask(given)


def test_the_best_weights_are_those_of_the_best_epoch(directory):
    last, best = fdi.load(directory), fdi.load(directory, "best")
    same = all(map(torch.equal, last.network.parameters(), best.network.parameters()))
    assert last.result is not None
    assert same == (last.result["best_epoch"] == 2)


def test_time_constants_are_those_of_the_seed_and_of_the_checkpoint(tmp_path):
    """Two initializations start with the same; a resumed and a loaded run have those it had."""
    words = ["neuron.tau_shape=3", "dataset.samples=20", "engine=reference", "model.hidden=8"]
    words += ["trainer.epochs=2", "probe=none"]
    fluct, kaiming = (
        fdi.load(fdi.run(*words, init=init, results=tmp_path).directory)
        for init in ("fluct", "kaiming")
    )
    taus = fluct.network.hidden[0].taus
    assert taus is not None
    assert len(set(taus[0])) == len(set(taus[1])) == 8
    assert taus == kaiming.network.hidden[0].taus
    assert taus == build.network(fluct.config, build.dataset(fluct.config)).hidden[0].taus
    path = fluct.directory / CHECKPOINT
    state = read_checkpoint(path)
    state["time_constants"]["h1"] *= 1.5
    write_checkpoint(path, state)
    sealed_anew(fluct.directory)
    longer = tuple(tuple(1.5 * tau for tau in row) for row in taus)
    assert fdi.load(fluct.directory).network.hidden[0].taus == longer
    net = build.network(fluct.config, build.dataset(fluct.config))
    training.load_checkpoint(path, read_checkpoint(path), net, build.optimizer(fluct.config, net))
    assert net.hidden[0].taus == longer


def test_a_constant_image_has_no_one_rate_for_neurons_that_differ():
    net = dense((4,), 2, 10, 2e-3, lif(tau_shape=3.0))
    data: Any = SimpleNamespace(nu=None, mean_square=1.0, dt=2e-3)
    with one_line(r"give it as spikes: dataset\.encoding=poisson"):
        build.input_rate(data, net)


def test_what_is_no_trained_run_is_one_line(directory, tmp_path):
    with one_line("holds no trained run; give a folder"):
        fdi.load(tmp_path)
    with one_line("weights = 'first' must be 'last' or 'best'"):
        fdi.load(directory, "first")


@pytest.fixture
def spoiled(directory, tmp_path) -> Path:
    place = Path("results", *directory.parts[-5:])
    return Path(shutil.copytree(directory, tmp_path / place))


@pytest.mark.parametrize(
    "harm",
    [
        lambda path: edit(path, "config.model.depth", 3),
        lambda path: record.change(path, origin={}),
        lambda path: record.change(path, origin={"data": {"shape": [9], "classes": 10}}),
        lambda path: (path / METRICS).write_text(""),
        lambda path: (path / METRICS).unlink(),
        lambda path: (path / RUN).unlink(),
    ],
)
def test_whatever_is_wrong_is_one_line(spoiled, harm):
    harm(spoiled)
    with one_line(str(spoiled)):
        fdi.load(spoiled)


def sealed_anew(directory: Path) -> None:
    """The record and the checkpoint in a folder are made to say that they are a pair."""
    run, path = record.whole(directory), directory / CHECKPOINT
    write_checkpoint(path, read_checkpoint(path) | {"run": evidence.owner(run)})
    record.change(directory, files=run.files | record.tables(directory, CHECKPOINT))


@pytest.mark.parametrize("model", [{"depth": 1}, {"hidden": 9}, {"hidden": 10**8}])
def test_weights_that_are_not_those_of_the_configuration_are_refused(spoiled, model):
    """Before a network takes memory."""
    run = record.whole(spoiled)
    other = replace(run, config=run.config | {"model": run.config["model"] | model})
    home = spoiled.parents[4] / record.place(other.config | {"paths": {"results": "results"}})
    shutil.copytree(spoiled, home)
    record.write(home, other)
    sealed_anew(home)
    assert record.look(home).state == "done"
    with one_line("not the run it was: weights"):
        fdi.load(home)
