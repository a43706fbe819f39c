"""Configurations: every option composes, later layers win, wrong ones are refused in one line,
equal ones are the same run.
"""

from __future__ import annotations

import re
from argparse import Namespace
from pathlib import Path

import pytest
from hydra import compose, initialize_config_module
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

from fdi.cli.cells import compose_cells
from fdi.cli.errors import explain
from fdi.config import prepare, run_directory, run_id

CONF = Path(__file__).parents[1] / "conf"


def composed(*overrides: str) -> DictConfig:
    with initialize_config_module("fdi.conf", version_base="1.3"):
        config = compose("config", overrides=list(overrides), return_hydra_config=True)
    HydraConfig.instance().set_config(config)
    return config


def prepared(*overrides: str) -> DictConfig:
    return prepare(composed(*overrides))


def refusal(*overrides: str, multirun: bool = False) -> str:
    arguments = Namespace(
        overrides=list(overrides), multirun=multirun, cfg=None, config_name=None, config_dir=None
    )
    with pytest.raises((HydraException, ValueError)) as caught:
        compose_cells(arguments)
    return explain(caught.value)


def options(group: str) -> list[str]:
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


@pytest.mark.parametrize(
    ("group", "option"),
    [
        (group, option)
        for group in (
            "dataset",
            "model",
            "init",
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


@pytest.mark.parametrize("preset", options("tuned"))
def test_presets_of_the_paper_are_chosen_by_dataset_and_model(preset):
    dataset = max((name for name in options("dataset") if preset.startswith(f"{name}_")), key=len)
    config = prepared(f"dataset={dataset}", f"model={preset.removeprefix(f'{dataset}_')}")
    expected = OmegaConf.load(CONF / "tuned" / f"{preset}.yaml")
    assert OmegaConf.merge(config, expected) == config


def test_precedence_is_command_line_debug_experiment_tuned_group(tmp_path):
    layers = {"tuned/randman_mine": 2, "experiment/mine": 3, "debug/mine": 4}
    for name, epochs in layers.items():
        file = tmp_path / f"{name}.yaml"
        file.parent.mkdir()
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


@pytest.mark.parametrize(
    ("override", "line"),
    [
        (
            "init=flcut",
            r"init = flcut does not exist; did you mean fluct\? choose one of fluct, .*",
        ),
        (
            "dataset=rndman",
            r"dataset = rndman does not exist; did you mean randman\? choose one of .*",
        ),
        (
            "dataste=randman",
            r"dataste: no such key; did you mean dataset\? choose one of dataset, .*",
        ),
        (
            "model.dept=3",
            r"model\.dept: no such key; did you mean depth\? choose one of depth, hidden, .*",
        ),
        (
            "+model.dept=3",
            r"model\.dept: no such key; did you mean depth\? choose one of depth, hidden, .*",
        ),
        ("+foo=3", r"foo: no such key; choose one of dataset, .*"),
        (
            "homeostasis.upper.thresold=3",
            r"homeostasis\.upper\.thresold: no such key; did you mean threshold\? choose one of "
            r"strength, threshold",
        ),
        ("homeostasis.upper=3", r"homeostasis\.upper = 3 must be \{strength, threshold\} or null"),
        ("seed=x", r"seed = x must be an integer"),
        ("seed=1.5", r"seed = 1\.5 must be an integer"),
        ("seed=-1", r"seed = -1 must be at least 0"),
        ("~seed", r"seed is missing"),
        ("trainer.epochs=abc", r"trainer\.epochs = abc must be an integer"),
        ("trainer.epochs=-1", r"trainer\.epochs = -1 must be at least 1"),
        (
            "trainer.readout=mx",
            r"trainer\.readout = mx is unknown; did you mean max\? choose one of last, max, mean",
        ),
        ("model.depth=abc", r"model\.depth = abc must be an integer or null"),
        ("model.depth=true", r"model\.depth = true must be an integer or null"),
        (
            "model.hidden=[64,x]",
            r"model\.hidden = \[64, x\] must be an integer or a list, each an integer",
        ),
        (
            "model._target_=fdi.snn.models.dens",
            r"model\._target_ = fdi\.snn\.models\.dens does not exist",
        ),
        ("optimizer.lr=fast", r"optimizer\.lr = fast must be a number"),
        ("dataset.samples=2.5", r"dataset\.samples = 2\.5 must be an integer"),
        (
            "device=gpu",
            r"device = gpu is unknown; did you mean cpu\? choose one of auto, cpu, cuda",
        ),
        ("device=cuda:x", r"device = cuda:x is unknown; did you mean cuda\? choose one of .*"),
        ("seed=[1", r"cannot read 'seed=\[1'; write key=value, a list as key=\[1,2\]"),
        ("init=kaiming,fluct", r"init=kaiming,fluct has several values; add -m .*"),
        ("seed=range(3)", r"seed=range\(3\) has several values; add -m .*"),
        ("experiment=quickstart", r"the experiment is a sweep over init=kaiming,fluct; add -m .*"),
        ("hydra/launcher=cloud", r"hydra/launcher = cloud does not exist; choose one of basic.*"),
        ("seed=${nothing}", r"Interpolation key 'nothing' not found.*"),
    ],
)
def test_a_wrong_value_is_one_line(override, line):
    assert re.fullmatch(line, refusal(override))


def test_a_wrong_value_in_one_cell_of_a_sweep_is_refused_before_any_runs():
    assert refusal("init=kaiming,fluct", "seed=0,x", multirun=True) == "seed = x must be an integer"


def test_a_target_of_ones_own_takes_any_argument(tmp_path):
    (tmp_path / "init").mkdir()
    (tmp_path / "init" / "mine.yaml").write_text("_target_: my_package.Init\nanything: [a, 1]\n")
    config = prepared(f"hydra.searchpath=[file://{tmp_path}]", "init=mine")
    assert config.init == {"_target_": "my_package.Init", "anything": ["a", 1]}


def test_a_run_has_no_interpolations_and_a_decided_engine():
    config = prepared("dataset=shd")
    assert config.engine.name == "cpu"
    assert config.dataset.root == "data/shd"
    assert config.name == {"dataset": "shd", "model": "dense", "init": "fluct", "experiment": None}
    assert "hydra" not in config
    assert prepared("device=cuda").engine.name == "cuda"


@pytest.mark.parametrize("override", [
        "threads=1", "probe=none", "dry_run=true", "paths.data=/elsewhere", "engine=cpu",
        "engine.checkpoint=auto", "engine.memory=1",
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
    ],
)
def test_device_threads_and_memory_are_part_of_a_run_where_they_change_its_sums(one, other):
    assert run_id(prepared(*one)) != run_id(prepared(*other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (["device=cuda"], ["device=cuda:1"]),
        (["device=cuda"], ["device=cuda", "threads=2"]),
        (["engine=reference", "device=cuda"], ["engine=reference", "device=cuda:1"]),
        (["engine=reference"], ["engine=reference", "threads=1"]),
        (["engine=reference"], ["engine=reference", "engine.memory=1"]),
        (["device=cuda"], ["device=cuda", "engine.memory=10"]),
    ],
)
def test_where_they_do_not_it_is_the_same_run(one, other):
    assert run_id(prepared(*one)) == run_id(prepared(*other))


@pytest.mark.parametrize(("gpus", "device"), [(0, "cpu"), (2, "cuda")])
def test_the_device_auto_is_what_is_there(monkeypatch, gpus, device):
    monkeypatch.setattr("fdi.devices.gpus", lambda: gpus)
    config = prepared("device=auto")
    assert (config.device, config.engine.name) == (device, device)
    assert run_id(config) == run_id(prepared(f"device={device}"))


@pytest.mark.parametrize(
    "override",
    [
        "seed=1",
        "engine=reference",
        "model.depth=3",
        "init.sigma_u=1.01",
        "trainer.epochs=3",
        "optimizer=adam",
    ],
)
def test_what_can_is_another(override):
    assert run_id(prepared(override)) != run_id(prepared())


@pytest.mark.parametrize("budget", ["laptop", pytest.param("paper", marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "experiment", [name for name in options("experiment") if name != "quickstart"]
)
def test_experiments_have_the_cells_they_say_and_a_baseline(experiment, budget):
    head = (CONF / "experiment" / f"{experiment}.yaml").read_text()
    overrides = [f"experiment={experiment}", f"budget={budget}", "seed=0"]
    cells = compose_cells(
        Namespace(overrides=overrides, multirun=True, cfg=None, config_name=None, config_dir=None)
    )
    seeds = int(re.fullmatch(r"range\((\d+)\)", composed(*overrides).hydra.sweeper.params.seed)[1])
    assert re.search(rf"^# {budget}: +{len(cells) * seeds} cells, ", head, re.MULTILINE), (
        len(cells) * seeds
    )
    assert f"fdi-run -m experiment={experiment} " in head
    assert "kaiming" in {cell.config.name.init for cell in cells}
    assert all(cell.config.name.experiment == experiment for cell in cells)


def test_keys_that_vary_together_are_replaced_by_the_command_line():
    overrides = [
        "experiment=calibrated",
        "budget=laptop",
        "seed=0",
        "init=kaiming",
        "dataset=poisson",
    ]
    cells = compose_cells(
        Namespace(overrides=overrides, multirun=True, cfg=None, config_name=None, config_dir=None)
    )
    assert [(cell.config.name.dataset, cell.config.name.model) for cell in cells] == [
        ("poisson", "dense"),
        ("poisson", "conv"),
    ]


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
    assert run_id(config) == run_id(reordered) == "229b5e28"


def test_directory_is_the_one_hydra_uses():
    config = composed("seed=3")
    directory = run_directory(prepare(config))
    assert re.fullmatch(r"results/runs/randman/dense/fluct/seed=3-[0-9a-f]{8}", str(directory))
    assert config.hydra.run.dir == str(directory)
    assert f"{config.hydra.sweep.dir}/{config.hydra.sweep.subdir}" == str(directory)


@pytest.mark.parametrize(
    "file", sorted(CONF.rglob("*.yaml")), ids=lambda file: str(file.relative_to(CONF))
)
def test_every_value_is_explained(file):
    """A comment behind each value, or one for all of them at the head of the file."""
    text = file.read_text(encoding="ascii")
    body = text.partition("\nhydra:\n")[0].splitlines()
    if any(re.match(r"# .*\b(All v|V)alues?:", line) for line in body):
        return
    values = [line for line in body if re.match(r"\s*(?!_target_|collection|#)\w+:\s+[^#\s]", line)]
    assert not [line for line in values if "#" not in line and "${hydra:" not in line]
