"""What is wrong is refused in one line before anything runs."""

from __future__ import annotations

import inspect
import re
import sys
from enum import Enum
from typing import Literal

import pytest
from composing import cells, refusal

from fdi.config.parts import options, values_of


class Mode(Enum):
    A = "a"


@pytest.mark.parametrize(
    ("override", "line"),
    [
        (
            "init=flcut",
            r"init = flcut does not exist; did you mean fluct\? choose one of fluct, .*",
        ),
        (
            "dataste=randman",
            r"dataste: no such key; did you mean dataset=randman\?",
        ),
        (
            "model.dept=3",
            r"model\.dept: no such key; did you mean depth\? choose one of .*depth, .*hidden, .*",
        ),
        ("+quux=3", r"quux: no such key; choose one of dataset, .*"),
        (
            "homeostasis.upper.strenth=3",
            r"homeostasis\.upper\.strenth: no such key; did you mean strength\? choose one of "
            r"layers, norm, over, rate, strength",
        ),
        (
            "homeostasis.upper=3",
            r"homeostasis\.upper = 3 must be \{strength, rate, norm, layers, over\}",
        ),
        ("seed=-1", r"seed = -1 must be an integer at least 0"),
        ("~seed", r"seed is missing"),
        ("~device", r"device is missing"),
        (
            "trainer.readout=mx",
            r"trainer\.readout = mx is unknown; did you mean max\? "
            r"choose one of every, last, max, mean",
        ),
        (
            "model.depth=abc",
            r"model\.depth = abc must be an integer at least 1 and at most 1000 or null",
        ),
        (
            "model.hidden=[64,x]",
            r"model\.hidden = \[64,x\] must be an integer at least 1 or a list, each an "
            r"integer at least 1",
        ),
        (
            "model._target_=fdi.snn.models.dens",
            r"model\._target_ = fdi\.snn\.models\.dens does not exist",
        ),
        ("trainer.clip=-1", r"trainer\.clip = -1\.0 must be a number above 0 or null"),
        (
            "+scheduler={_target_:torch.optim.lr_scheduler.LambdaLR}",
            r"scheduler\._target_ = torch\.optim\.lr_scheduler\.LambdaLR is not made for .*",
        ),
        ("optimizer.lr=fast", r"optimizer\.lr = fast must be a number at most 1e\+30 and above 0"),
        (
            "device=gpu",
            r"device = gpu is unknown; did you mean cuda\? choose one of auto, cpu, cuda",
        ),
        ("device=cuda:x", r"device = cuda:x is unknown; did you mean cuda\? choose one of .*"),
        ("seed=[1", r"cannot read 'seed=\[1'; write key=value, a list as key=\[1,2\]"),
        (
            "optimizer+optimizer.lr=adam+1e-3",
            r"cannot read 'optimizer\+optimizer.lr=adam\+1e-3'; keys that vary together .*",
        ),
        ("init=kaiming,fluct", r"init=kaiming,fluct has several values; add -m .*"),
        (
            "experiment=quickstart",
            r"the experiment is a sweep over init=kaiming,fluct optimizer.lr=5e-3,2e-2; add -m .*",
        ),
        ("hydra/launcher=cloud", r"hydra/launcher = cloud does not exist; choose one of basic.*"),
        ("optimizer.lr=nan", r"optimizer\.lr = nan must be a finite number"),
        ("optimizer.eps=-1", r"optimizer\.eps = -1 must be a number above 0"),
        ("neuron.tau_shape=0", r"neuron\.tau_shape = 0 must be a number at least 0\.1 or null"),
        ("init.alpha=1", r"init\.alpha = 1 must be a number above 0 and below 1"),
        ("init.nu=-3", r"init\.nu = -3 must be auto or propagate or a number above 0 or .*"),
        ("dataset.dt=1e-300", r"dataset\.dt = 1e-300 must be a number at least 1e-06 and .*"),
        ("model.hidden=[]", r"model\.hidden = \[\] must be .*"),
        ("trainer.epochs=10000000000000000000", r"trainer\.epochs = 10+ must be below 2\^63"),
        ("dataset=ts", r"dataset\.file = \?\?\? must be given a value"),
        ("~paths", r"paths\.results = \?\?\? must be given a value"),
        ("init._target_=null", r"init = .* must have a _target_: .*"),
        ("name.dataset=", r"name\.dataset = '' must be a name for a folder: .*"),
        ("name.dataset=a/../../b", r"name\.dataset = 'a/\.\./\.\./b' must be a name for .*"),
        ("init._target_=os.system", r"init\._target_ = os\.system is not of fdi, and there is .*"),
        ("dataset._target_=fdi.cli.data.main", r".*main is not made for dataset; .*"),
        ("dataset._target_=fdi.data.download.shutil.rmtree", r".*rmtree does not exist"),
        ("optimizer._target_=torch.hub.load", r".*torch\.hub\.load is not made for optimizer; .*"),
        ("+logger.mine={_target_:os.system,command:id}", r"logger\.mine\._target_ = os.*"),
        ("logger.mirror.mode=online", r"logger\.mirror: no such key.*"),
        ("logger=[csv,wandbb]", r"logger = wandbb does not exist; did you mean wandb\? .*"),
        ("optimizer=[adam,sgd]", r"optimizer = \[adam,sgd\] is not the name of an option; .*"),
        ("init.sigma_u={_target_:os.system,command:id}", r"init\.sigma_u = .* must be a number .*"),
        ("+init._args_=[1]", r"init\._args_: no such key; .*"),
        (
            "seed=${nothing}",
            r"seed: Interpolation key .* text must not contain \$\{, which names .*",
        ),
        ("note=${a:3}", r"note: Unsupported interpolation .* text must not contain \$\{, which .*"),
    ],
)
def test_a_wrong_value_is_one_line(override, line):
    assert re.fullmatch(line, refusal(override))


@pytest.mark.parametrize(
    "words",
    ["-m seed=", "=", "a", "seed", "+", "~seed", "seed=1,2", "-x", "@a=b", "seedx=1", "seed.=1"],
)
def test_a_line_that_says_nothing_is_one_line(words):
    said = refusal(*words.split())
    assert said
    assert "\n" not in said


@pytest.fixture
def own(tmp_path):
    """Writes model/mine.yaml into a folder and gives the words that compose it."""

    def words(text: str, folder: str = "conf") -> tuple[str, ...]:
        file = tmp_path / folder / "model" / "mine.yaml"
        file.parent.mkdir(parents=True)
        file.write_text(text)
        return "--config-dir", str(tmp_path / folder), "model=mine"

    return words


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
        ("just words\n", ".*"),
        ("\0", ".*"),
        ("[" * 5000, ".*"),
    ],
)
def test_broken_files_of_ones_own_are_one_line(own, text, line):
    with pytest.raises(ValueError, match=rf"^(?:{line})$"):
        cells(*own(text))


def test_a_folder_of_any_name_has_ones_own_options(own):
    folder = "we ird,a=b'c[d]{e}$f(g)\\h \"i"
    assert cells(*own("defaults: [dense]\nhidden: 3\n", folder))[0].config.model.hidden == 3


def test_a_target_of_ones_own_is_in_a_module_beside_the_folder_and_takes_what_it_says(
    own, tmp_path
):
    given = own("_target_: my_module.net\nanything: [a, 1]\n")
    for text, line in {
        None: "is not of fdi, and there is no my_module.py; put it into the folder of --config-dir",
        "from os import system as net": "my_module.py defines no function or class net",
        "def net(": "my_module.py, line 1: ",
        "import nothing.at": "cannot be imported: .*my_module.py: ModuleNotFoundError: No module",
        "def net(*, size: int): ...": "model.anything: no such key; choose one of size",
    }.items():
        if text:
            (tmp_path / "my_module.py").write_text(text)
        sys.modules.pop("my_module", None)
        with pytest.raises(ValueError, match=line):
            cells(*given)
    (tmp_path / "my_module.py").write_text("def net(**settings): ...")
    del sys.modules["my_module"]
    config = cells(*given)[0].config
    assert config.model == {"_target_": "my_module.net", "anything": ["a", 1]}
    assert config.paths.modules == [str(tmp_path / "conf"), str(tmp_path)]


def test_words_of_a_literal_may_be_negative_and_members_admit_all():
    side = values_of(Literal[-1, 1])
    assert side.words == "-1 or 1"
    assert [side.admits(value) for value in (-1, 1, 2, True)] == [True, True, False, False]
    assert values_of(Literal[Mode.A]).admits("a")


def test_torch_takes_what_is_declared_for_its_optimizers():
    import torch

    classes = [getattr(torch.optim, name) for name in ("Adam", "AdamW", "SGD", "RMSprop", "ASGD")]
    taken = {key for kind in classes for key in inspect.signature(kind).parameters}
    assert options("optimizer", "torch.optim.Adam")[0].keys() <= taken
