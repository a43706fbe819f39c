"""Every option composes, and later layers win."""

from __future__ import annotations

import math
import re
from dataclasses import fields
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from composing import CONF, cells, options, prepared
from omegaconf import OmegaConf

from fdi.analysis.derived import COLUMNS
from fdi.cli.compose import forget
from fdi.config.settings import Figure

DATASETS, MODELS = options("dataset"), options("model")
OF_DATASET = {"trainer": {"batch_size", "epochs"}, "homeostasis": {"upper", "lower"}}


@pytest.mark.parametrize(
    ("group", "option"),
    [
        (group, option)
        for group in (
            "dataset",
            "model",
            "neuron",
            "init",
            "objective",
            "homeostasis",
            "optimizer",
            "trainer",
            "logger",
            "budget",
        )
        for option in options(group)
    ],
)
def test_every_option_composes_and_fits_what_it_configures(group, option):
    config = prepared(f"{group}={option}")
    if group in ("dataset", "model", "init"):
        assert config.name[group] == option


@pytest.mark.parametrize("optimizer", ["adam", "adam_atan2", "sgd"])
def test_default_steps_are_the_best_in_the_mean_over_three_initial_states(optimizer):
    file = Path(__file__).parents[2] / "results" / "reference" / "steps.csv"
    table = pd.read_csv(file, comment="#")
    of = table[table["optimizer"] == optimizer.removesuffix("_atan2")]
    assert of.groupby(["init", "lr"]).size().unstack().to_dict("index") == {
        init: dict.fromkeys((1e-3, 5e-3, 2.5e-2, 1.25e-1), networks)
        for init, networks in (("fluct", 10), ("kaiming", 9), ("lsuv", 9))  # Dale's law forbids one
    }
    best = of.groupby("lr")["accuracy"].mean().idxmax()
    assert prepared(f"optimizer={optimizer}").optimizer.lr == best


def test_published_adaptation_lies_within_the_published_ranges():
    """|a| <= 1 and 0 <= b <= 2 for A[t+1] = beta_w A[t] + a U[t] + b S[t]."""
    weak, theirs = (prepared(f"neuron={name}") for name in ("adlif", "adlif_sparch"))
    jumps = [-math.expm1(-c.dataset.dt / c.neuron.tau_w) * c.neuron.a for c in (weak, theirs)]
    assert jumps[0] < 0.01
    assert 0.4 < jumps[1] < 0.6
    assert theirs.neuron.b == 1.0
    assert weak.neuron._target_ == theirs.neuron._target_


def with_values_of_its_own(dataset: str, model: str) -> bool:
    return (CONF / "tuned" / f"{dataset}_{model}.yaml").exists()


def first_of_its_kind(dataset: str, model: str) -> bool:
    """Of one pair for each data set, in which all models occur."""
    return (DATASETS.index(dataset) - MODELS.index(model)) % len(MODELS) == 0


@pytest.mark.parametrize(
    ("dataset", "model"),
    [
        pytest.param(
            *pair,
            marks=[]
            if with_values_of_its_own(*pair) or first_of_its_kind(*pair)
            else pytest.mark.slow,
        )
        for pair in product(DATASETS, MODELS)
    ],
)
def test_batch_epochs_and_bounds_of_a_pair_are_its_own(dataset, model):
    """tuned/<dataset>, then tuned/<dataset>_<model>; the strengths are those of the model."""
    config = prepared(f"dataset={dataset}", f"model={model}")
    own: Any = OmegaConf.load(CONF / "tuned" / f"{dataset}.yaml")
    for group, keys in OF_DATASET.items():
        known = set(own[group]) - {"readout"}  # of data whose targets are numbers
        assert known == keys, "no value may come from another data set"
    assert all(set(own.homeostasis[bound]) == {"rate"} for bound in ("upper", "lower"))
    kind = OmegaConf.load(CONF / "tuned" / "kind" / f"{model}.yaml")
    assert all(set(kind.homeostasis[bound]) == {"strength"} for bound in ("upper", "lower"))
    layers = [own, kind, *preset(f"{dataset}_{model}")]
    assert OmegaConf.merge(config, OmegaConf.merge(*layers)) == config


def preset(pair):
    file = CONF / "tuned" / f"{pair}.yaml"
    if file.exists():
        values: Any = OmegaConf.load(file)
        for parent in values.pop("defaults", []):
            yield from preset(parent)
        yield values


def test_every_preset_belongs_to_a_pair():
    pairs = {f"{dataset}_{model}" for dataset in DATASETS for model in MODELS}
    assert set(options("tuned")) <= pairs | set(DATASETS)
    assert options("tuned/kind") == MODELS


EARLY = {
    ("june_2022", "conv_recurrent"): ("fluct", "population", 200),
    ("june_2022", "dale"): ("fluct", "channel", 200),
    ("june_2022", "dense"): ("same", "channel", 200),
    ("july_2022", "conv_recurrent"): ("normal", "population", 200),
    ("july_2022", "dale"): ("normal", "channel", 200),
}


@pytest.mark.parametrize(("version", "model"), EARLY)
def test_earlier_versions_of_the_authors_code(version, model):
    config = prepared("dataset=shd", f"model={model}", f"tuned={version}")
    found = config.readout_init, config.homeostasis.upper.over, config.trainer.epochs
    assert found == EARLY[version, model]
    assert config.trainer.batch_size == 400
    if model == "dale":
        assert (config.model.tau_inh, config.model.tau_mem_inh) == (5e-3, 10e-3)
    if model == "conv_recurrent":
        assert config.model.stride == [10, 3, 3]
    if model == "dense":
        assert config.model.hidden == [128], "only one of their layers is connected"


@pytest.mark.parametrize(
    ("dataset", "named", "said"),
    [
        (
            "randman",
            "june_2022",
            "tuned = june_2022 has no values for randman_dense; there are shd_",
        ),
        ("shd", "june_2021", "tuned = june_2021 does not exist; did you mean june_2022"),
        ("shd", "july_2022", "tuned = july_2022 has no values for shd_dense; there are shd_conv_"),
    ],
)
def test_values_that_are_asked_for_and_not_there_are_refused(dataset, named, said):
    with pytest.raises(ValueError, match=f"^{said}"):
        prepared(f"dataset={dataset}", f"tuned={named}")


@pytest.mark.parametrize(
    ("dataset", "model", "depth", "shapes"),
    [
        ("shd", "conv_recurrent_deep", 7, [(16, 233), (64, 4)]),
        ("shd", "conv_recurrent", 3, [(16, 68), (64, 5)]),
        ("cifar10", "conv", 2, [(32, 34, 34), (32, 36, 36)]),
        ("cifar10", "conv_deep", 4, [(32, 34, 34), (64, 22, 22)]),
        ("dvs_gesture", "conv", 4, [(16, 34, 34), (32, 22, 22)]),
        ("dvs_gesture", "conv_deep", 8, [(32, 34, 34), (128, 11, 11)]),
    ],
)
def test_networks_of_the_paper_have_a_name(dataset, model, depth, shapes):
    from hydra.utils import instantiate

    config = prepared(f"dataset={dataset}", f"model={model}")
    shape = {"shd": (700,), "cifar10": (3, 32, 32), "dvs_gesture": (2, 32, 32)}[dataset]
    network = instantiate(
        config.model, input_shape=shape, classes=10, steps=10, dt=2e-3, _convert_="all"
    )
    assert len(network.layers) == depth
    assert [network.hidden[0].shape, network.hidden[-1].shape] == shapes
    assert any(p.recurrent for p in network.projections) == ("recurrent" in model)


def test_precedence_is_command_line_debug_experiment_tuned_group(tmp_path):
    layers = {
        "tuned/kind/mine": 150,
        "tuned/randman_mine": 2,
        "experiment/mine": 3,
        "debug/mine": 4,
    }
    for name, epochs in layers.items():
        file = tmp_path / f"{name}.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"# @package _global_\ntrainer:\n  epochs: {epochs}\n")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "mine.yaml").write_text("defaults: [dense]\n")
    given = [f"hydra.searchpath=[file://{tmp_path}]"]
    found = [prepared(*given).trainer.epochs]
    for override in ("model=mine", "experiment=mine", "debug=mine", "trainer.epochs=5"):
        given.append(override)
        found.append(prepared(*given).trainer.epochs)
    assert found == [200, 2, 3, 4, 5]


def test_an_experiment_that_chooses_the_dataset_gets_its_preset(tmp_path):
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").write_text(
        "# @package _global_\ndefaults:\n  - override /dataset: shd\n"
    )
    config = prepared(f"hydra.searchpath=[file://{tmp_path}]", "experiment=mine")
    assert config.name.dataset == "shd"
    assert config.model.hidden == [128, 128, 128]


def test_a_sweep_gives_what_each_cell_gives_alone():
    found = cells("-m", "init=fluct,kaiming", "dataset=randman,shd", "neuron=alif")
    assert len(found) == 4
    for cell in found:
        forget()
        assert cell.values == cells(*cell.overrides)[0].values


@pytest.mark.parametrize(
    "file", sorted(CONF.rglob("*.yaml")), ids=lambda file: str(file.relative_to(CONF))
)
def test_every_value_is_explained(file):
    """A comment behind each value, or one for all of them at the head of the file."""
    text = file.read_text(encoding="ascii")
    settings = re.sub(r"^figure:\n(?:[ ].*\n|\n)*", "", text, flags=re.MULTILINE)
    body = settings.partition("hydra:\n")[0].splitlines()
    if any(re.match(r"# .*\b(All v|V)alues?:", line) for line in body):
        return
    values = [line for line in body if re.match(r"\s*(?!_target_|collection|#)\w+:\s+[^#\s]", line)]
    assert not [line for line in values if "#" not in line and "${hydra:" not in line]


def test_every_key_of_a_figure_is_explained():
    text = (CONF.resolve().parent / "docs" / "howto" / "figure.md").read_text(encoding="utf-8")
    assert not [entry.name for entry in fields(Figure) if f"`{entry.name}`" not in text]
    assert not [name for name in COLUMNS if f"`{name}`" not in text]


def test_the_folder_of_a_run_is_a_value_as_it_is_printed():
    folder = "results/runs/randman/dense/fluct/seed=0-1a2b3c4d"
    (cell,) = cells("init=from_run", f"init.run={folder}")
    assert cell.values["init"]["run"] == folder
