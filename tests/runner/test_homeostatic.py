"""Homeostasis as an initial state, and the probe while a network is trained."""

from __future__ import annotations

import csv
import os
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from making import SMALL, numbers

import fdi
from fdi.data import dataset
from fdi.init.homeostatic import Homeostatic
from fdi.init.probe import selectivity
from fdi.runner import primed
from fdi.track import record
from fdi.track.files import METRICS

HOMEOSTATIC: Any = {"init": "homeostatic", "homeostasis": "none", "model.depth": 2}
QUICK: Any = {"init.lr": 0.05, "trainer.epochs": 1}
pytestmark = pytest.mark.usefixtures("here")


@pytest.fixture(autouse=True)
def home(tmp_path_factory, monkeypatch):
    """Where other processes would find primed networks, empty."""
    folder = tmp_path_factory.mktemp("primed")
    monkeypatch.setattr(primed, "cache_folder", lambda name: folder)
    return folder


def forget(home: Path) -> None:
    dataset._kept.clear()
    for file in home.iterdir():
        file.unlink()


@pytest.mark.parametrize(
    "options",
    [
        {},
        pytest.param({"model": "recurrent", "trainer.lr_relative": True}, marks=pytest.mark.slow),
        pytest.param(
            {"model": "dale", "init.base": "fluct", "init.options": {"sigma_u": 0.2}},
            marks=pytest.mark.slow,
        ),
        pytest.param({"model.norm": "layer"}, marks=pytest.mark.slow),
        pytest.param(
            {
                "dataset": "digits",
                "model": "conv",
                "dataset.max_train": 120,
                "model.filters": 4,
                "init.epochs": 2,
            },
            marks=pytest.mark.slow,
        ),
    ],
    ids=str,
)
def test_bounds_alone_bring_silent_weights_to_their_rates(options, home):
    """And again from the same seed to the last bit, where a run that was stopped goes on."""
    words = SMALL | HOMEOSTATIC | QUICK | options
    if words.get("model") == "dale":
        words["model.excitatory"] = words.pop("model.hidden")
    if words.get("model") == "conv":
        for key in ("model.hidden", "dataset.classes", "dataset.samples"):
            del words[key]
    rows = fdi.probe(**words).to_dict("records")[:-1]
    assert all(row["rate"] > 0 for row in rows)
    if "dataset" not in options and "model.norm" not in options:
        assert all(row["on_target"] for row in rows)
    assert len({row["primed_updates"] for row in rows}) == 1
    assert all(row["primed_updates"] > 0 for row in rows if not options)
    fdi.run(**words)
    forget(home)
    longer = fdi.run(**words | {"trainer.epochs": 2})
    assert "continues" in record.whole(longer.directory).origin
    forget(home)
    whole = fdi.run(**words | {"trainer.epochs": 2}, results="whole")
    assert numbers(longer.directory) == numbers(whole.directory)


def test_a_sweep_primes_a_network_once_for_all_that_trains_it_otherwise(home, monkeypatch):
    dataset._kept.clear()
    trained, trainer = [], primed.Trainer
    monkeypatch.setattr(
        primed, "Trainer", lambda *of, **by: trained.append(of) or trainer(*of, **by)
    )
    words = SMALL | HOMEOSTATIC | QUICK
    first = fdi.probe(**words)
    others = {"optimizer": "adam", "trainer.clip": 1.0, "trainer.lr_relative": True}
    assert fdi.probe(**words | others)["grad"].equals(first["grad"])
    assert len(trained) == 1
    run = fdi.run(**words | {"optimizer.lr": 1e-3})
    forget(home)
    assert numbers(fdi.run(**words | {"optimizer.lr": 1e-3}, results="alone").directory) == numbers(
        run.directory
    )
    assert len(trained) == 2
    for other in ({"seed": 7}, {"trainer.batch_size": 7}, {"init.epochs": 3}, {"neuron.theta": 2}):
        fdi.probe(**words | other)
    assert len(trained) == 6
    fdi.probe(**words)
    assert len(trained) == 6, "six seeds are kept, not four"
    monkeypatch.setattr(primed.evidence, "code", lambda config: {"init": "changed"})
    fdi.probe(**words, results="other")
    assert len(trained) == 7, "own code has changed"


def test_another_process_finds_a_primed_network_and_believes_no_damaged_one(home, monkeypatch):
    trained, prime = [], primed.prime
    monkeypatch.setattr(primed, "prime", lambda *of: trained.append(of) or prime(*of))
    old = home / "old.npz"
    old.touch()
    os.utime(old, (0, 0))

    def process() -> Any:
        dataset._kept.clear()
        return fdi.probe(**SMALL | HOMEOSTATIC | QUICK, results=f"after {len(os.listdir())}")

    first = process()
    assert len(trained) == 1
    assert not old.exists(), "nobody used it for long"
    assert process().equals(first)
    assert len(trained) == 1
    (file,) = home.iterdir()
    file.write_bytes(file.read_bytes()[:-100])
    assert process().equals(first)
    assert len(trained) == 2, "it was damaged"
    monkeypatch.setattr(primed, "_source", lambda: "other code")
    process()
    assert len(trained) == 3
    monkeypatch.setattr(primed.evidence, "_processor", lambda: "another")
    process()
    assert len(trained) == 4
    monkeypatch.setattr(primed, "cache_folder", Mock(side_effect=PermissionError))
    assert process().equals(first)
    assert len(trained) == 5, "nothing can be kept"


def test_what_is_on_target_is_not_primed_and_what_cannot_be_says_so(capsys):
    wide = {"init.base": "fluct", "init.options": {"sigma_u": 20}, "init.upper": 1e4}
    rows = fdi.probe(**SMALL | HOMEOSTATIC | wide).to_dict("records")
    assert [row["primed_updates"] for row in rows[:-1]] == [0, 0]
    assert all(row["on_target"] for row in rows[:-1])
    rows = fdi.probe(**SMALL | HOMEOSTATIC | {"init.epochs": 1}).to_dict("records")
    assert not any(row["on_target"] for row in rows[:-1])
    assert "h1, h2 not on target after 3 updates" in " ".join(capsys.readouterr().out.split())


def test_the_rule_of_fluctuations_is_on_target():
    rows = fdi.probe(**SMALL | HOMEOSTATIC | {"init.rule": "fluctuations", "model.hidden": 32})
    assert rows["on_target"][:-1].all()
    assert rows["primed_updates"].dropna().tolist() == [0, 0]
    assert [Homeostatic(base=base).nu for base in ("lsuv", "fluct")] == [None, "auto"]


PROBED: Any = {"probe_every": 2, "trainer.epochs": 5, "homeostasis.prime_epochs": 1}


def states(run: fdi.Trained) -> list[dict[str, str]]:
    with (run.directory / METRICS).open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_probe_in_training_changes_no_number_and_survives_a_longer_run():
    rows = states(probed := fdi.run(**SMALL | PROBED))
    said = [bool(row["probe/decoded/h1"]) for row in rows]
    assert said == [True, False, True, False, True, True], "after priming, 2, 4 and all 5 epochs"
    ends = [row["probe/free_sigma/h1"] for row in rows if row["probe/free_sigma/h1"]]
    assert len(set(ends)) == len(ends), "it measures the network of then"
    plain = fdi.run(**SMALL | PROBED | {"probe_every": 0})
    assert probed.directory != plain.directory
    for row, other in zip(rows, states(plain)):
        shared = {key: row[key] for key in other if "seconds" not in key}
        assert shared == {key: other[key] for key in shared}
    start = fdi.probe(**SMALL | PROBED)
    assert 0 <= start["decoded"][0] <= 1
    assert "decoded" not in fdi.probe(**SMALL)
    for epochs, goes_on in ((7, False), (8, False)):
        longer = fdi.run(**SMALL | PROBED | {"trainer.epochs": epochs})
        assert ("continues" in record.whole(longer.directory).origin) is goes_on
    longer = fdi.run(**SMALL | PROBED | {"trainer.epochs": 9})
    assert "continues" in record.whole(longer.directory).origin, "8 epochs end with a probe anyway"
    whole = fdi.run(**SMALL | PROBED | {"trainer.epochs": 9}, results="whole")
    assert numbers(longer.directory) == numbers(whole.directory)


def test_selectivity_is_chance_for_noise_and_all_for_a_code():
    rng = np.random.default_rng(0)
    labels = np.arange(400) % 4
    noise = torch.from_numpy(rng.poisson(5.0, (400, 6, 5)))
    found = selectivity(noise, labels)
    assert found["decoded"] == pytest.approx(0.25, abs=0.08)
    assert found["fano"] == pytest.approx(1.0, abs=0.1)
    code = noise.clone()
    code[torch.arange(400), torch.from_numpy(labels)] += 20
    assert selectivity(code, labels)["decoded"] == 1.0
    assert selectivity(torch.zeros(400, 3), labels) == {"fano": None, "decoded": 0.25}
    assert selectivity(torch.ones(400, 3), labels) == {"fano": 0.0, "decoded": 0.25}
    assert selectivity(noise, rng.normal(size=(400, 2)))["decoded"] is None, "no classes"


def test_selectivity_leaves_out_the_sample_it_judges():
    """The closed form is a ridge regression without each sample in turn, at the same penalty."""
    rng = np.random.default_rng(1)
    x, labels = rng.poisson(2.0, (12, 5)).astype(float), np.arange(12) % 3
    penalty = ((x - x.mean(0)) ** 2).sum() / 12
    right = []
    for left in range(12):
        kept = np.arange(12) != left
        mean, given = x[kept].mean(0), np.eye(3)[labels[kept]]
        a = x[kept] - mean
        w = np.linalg.solve(a.T @ a + penalty * np.eye(5), a.T @ (given - given.mean(0)))
        right.append(((x[left] - mean) @ w + given.mean(0)).argmax() == labels[left])
    assert selectivity(torch.from_numpy(x), labels)["decoded"] == pytest.approx(np.mean(right))
