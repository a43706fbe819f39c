"""Which configurations are the same run, and where it lies."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from composing import composed, prepared
from composing import options as shipped_options
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from fdi.config.identity import contents, run_id
from fdi.config.parts import ROLES, complete, defaults, option, options, resolve
from fdi.track.record import place as run_directory

PUBLISHED = Path(__file__).parents[2] / "results" / "reference"


def test_a_run_has_no_interpolations_and_a_decided_engine():
    config = prepared("dataset=shd")
    assert config.engine.name == "cpu"
    assert config.dataset.root == "data/shd"
    assert config.name == {"dataset": "shd", "model": "dense", "init": "fluct", "experiment": None}
    assert "hydra" not in config
    assert prepared("device=cuda").engine.name == "cuda"
    for override in ("model.delay=0", "neuron.reset=at_once"):
        assert prepared(override).engine.name == "reference"


def test_the_place_of_a_file_of_data_is_no_part_of_a_run_but_its_name_is():
    places = ("here/Toy_TRAIN.ts", "/there/Toy_TRAIN.ts", "Toy_TRAIN.ts")
    configs = [prepared("dataset=ts", f"dataset.file={place}") for place in places]
    assert len({run_id(config) for config in configs}) == 1
    assert configs[0].dataset.name == "Toy"
    assert run_id(prepared("dataset=ts", "dataset.file=Other_TRAIN.ts")) != run_id(configs[0])
    values = contents(configs[0])
    own = values["dataset"] | {"_target_": "mine.load"}
    others = [values | {"dataset": own | {"file": file}} for file in ("a", "b")]
    assert len({run_id(config) for config in others}) == 2, "what the key of others means"


SHD, CUDA, REFERENCE = ["dataset=shd"], ["device=cuda"], ["engine=reference"]
BOUNDLESS, FOLDER = "homeostasis=none", ["dataset=hdf5", "dataset.root=/a/mine"]
SAME: list[tuple[list[str], str]] = [
    *((SHD, word) for word in ("threads=1", "probe=none", "dry_run=true", "paths.data=/elsewhere")),
    *((SHD, word) for word in ("engine=cpu", "engine.checkpoint=auto", "engine.memory=1")),
    *((SHD, word) for word in ("init.sigma_u=1", "model.delay=2")),
    *((CUDA, word) for word in ("device=cuda:1", "threads=2", "engine.memory=10")),
    ([*REFERENCE, *CUDA], "device=cuda:1"),
    (REFERENCE, "threads=1"),
    *(([BOUNDLESS], f"homeostasis.{key}=3") for key in ("upper.rate", "lower.strength")),
    (["homeostasis.upper.strength=0"], "homeostasis.upper.rate=3"),
    (["model=conv"], "homeostasis.lower.rate=3"),  # it has no lower bound
    (FOLDER, "dataset.root=/b/mine/"),
]
OTHER: list[tuple[list[str], str]] = [
    *((REFERENCE, word) for word in ("device=cuda", "threads=2")),
    *((CUDA, word) for word in ("engine.memory=1",)),
    *(([], word) for word in ("neuron.tau_shape=3", "homeostasis.upper.rate=3", BOUNDLESS)),
    *(([], word) for word in ("readout_init=same", "seed=1", *REFERENCE, "init.sigma_u=1.01")),
    *(([], word) for word in ("trainer.patience=3", "scheduler=cosine", "dataset.drop=0.1")),
    *(([], word) for word in ("optimizer=adam", "model.norm=tdbn")),
    (FOLDER, "dataset.root=/a/other"),
]


@pytest.mark.parametrize(
    ("words", "more", "same"),
    [*((*pair, True) for pair in SAME), *((*pair, False) for pair in OTHER)],
)
def test_what_cannot_change_the_numbers_is_the_same_run_and_what_can_another(words, more, same):
    assert (run_id(prepared(*words)) == run_id(prepared(*words, more))) is same


@pytest.mark.parametrize(("gpus", "device"), [(0, "cpu"), (2, "cuda")])
def test_the_device_auto_is_what_is_there(monkeypatch, gpus, device):
    monkeypatch.setattr("fdi.config.identity.gpus", lambda: gpus)
    config = prepared("device=auto")
    assert (config.device, config.engine.name) == (device, device)
    assert run_id(config) == run_id(prepared(f"device={device}"))


def test_the_engine_auto_computes_normalization_and_learned_time_constants():
    assert prepared("neuron.learn_tau=true").engine.name == "cpu"
    assert prepared("model.norm=tdbn").engine.name == "cpu"
    for override in ("neuron.learn_tau=true", "model.norm=tdbn", "model.bias=true"):
        assert prepared(override, "device=cuda").engine.name == "cuda"


@pytest.mark.parametrize(
    ("kernels", "known"), [("auto", "147ea9c1645146a2"), ("off", "b05c5623ee6f6e8f")]
)
def test_a_run_of_before_keeps_its_id_with_keys_that_are_gone(kernels, known):
    before = contents(prepared("device=cuda"))
    before["identity"]["exclude"] += ["engine.kernels", "engine.graphs"]
    before["engine"] |= {"kernels": kernels, "graphs": False}
    before["engine"]["decides"] += ["engine.kernels"]
    assert run_id(before) == known


def test_identity_does_not_change_between_versions():
    config = OmegaConf.create(
        {
            "b": 1.0,
            "a": {"x": 0.1, "y": [True, None, 2]},
            "engine": {"name": "cpu"},
            "identity": {"exclude": ["identity", "a.z"]},
        }
    )
    reordered = OmegaConf.create(
        {
            "engine": {"name": "cpu"},
            "a": {"y": [True, None, 2.0], "z": 5, "x": 0.1},
            "b": 1,
            "identity": config.identity,
        }
    )
    assert run_id(config) == run_id(reordered) == "229b5e283e099285"


def test_directory_is_the_one_hydra_uses():
    config = composed("seed=3")
    directory = run_directory(prepared("seed=3"))
    assert re.fullmatch(r"results/runs/randman/dense/fluct/seed=3-[0-9a-f]{16}", str(directory))
    assert f"{config.hydra.sweep.dir}/{config.hydra.sweep.subdir}" == str(directory)


GROUPS = ["dataset", "model", "neuron", "init", "objective", "optimizer", "trainer"]


@pytest.mark.parametrize("group", GROUPS)
def test_an_option_that_is_added_moves_no_id_where_it_is_neutral(group):
    """Whatever its default is: a run of before lacks it, and ran as with the neutral value."""
    before = contents(prepared())
    after = contents(prepared())
    after["identity"]["neutral"][f"{group}.added"] = 1
    for value, same in ((1, True), (1.0, True), (True, False), (2, False), (None, False)):
        after[group]["added"] = value
        assert (run_id(after) == run_id(before)) is same


def published() -> Iterator[tuple[str, tuple[str, ...]]]:
    """Ids of runs that come with fdi, and the words of each."""
    table = pd.read_csv(PUBLISHED / "zoo.csv", comment="#", dtype=str)
    for _, row in table.iloc[::120].iterrows():
        yield row["id"], tuple(row["command"].split()[2:-1])  # without its seeds
    for path in sorted((PUBLISHED / "choices").glob("*/choice.json")):
        side = json.loads(path.read_text())["sides"][0]
        setting = side["settings"]["best"]
        tuned = (f"{key}={value}" for key, value in setting["values"].items())
        words = (word for word in side["words"] if not word.startswith("hydra"))
        yield setting["runs"][0].rpartition("-")[2], (*words, *tuned)


@pytest.mark.parametrize(("known", "words"), [*published()])
def test_published_runs_keep_their_ids(known, words):
    assert run_id(prepared(*words)) == known


@pytest.mark.parametrize(
    ("known", "words"),
    [
        ("2076039d82bd19c3", ("dataset=shd", "model=dale")),
        ("4f370d53ae3622d4", ("dataset=dvs_gesture", "model=dale_conv")),
        ("84e7f4c5bc0f6f39", ("dataset=shd", "model=conv_recurrent")),
    ],
)
def test_networks_of_real_data_keep_their_ids(known, words):
    assert run_id(prepared(*words)) == known


def test_every_published_command_of_random_networks_names_its_step():
    table = pd.read_csv(PUBLISHED / "zoo.csv", comment="#").dropna(subset=["command"])
    for command, step in zip(table["command"], table["optimizer.lr"]):
        named = [word for word in command.split() if word.startswith("optimizer.lr=")]
        assert [float(word.partition("=")[2]) for word in named] == [step], command


def test_neutral_keys_of_today_have_their_neutral_value():
    configs = prepared("dataset=arrays"), prepared("dataset=shd", "model=dale")
    assert "trainer.frozen" in configs[0].identity.neutral
    for key, value in configs[0].identity.neutral.items():
        assert value in [OmegaConf.select(of, key, default=KeyError) for of in configs], key
    before = prepared("model=conv")
    assert run_id(before) != run_id(prepared("model=conv", "model.norm=tdbn"))
    neutral = prepared("model=conv", "model.norm=tdbn", "+identity.neutral={model.norm:tdbn}")
    assert run_id(neutral) not in (run_id(before), run_id(prepared()))


OWN = """
from dataclasses import dataclass

import torch
from fdi.config.parts import Count
from fdi.data.randman import randman
from fdi.init import Strategy


class Lion(torch.optim.SGD):
    def __init__(self, params, lr=1e-3, eps=1e-12):
        super().__init__(params, lr)


def mine(*, drop=0.5, samples: Count = 20, limit=float("inf"), seed=0, units: int = None):
    return randman(drop=drop, samples=samples, units=units or 5, seed=seed)


@dataclass(frozen=True)
class Mine(Strategy):
    sizes: tuple[int, ...] = (1, 2)
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    (tmp_path / "own.py").write_text(OWN)
    for group, name in (("dataset", "mine"), ("init", "Mine"), ("optimizer", "Lion")):
        (tmp_path / group).mkdir()
        (tmp_path / group / "mine.yaml").write_text(f"_target_: own.{name}\n")
    monkeypatch.delitem(sys.modules, "own", raising=False)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield f"hydra.searchpath=[file://{tmp_path}]"
    sys.modules.pop("own", None)


@pytest.mark.parametrize(
    ("words", "left_out", "default", "other"),
    [
        (["optimizer=smorms3"], "~optimizer.eps", "++optimizer.eps=1e-16", "++optimizer.eps=1e-8"),
        (
            ["optimizer=adam", "optimizer._target_=torch.optim.Adagrad"],
            "~optimizer.eps",
            "++optimizer.eps=1e-10",
            "++optimizer.eps=1e-8",
        ),
        (
            ["optimizer=adam"],
            "++optimizer.amsgrad=false",
            "optimizer.lr=5e-3",
            "++optimizer.amsgrad=true",
        ),
        (["model=conv"], "~model.filters", "model.filters=[16,32,64]", "model.filters=[16,32]"),
        (["dataset=mnist"], "seed=0", "+dataset.crop=null", "+dataset.crop=2"),
        (
            ["dataset=mine"],
            "seed=0",
            "+dataset.drop=0.5",
            "+dataset.drop=null",
        ),
        (["init=mine"], "seed=0", "+init.sizes=[1,2]", "+init.sizes=[1]"),
        (
            ["optimizer=mine"],
            "seed=0",
            "+optimizer.eps=1e-12",
            "+optimizer.eps=1e-8",
        ),
    ],
)
def test_an_option_that_is_left_out_is_the_default_of_its_part(
    own, words, left_out, default, other
):
    config, said, changed = (prepared(own, *words, word) for word in (left_out, default, other))
    assert config == said
    assert run_id(config) == run_id(said) != run_id(changed)


def test_the_part_of_a_user_is_completed_with_what_a_configuration_can_say(own):
    config = prepared(own, "dataset=mine")
    assert {"drop": 0.5, "samples": 20, "units": None}.items() <= dict(config.dataset).items()
    assert not {"seed", "limit"} & config.dataset.keys()


UNSAID = object()
PARTS = ("dataset", "model", "neuron", "init", "optimizer", "scheduler")
SHIPPED = [(group, name) for group in PARTS for name in shipped_options(group) if name != "none"]


@given(st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_two_configurations_have_one_id_where_they_make_equal_objects_and_only_there(data):
    group, name = data.draw(st.sampled_from(SHIPPED))
    start, usual = shipped(), shipped_node(group, name)
    known = defaults(resolve(group, usual["_target_"])) | usual
    excluded = [key.rpartition(".")[2] for key in start["identity"]["exclude"]]
    never = {*excluded, *ROLES[group].given, "file", "test_file", "run", "_target_"}
    keys = sorted(usual.keys() & options(group, usual["_target_"])[0].keys() - never)
    chosen = data.draw(st.sets(st.sampled_from(keys), max_size=3)) if keys else ()
    default = defaults(resolve(group, usual["_target_"]))

    def drawn() -> tuple[str, Any]:
        node, made = dict(usual), dict(known)
        for key in chosen:
            values = [default.get(key, known[key]), known[key], None, 0.25]
            value = data.draw(st.sampled_from([UNSAID, *values] if key in default else values))
            node.pop(key, None)
            made[key] = default[key] if value is UNSAID else value
            if value is not UNSAID:
                node[key] = value
        return run_id({**start, group: complete(group, node)}), json.loads(json.dumps(made))

    (one, made), (other, made_too) = drawn(), drawn()
    assert (one == other) == (made == made_too)


@cache
def shipped_node(group: str, name: str) -> dict[str, Any]:
    node = option(group, name)
    if "defaults" in node or "${" in str(node):
        return dict(contents(prepared(f"{group}={name}"))[group])
    return complete(group, node)


@cache
def shipped() -> dict[str, Any]:
    return dict(contents(prepared()))
