"""Which configurations are the same run, and where it lies."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from composing import composed, prepared
from composing import options as shipped_options
from fdi.track.directory import read_config, read_values, run_directory
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from fdi.analysis.results import EXACT
from fdi.config.identity import ADDED, REMOVED, contents, run_id
from fdi.config.parts import UNSAID, default, options, whole
from fdi.config.settings import prepare

REFERENCE = Path(__file__).parents[2] / "results" / "reference" / "runs.csv"


def test_a_run_has_no_interpolations_and_a_decided_engine():
    config = prepared("dataset=shd")
    assert config.engine.name == "cpu"
    assert config.dataset.root == "data/shd"
    assert config.name == {"dataset": "shd", "model": "dense", "init": "fluct", "experiment": None}
    assert "hydra" not in config
    assert prepared("device=cuda").engine.name == "cuda"


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


@pytest.mark.parametrize("override", [
        "threads=1", "probe=none", "dry_run=true", "paths.data=/elsewhere", "engine=cpu",
        "engine.checkpoint=auto", "engine.memory=1", "engine.kernels=auto", "engine.graphs=false",
        "init.sigma_u=1",
    ],
)  # fmt: skip
def test_what_cannot_change_the_numbers_is_the_same_run(override):
    assert run_id(prepared("dataset=shd", override)) == run_id(prepared("dataset=shd"))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (["engine=reference"], ["engine=reference", "device=cuda"]),
        (["engine=reference", "threads=1"], ["engine=reference", "threads=2"]),
        (["device=cuda"], ["device=cuda", "engine.memory=1"]),
        (["device=cuda"], ["device=cuda", "engine.kernels=off"]),
    ],
)
def test_device_threads_memory_and_kernels_are_part_of_a_run_where_they_change_its_sums(one, other):
    assert run_id(prepared(*one)) != run_id(prepared(*other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (["device=cuda"], ["device=cuda:1"]),
        (["device=cuda"], ["device=cuda", "threads=2"]),
        (["engine=reference", "device=cuda"], ["engine=reference", "device=cuda:1"]),
        (["engine=reference"], ["engine=reference", "threads=1"]),
        (["device=cuda"], ["device=cuda", "engine.memory=10"]),
        (["device=cuda"], ["device=cuda", "engine.graphs=true"]),
    ],
)
def test_where_they_do_not_it_is_the_same_run(one, other):
    assert run_id(prepared(*one)) == run_id(prepared(*other))


@pytest.mark.parametrize(("gpus", "device"), [(0, "cpu"), (2, "cuda")])
def test_the_device_auto_is_what_is_there(monkeypatch, gpus, device):
    monkeypatch.setattr("fdi.config.identity.gpus", lambda: gpus)
    config = prepared("device=auto")
    assert (config.device, config.engine.name) == (device, device)
    assert run_id(config) == run_id(prepared(f"device={device}"))


@pytest.mark.parametrize(
    ("off", "override"),
    [
        ("homeostasis=none", "homeostasis.upper.rate=3"),
        ("homeostasis=none", "homeostasis.lower.strength=3"),
        ("homeostasis.upper.strength=0", "homeostasis.upper.rate=3"),
        ("model=conv", "homeostasis.lower.rate=3"),
    ],
)
def test_a_bound_that_is_off_does_not_count(off, override):
    assert run_id(prepared(off, override)) == run_id(prepared(off))
    assert run_id(prepared(off)) != run_id(prepared(off.replace("none", "joint"), "seed=1"))


@pytest.mark.parametrize(
    ("dataset", "keys"),
    [
        ("randman", "trainer.patience trainer.clip trainer.label_smoothing scheduler dataset.drop"),
        ("nmnist", "dataset.drop"),
        ("poisson", "dataset.drop"),
        ("cifar10", "dataset.crop dataset.flip"),
    ],
)
def test_what_is_off_and_came_later_does_not_count(dataset, keys):
    config = prepared(f"dataset={dataset}")
    before = contents(config)
    for key in keys.split():
        *path, last = key.split(".")
        node: Any = before
        for part in path:
            node = node[part]
        assert node.pop(last) is None
    assert run_id(config) == run_id(before)


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_kernels_that_are_tried_first_are_the_run_they_were(device):
    config = prepared(f"device={device}")
    before = contents(config)
    assert before["engine"].pop("kernels", "auto") == "auto"
    assert run_id(config) == run_id(before)


@pytest.mark.parametrize("engine", ["cpu", "cuda", "reference"])
def test_an_engine_that_is_a_part_computes_the_run_that_it_did(engine):
    config = prepared(f"engine={engine}", f"device={'cuda' if engine == 'cuda' else 'cpu'}")
    before = contents(config)
    exclude = [key for key in before["identity"]["exclude"] if "engine." not in key]
    former = ["engine.checkpoint", "engine.memory", "engine.kernels"]
    before["identity"]["exclude"] = [*exclude, *former]
    before["engine"] = {
        "name": engine,
        "checkpoint": "none",
        "memory": {"cpu": 2.0, "cuda": 10.0, "reference": None}[engine],
        "kernels": "auto",
    }
    assert run_id(config) == run_id(before)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["engine.kernels=off"], "engine.kernels: no such key; choose one of checkpoint"),
        (["device=cuda", "engine.checkpoint=auto"], "engine.checkpoint: no such key; choose"),
        (["engine.graphs=true"], "engine.graphs: no such key; choose one of checkpoint"),
        (["engine.memory=-1"], "engine.memory = -1 must be a number at least 0"),
        (["device=cuda", "engine.kernels=some"], "engine.kernels = some must be auto or on or off"),
        (["engine.among=[cpu]", "device=cuda"], r"engine.among: none of \[cpu\] computes"),
        (["engine=cpu", "engine.name=cuda"], "engine.name = cuda is that of fdi.engine.cuda"),
    ],
)
def test_a_key_of_another_engine_is_refused(words, line):
    with pytest.raises(ValueError, match=line):
        prepared(*words)


@pytest.mark.parametrize("model", ["dense", "conv"])
def test_a_network_without_normalization_is_the_run_it_was(model):
    config = prepared(f"model={model}")
    before = contents(config)
    assert before["model"].pop("norm") == "none"
    assert run_id(config) == run_id(before)
    assert run_id(prepared(f"model={model}", "model.norm=tdbn", "engine=cpu")) != run_id(before)


def test_the_engine_auto_computes_normalization_and_learned_time_constants():
    assert prepared("neuron.learn_tau=true").engine.name == "cpu"
    assert prepared("neuron.learn_tau=true", "device=cuda").engine.name == "reference"
    assert prepared("model.norm=tdbn").engine.name == "cpu"
    assert prepared("model.norm=tdbn", "device=cuda").engine.name == "cuda"


@pytest.mark.parametrize("neuron", ["lif", "alif", "adlif"])
def test_neurons_that_are_all_alike_are_the_run_they_were(neuron):
    config = prepared(f"neuron={neuron}")
    before = contents(config)
    assert before["neuron"].pop("tau_shape") is None
    assert before["neuron"].pop("learn_tau") is False
    assert run_id(config) == run_id(before)


@pytest.mark.parametrize(
    "override",
    [
        "neuron.tau_shape=3",
        "homeostasis.upper.rate=3",
        "homeostasis.lower.strength=1",
        "homeostasis=none",
        "homeostasis=prime",
        "readout_init=same",
        "seed=1",
        "engine=reference",
        "model.depth=3",
        "init.sigma_u=1.01",
        "trainer.epochs=3",
        "trainer.patience=3",
        "trainer.clip=1",
        "trainer.label_smoothing=0.1",
        "scheduler=cosine",
        "scheduler=one_cycle",
        "dataset.drop=0.1",
        "optimizer=adam",
    ],
)
def test_what_can_is_another(override):
    assert run_id(prepared(override)) != run_id(prepared())


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


def test_every_run_of_the_reference_has_the_id_it_had():
    runs = pd.read_csv(REFERENCE, dtype={"id": str}, low_memory=False, **EXACT)
    exclude = OmegaConf.to_container(composed().identity.exclude)
    here = {"identity": {"exclude": exclude}, "device": "cpu", "threads": 1}
    for run in runs.to_dict("records"):
        found = run_id(config_of(run) | here)
        assert found.startswith(run["id"]), run


def config_of(run):
    """From dotted columns: an empty field is null where the part takes such a key, else none, as is
    that of a key that came later.
    """
    config: dict[str, Any] = {}
    for column, field in run.items():
        group, _, key = column.rpartition(".")
        if not group and column not in ("seed", "readout_init"):
            continue
        target = run.get(f"{group}._target_", "")
        if pd.isna(target):  # a run without this part
            continue
        if pd.isna(field) and (column in ADDED or (target and key not in takes(group, target))):
            continue
        node = config
        for name in group.split(".") if group else []:
            node = node.setdefault(name, {})
        node[key] = read(field)
    return config


@cache
def takes(group, target):
    return () if target.startswith("torch.") else options(group, target, []).known


def read(field):
    if isinstance(field, str):
        with suppress(ValueError):
            return json.loads({"True": "true", "False": "false"}.get(field, field))
        return field
    return None if pd.isna(field) else getattr(field, "item", lambda: field)()


@pytest.mark.parametrize("words", [("dataset=shd",), ("init=fluct_calibrated",)])
def test_a_run_from_before_a_key_was_removed_is_the_same_without_it(words, tmp_path):
    today = contents(prepared(*words))
    before = {
        key: node | REMOVED.get(str(node.get("_target_")), {}) if isinstance(node, dict) else node
        for key, node in today.items()
    }
    assert before != today
    OmegaConf.save(before, tmp_path / "config.yaml")
    assert read_values(tmp_path / "config.yaml") == today
    assert run_id(before) == run_id(today)


def test_directory_is_the_one_hydra_uses():
    config = composed("seed=3")
    directory = run_directory(prepare(config))
    assert re.fullmatch(r"results/runs/randman/dense/fluct/seed=3-[0-9a-f]{16}", str(directory))
    assert config.hydra.run.dir == str(directory)
    assert f"{config.hydra.sweep.dir}/{config.hydra.sweep.subdir}" == str(directory)


OWN = """
import torch
from fdi.data.randman import randman


class Lion(torch.optim.SGD):
    def __init__(self, params, lr=1e-3, eps=1e-12):
        super().__init__(params, lr)


def mine(*, drop=0.5, samples=20, units=5, seed=0):
    return randman(drop=drop, samples=samples, units=units, seed=seed)
"""


@pytest.mark.parametrize(
    ("words", "key", "default", "listed"),
    [
        ((), "optimizer.eps", "1e-16", "1e-8"),
        (("optimizer._target_=torch.optim.Adagrad",), "optimizer.eps", "1e-10", "1e-8"),
        (("optimizer._target_=own.Lion",), "optimizer.eps", "1e-12", "1e-8"),
        (("dataset=mine",), "dataset.drop", "0.5", "null"),
        (("neuron=adaptive_threshold",), "neuron.learn_tau", "false", "true"),
    ],
)
def test_an_option_that_is_left_out_is_the_default_of_its_part(
    words, key, default, listed, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.py").write_text(OWN)
    (tmp_path / "dataset").mkdir()
    (tmp_path / "dataset" / "mine.yaml").write_text("_target_: own.mine\nsamples: 20\nunits: 5\n")
    group = key.partition(".")[0]
    start = contents(composed("paths.modules=[.]", *(w for w in words if "mine" not in w)))
    if "dataset=mine" in words:
        start["dataset"] = {"_target_": "own.mine", "samples": 20, "units": 5}
    for word in words:
        name, _, value = word.partition("=")
        if name.endswith("._target_"):
            start[group]["_target_"] = value
    last = key.rpartition(".")[2]

    def identity(**values: Any) -> str:
        node = {k: v for k, v in start[group].items() if k != last} | values
        return run_id({**start, group: node})

    read = {name: yaml.safe_load(text.replace("e-", ".0e-")) for name, text in
            (("default", default), ("listed", listed))}  # fmt: skip
    unsaid = identity()
    assert unsaid == identity(**{last: read["default"]})
    assert unsaid != identity(**{last: read["listed"]})
    assert identity(**{last: read["listed"]}) != identity(**{last: 0.25})


GROUPS = ("dataset", "model", "neuron", "init", "optimizer", "scheduler")
SHIPPED = [(group, name) for group in GROUPS for name in shipped_options(group) if name != "none"]


@given(st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_two_configurations_have_one_id_where_they_make_equal_objects_and_only_there(data):
    group, name = data.draw(st.sampled_from(SHIPPED))
    start = shipped()
    usual = whole(group, name)
    target = usual["_target_"]
    excluded = [key.rpartition(".")[2] for key in start["identity"]["exclude"]]
    known = {key: default(target, key, []) for key in takes_of(group, target) | usual.keys()}
    known = {key: value for key, value in known.items() if value is not UNSAID}
    keys = sorted(known.keys() - {*excluded, "file", "test_file", "_target_"})
    chosen = data.draw(st.sets(st.sampled_from(keys), max_size=3)) if keys else ()

    def drawn() -> tuple[str, Any]:
        node, made = dict(usual), known | usual
        for key in chosen:
            values = [known[key], usual.get(key, known[key]), ADDED.get(f"{group}.{key}"), 0.25]
            value = data.draw(st.sampled_from([UNSAID, *values]))
            node.pop(key, None)
            made[key] = known[key]
            if value is not UNSAID:
                node[key] = made[key] = list(value) if isinstance(value, tuple) else value
        return run_id({**start, group: node}), json.loads(json.dumps(made))

    (one, made), (other, made_too) = drawn(), drawn()
    assert (one == other) == (made == made_too)


def test_what_is_left_out_is_the_same_run_and_the_same_row(tmp_path):
    usual, without = (prepared(*words) for words in ((), ("~model.readout_tau_syn",)))
    assert "readout_tau_syn" not in without.model
    assert run_id(without) == run_id(usual)
    adam, said = (prepared("optimizer=adam", *w) for w in ((), ("+optimizer.amsgrad=false",)))
    assert run_id(adam) == run_id(said)
    for name, config in (("usual", usual), ("without", without)):
        OmegaConf.save(config, tmp_path / name)
    assert read_config(tmp_path / "usual") == read_config(tmp_path / "without")


def test_null_of_an_own_part_is_not_what_it_is_without(tmp_path):
    values = contents(prepared())
    for name, more in (("null", {"drop": None}), ("without", {})):
        OmegaConf.save(values | {"dataset": {"_target_": "own.mine", **more}}, tmp_path / name)
    assert read_config(tmp_path / "null")["dataset.drop"] is not None
    assert "dataset.drop" not in read_config(tmp_path / "without")


@cache
def takes_of(group: str, target: str) -> set[str]:
    with suppress(ValueError):
        return set(options(group, target, []).known)
    return set()


@cache
def shipped() -> dict[str, Any]:
    return dict(contents(prepared()))
