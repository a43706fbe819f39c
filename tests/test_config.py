"""Configurations: every option composes, later layers win, wrong ones are refused in one line,
equal ones are the same run.
"""

from __future__ import annotations

import inspect
import re
import sys
from argparse import Namespace
from collections import defaultdict
from pathlib import Path

import pytest
from hydra import compose, initialize_config_module
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

from fdi import targets
from fdi.cli.cells import compose_cells
from fdi.cli.errors import explain
from fdi.config import prepare, run_directory, run_id
from fdi.signatures import defined, parameters

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


DATASETS, MODELS = options("dataset"), options("model")
OF_DATASET = {"trainer": {"batch_size", "epochs"}, "homeostasis": {"upper", "lower"}}


@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.parametrize("model", MODELS)
def test_batch_epochs_and_bounds_of_a_pair_are_its_own(dataset, model):
    """tuned/<dataset>, then tuned/<dataset>_<model>; the strengths are those of the model."""
    config = prepared(f"dataset={dataset}", f"model={model}")
    own = OmegaConf.load(CONF / "tuned" / f"{dataset}.yaml")
    for group, keys in OF_DATASET.items():
        assert set(own[group]) == keys, "no value may come from another data set"
    assert all(set(own.homeostasis[bound]) == {"rate"} for bound in ("upper", "lower"))
    kind = OmegaConf.load(CONF / "tuned" / "kind" / f"{model}.yaml")
    assert all(set(kind.homeostasis[bound]) == {"strength"} for bound in ("upper", "lower"))
    layers = [own, kind, *preset(f"{dataset}_{model}")]
    assert OmegaConf.merge(config, OmegaConf.merge(*layers)) == config


def preset(pair):
    file = CONF / "tuned" / f"{pair}.yaml"
    if file.exists():
        values = OmegaConf.load(file)
        for parent in values.pop("defaults", []):
            yield from preset(parent)
        yield values


def test_every_preset_belongs_to_a_pair():
    pairs = {f"{dataset}_{model}" for dataset in DATASETS for model in MODELS}
    assert set(options("tuned")) <= pairs | set(DATASETS)
    assert options("tuned/kind") == MODELS


@pytest.mark.parametrize(
    ("dataset", "model", "depth", "shapes"),
    [
        ("shd", "conv_recurrent_deep", 7, [(16, 233), (64, 4)]),
        ("shd", "conv_recurrent", 3, [(16, 68), (64, 5)]),
        ("cifar10", "conv", 2, [(32, 34, 34), (32, 36, 36)]),
        ("cifar10", "conv_deep", 4, [(32, 34, 34), (64, 22, 22)]),
        ("dvs_gesture", "conv", 4, [(16, 34, 34), (32, 22, 22)]),
        ("dvs_gesture", "conv_deep", 8, [(16, 34, 34), (128, 11, 11)]),
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
            "homeostasis.upper.strenth=3",
            r"homeostasis\.upper\.strenth: no such key; did you mean strength\? choose one of "
            r"rate, strength",
        ),
        ("homeostasis.upper=3", r"homeostasis\.upper = 3 must be \{strength, rate\}"),
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
        (
            "model.depth=abc",
            r"model\.depth = abc must be an integer at least 1 and at most 1000 or null",
        ),
        (
            "model.depth=true",
            r"model\.depth = true must be an integer at least 1 and at most 1000 or null",
        ),
        (
            "model.hidden=[64,x]",
            r"model\.hidden = \[64, x\] must be an integer at least 1 or a list, each an "
            r"integer at least 1",
        ),
        (
            "model._target_=fdi.snn.models.dens",
            r"model\._target_ = fdi\.snn\.models\.dens does not exist",
        ),
        ("optimizer.lr=fast", r"optimizer\.lr = fast must be a number above 0"),
        ("dataset.samples=2.5", r"dataset\.samples = 2\.5 must be an integer at least 1"),
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
        ("optimizer.lr=nan", r"optimizer\.lr = nan must be a finite number"),
        ("homeostasis.upper.strength=inf", r".*\.strength = inf must be a finite number"),
        ("optimizer.eps=-1", r"optimizer\.eps = -1 must be a number above 0"),
        ("neuron.beta=-20", r"neuron\.beta = -20 must be a number above 0 or null"),
        ("init.alpha=1", r"init\.alpha = 1 must be a number above 0 and below 1"),
        ("init.nu=-3", r"init\.nu = -3 must be auto or propagate or a number above 0 or .*"),
        ("dataset.dt=1e-300", r"dataset\.dt = 1e-300 must be a number at least 1e-06 and .*"),
        ("model.hidden=[]", r"model\.hidden = \[\] must be .*"),
        ("model.depth=1000000000000", r"model\.depth = 1000000000000 must be .*"),
        ("trainer.epochs=10000000000000000000", r"trainer\.epochs = 10+ must be below 2\^63"),
        ("seed=???", r"seed = \?\?\? must be given a value"),
        ("~paths", r"paths\.results = \?\?\? must be given a value"),
        ("init._target_=null", r"init = .* must have a _target_: .*"),
        ("name.dataset=", r"name\.dataset = '' must be a name for a folder: .*"),
        ("name.dataset=a/../../b", r"name\.dataset = 'a/\.\./\.\./b' must be a name for .*"),
        ("name.experiment=/x", r"name\.experiment = '/x' must be a name for a folder: .*"),
        ("init._target_=os.system", r"init\._target_ = os\.system is not of fdi, and there is .*"),
        ("dataset._target_=fdi.cli.data.build", r".*build is not made for dataset; .*"),
        ("dataset._target_=fdi.data.download.shutil.rmtree", r".*rmtree does not exist"),
        ("optimizer._target_=torch.hub.load", r"optimizer._target_ = torch.hub.load does not .*"),
        ("logger.mirror={_target_:os.system,command:id}", r"logger\.mirror\._target_ = os.*"),
        ("init.sigma_u={_target_:os.system,command:id}", r"init\.sigma_u = .* must be a number .*"),
        ("+init._args_=[1]", r"init\._args_: no such key; .*"),
        ("+hydra.callbacks.x={_target_:os.system,command:id}", r"hydra\.callbacks: fdi calls .*"),
        ("+hydra.launcher.x={_target_:os.system,command:id}", r"hydra\.launcher\.x\._target_.*"),
        ("hydra.launcher._target_=os.system", r"hydra\.launcher\._target_ = os\.system is no .*"),
        ("seed=${nothing}", r"Interpolation key 'nothing' not found.*"),
    ],
)
def test_a_wrong_value_is_one_line(override, line):
    assert re.fullmatch(line, refusal(override))


def test_a_wrong_value_in_one_cell_of_a_sweep_is_refused_before_any_runs():
    assert refusal("init=kaiming,fluct", "seed=0,x", multirun=True) == "seed = x must be an integer"


@pytest.mark.parametrize(
    ("overrides", "line"),
    [
        (["seed=range(0)"], "the sweep has no cells; give each of its keys a value"),
        (["hydra/launcher=local", "hydra.launcher.n_jobs=0"], "hydra.launcher.n_jobs = 0 must be"),
        (["hydra.sweeper.max_batch_size=-1"], "hydra.sweeper.max_batch_size = -1 must be"),
    ],
)
def test_a_sweep_that_cannot_work_is_one_line(overrides, line):
    assert refusal(*overrides, multirun=True).startswith(line)


@pytest.fixture
def own(tmp_path):
    """Writes model/mine.yaml into a folder and composes model=mine from it."""

    def compose_own(text: str, folder: str = "conf") -> Namespace:
        file = tmp_path / folder / "model" / "mine.yaml"
        file.parent.mkdir(parents=True)
        file.write_text(text)
        return Namespace(
            overrides=["model=mine"],
            multirun=False,
            cfg=None,
            config_name=None,
            config_dir=str(tmp_path / folder),
        )

    return compose_own


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: [1, 2\nb: 3\n", "a file of the configuration cannot be read: .*mine.yaml.*"),
        ("\t_target_: x\n", "a file of the configuration cannot be read: .*mine.yaml.*"),
        ("_target_: a\n_target_: b\n", "a file .*duplicate key _target_.*mine.yaml.*"),
        ("x: !!python/object/apply:os.getcwd []\n", "a file .* constructor for the tag .*"),
        ("defaults: [mine]\n", "files of the configuration nest too deeply or name each other"),
        ("x: &a [*a]\n", "files of the configuration nest too deeply or name each other"),
        ("- a\n", r"model = \[a\] must have a _target_: .*"),
        ("_target_: null\n", "model = .* must have a _target_: .*"),
        ("hidden: ${\n", ".*no viable alternative.*"),
        (
            "# @package _global_\nhydra:\n  job_logging:\n    handlers: {x: {(): os.system}}\n",
            r"hydra.job_logging.handlers.x.\(\) = os.system: .*",
        ),
    ],
)
def test_broken_files_of_ones_own_are_one_line(own, text, line):
    with pytest.raises((HydraException, ValueError)) as caught:
        compose_cells(own(text))
    assert re.fullmatch(line, explain(caught.value))


def test_a_folder_of_any_name_has_ones_own_options(own):
    folder = "we ird,a=b'c[d]{e}$f(g)\\h \"i"
    assert compose_cells(own("defaults: [dense]\nhidden: 3\n", folder))[0].config.model.hidden == 3


def test_a_target_of_ones_own_is_in_a_module_beside_the_folder_and_takes_any_argument(
    own, tmp_path
):
    given = own("_target_: my_module.net\nanything: [a, 1]\n")
    for text, line in {
        None: "is not of fdi, and there is no my_module.py; put it into the folder of --config-dir",
        "from os import system as net": "my_module.py defines no function or class net",
        "def net(": "my_module.py, line 1: ",
    }.items():
        if text:
            (tmp_path / "my_module.py").write_text(text)
        with pytest.raises(ValueError, match=line):
            compose_cells(given)
        defined.cache_clear()
    (tmp_path / "my_module.py").write_text("def net(**settings): ...")
    config = compose_cells(given)[0].config
    assert config.model == {"_target_": "my_module.net", "anything": ["a", 1]}
    assert config.paths.modules == [str(tmp_path / "conf"), str(tmp_path)]
    assert "my_module" not in sys.modules


def test_torch_takes_what_is_declared_for_its_optimizers():
    import torch

    for name, kind in defined(Path(targets.STUBS["torch.optim"])).items():
        known = inspect.signature(getattr(torch.optim, name)).parameters
        assert set(parameters(targets.STUBS["torch.optim"], name)) <= set(known), kind


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


def test_early_stopping_that_is_off_does_not_count():
    config = prepared()
    before = OmegaConf.to_container(config)
    assert before["trainer"].pop("patience") is None
    assert run_id(config) == run_id(before)


@pytest.mark.parametrize(
    "override",
    [
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
    assert {"kaiming", "gain"} & {cell.config.name.init for cell in cells}
    assert all(cell.config.name.experiment == experiment for cell in cells)
    assert_fair(experiment, cells)


def assert_fair(experiment, cells):
    """Cells that are compared, all with the same values of what is swept besides the initialization
    of hidden layers, differ in nothing else.
    """
    comparisons = defaultdict(list)
    for cell in cells:
        swept = [
            override for override in cell.overrides if not override.startswith(("init=", "init."))
        ]
        rest = OmegaConf.to_container(cell.config)
        del rest["init"], rest["name"]["init"]
        comparisons[tuple(swept)].append(rest)
        assert experiment == "readout" or cell.config.readout_init == "normal"
    for rests in comparisons.values():
        assert all(rest == rests[0] for rest in rests)
    assert max(len(rests) for rests in comparisons.values()) > 1


@pytest.mark.parametrize("budget", ["laptop", "paper"])
def test_a_comparison_that_is_not_fair_is_seen(budget):
    overrides = ["experiment=shallow", f"budget={budget}", "seed=0", "init=kaiming,fluct"]
    cells = compose_cells(
        Namespace(overrides=overrides, multirun=True, cfg=None, config_name=None, config_dir=None)
    )
    cells[0].config.trainer.epochs += 1
    with pytest.raises(AssertionError):
        assert_fair("shallow", cells)


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
