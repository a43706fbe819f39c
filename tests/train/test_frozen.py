"""Populations that do not learn."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
import torch

import fdi
from fdi.train.optimizers import SMORMS3, parameter_groups
from fdi.train.trainer import phases

TINY = (
    "dataset=randman",
    "dataset.samples=20",
    "dataset.steps=30",
    "trainer.epochs=1",
    "trainer.batch_size=40",
    "threads=1",
)


@pytest.mark.parametrize("model", ["dense", "recurrent", "dale"])
def test_frozen_populations_keep_their_weights_and_the_others_learn(model, tmp_path):
    more = ["engine=reference"] if model == "dale" else ["model.hidden=[8,8]"]
    name = "e1" if model == "dale" else "h2"
    words = (*TINY, f"model={model}", *more, f"trainer.frozen=[{name}]")
    result = fdi.run(*words, results=tmp_path).result or {}
    moved = result["moved"]
    assert {link for link, way in moved.items() if not way} == {
        link for link in moved if link.endswith(f"->{name}")
    }
    assert "unmoved" not in result


def test_what_is_frozen_counts_neither_in_the_norm_nor_in_the_verdict(tmp_path):
    words = (*TINY, "model.hidden=8", "trainer.frozen=[hidden]", "optimizer.lr=1e-3")
    for more in (("optimizer.eps=1e-3",), ("trainer.clip=1e-3",)):
        run = fdi.run(*words, *more, results=tmp_path)
        assert run.result
        assert run.result["moved"]["input->h1"] == 0 < run.result["moved"]["h1->readout"]
        state = json.loads((run.directory / "init.json").read_text())
        assert state[0]["frozen"]
        assert {row["expected"] for row in state} <= {"not known"}


def learned_of(network: Any) -> Any:
    return parameter_groups(network, frozen=["h1"])


def test_normalization_and_time_constants_of_the_frozen_stay(build, train):
    network = build(hidden=8, depth=2, norm="tdbn")
    start = {name: value.clone() for name, value in network.weights().items()}
    train(network, SMORMS3(learned_of(network)), phases(epochs=1), clip=1e-3)
    learned = {
        name
        for name, value in network.weights().items()
        if not torch.equal(value, start[name]) and "norm.mean" not in name
    }
    assert {"h1->h2", "h2.norm.gain", "h2.norm.bias", "h2->readout"} <= learned
    assert not {"input->h1", "h1.norm.gain", "h1.norm.bias"} & learned
    assert math.isfinite(sum(float(value.double().sum()) for value in network.weights().values()))
