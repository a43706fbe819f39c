"""Every key of the real configuration with values that nobody meant: what `fdi-run` does not refuse
in one line, with exit code 2 and nothing written, it can measure.
"""

from __future__ import annotations

import json
import random
import sys
from functools import cache
from itertools import count
from pathlib import Path

import pytest
from hydra import compose, initialize_config_module
from omegaconf import DictConfig, OmegaConf

from fdi.cli.compose import CONFIG_MODULE, CONFIG_NAME
from fdi.cli.run import main

COUNT, PARTS, MEASURED = 400, 100, 5
SETS = 16  # of options, or composing them would take most of the time
CHOICES = {
    "dataset": ("randman", "poisson", "digits", "hdf5"),
    "model": ("dense", "recurrent", "dale", "dale_conv", "conv"),
    "neuron": ("lif", "alif", "adlif"),
    "init": ("fluct", "fluct_mu", "kaiming", "gain", "lsuv", "spytorch", "fluct_calibrated"),
    "optimizer": ("smorms3", "adam", "sgd"),
    "homeostasis": ("joint", "prime"),
}
VALUES = (
    *("-1", "0", "1", "2", "0.5", "-0.0", "20", "1e-9", "1e-300", "1e12", "1e300", "1e999"),
    *("9" * 400, f"-{'9' * 400}", "2147483648", "1000000000000", "9223372036854775807", "nan"),
    *("inf", "null", "true", "''", "' '", "abc", "a/../b", "/etc/passwd", "../x", "-x", "a=b"),
    *("[]", "[1]", "[[]]", "[null]", "[1,a]", "{}", "{a:1}", "{_target_:os.system}", "???"),
    *(
        "${seed}",
        "${nothing}",
        "${name}",
        "${hydra:}",
        "${oc.env:HOME}",
        "'\\${seed}'",
        "2020-01-01",
    ),
    *("[optimizer.lr.x]", "[seed.a.b]", "1,2", "range(3)", "interval(0,1)", "glob(*)", "0x10"),
)
SMALL = {
    "threads": "1",
    "engine": "reference",
    "dataset.samples": "20",
    "model.hidden": "8",
    "trainer.batch_size": "50",
}


@cache
def keys(choices: tuple[str, ...]) -> list[str]:
    """All dotted keys, of nodes and of values, Hydra's own among them."""
    with initialize_config_module(CONFIG_MODULE, version_base="1.3"):
        config = compose(CONFIG_NAME, overrides=list(choices), return_hydra_config=True)
    found: list[str] = []

    def walk(node: DictConfig, path: str) -> None:
        for key in map(str, node):
            here = f"{path}.{key}" if path else key
            if not here.startswith(("hydra.help", "hydra.hydra_help", "hydra.runtime")):
                found.append(here)
                inner = node._get_node(key)
                if isinstance(inner, DictConfig) and not inner._is_none():
                    walk(inner, here)

    with initialize_config_module(CONFIG_MODULE, version_base="1.3"):
        OmegaConf.set_struct(config, False)
        walk(config, "")
    own = [key for key in found if not key.startswith("hydra.")]
    return [*own * 3, *found]


def drawn(rng: random.Random) -> list[str]:
    few = random.Random(rng.randrange(SETS))
    groups = [f"{group}={few.choice(names)}" for group, names in CHOICES.items()]
    key = rng.choice(keys(tuple(groups)))
    mark = rng.choice(["", "", "", "", "+", "++", "~"])
    value = rng.choice(VALUES)
    words = [*groups, f"{mark}{key}" if mark == "~" else f"{mark}{key}={value}"]
    given = {word.lstrip("+~").partition("=")[0] for word in words}
    small = {name: text for name, text in SMALL.items() if name not in given}
    if groups[0] == "dataset=hdf5" or groups[0] == "dataset=digits":
        small.pop("dataset.samples", None)
    if "conv" in groups[1] or "dale" in groups[1]:
        small.pop("model.hidden", None)
    return words + [f"{name}={text}" for name, text in small.items()]


def wrong(code: object, err: str, left: set[Path]) -> bool:
    """Whether a command was neither carried out without a word nor refused as it should be."""
    refused = code == 2 and len(err.splitlines()) == 1 and not left
    return not refused and not (code == 0 and not err)


@pytest.mark.parametrize(
    "part", [0, *(pytest.param(part, marks=pytest.mark.slow) for part in range(1, PARTS))]
)
def test_is_composed_or_refused_in_one_line(part, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    found = []
    for number in range(part * COUNT // PARTS, (part + 1) * COUNT // PARTS):
        words = drawn(random.Random(number))
        code, err = composed(words, monkeypatch, capsys)
        left = set(tmp_path.rglob("*"))
        if wrong(code, err, left) or left:
            found.append([number, words, str(code), err[-500:], str(left)])
    assert not found, f"{len(found)}: " + "\n".join(map(json.dumps, found))


@pytest.mark.slow
@pytest.mark.parametrize("part", range(20))
def test_what_is_composed_is_measured_or_refused_in_one_line(part, zygote, monkeypatch, capsys):
    """The first MEASURED of each part that are composed; one in ten is."""
    found, left = [], MEASURED
    for number in count(part * 1000):
        words = drawn(random.Random(number))
        away = any(word.startswith("paths.") or "HOME" in word for word in words)
        slow = any(word.startswith("model=") and "conv" in word for word in words)
        if away or slow or composed(words, monkeypatch, capsys)[0] != 0:
            continue
        home = zygote.home()
        end = zygote.run(home, *words, "++probe=only")
        files = set(home.rglob("*"))
        if wrong(end.code, end.err, files):
            found.append([number, words, end.code, end.err[-500:], str(files)])
        left -= 1
        if not left:
            break
    assert not found, f"{len(found)}: " + "\n".join(map(json.dumps, found))


def composed(words: list[str], monkeypatch, capsys) -> tuple[object, str]:
    """The exit code of a dry run, or what it raised, and what it said on stderr."""
    monkeypatch.setattr(sys, "argv", ["fdi-run", *words, "++dry_run=true"])
    try:
        code: object = main()
    except SystemExit as end:
        code = end.code or 0
    except BaseException as error:
        code = repr(error)[:200]
    return code, capsys.readouterr().err
