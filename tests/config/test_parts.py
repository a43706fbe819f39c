"""What stands in conf/ and what stands in code say the same of each part."""

from __future__ import annotations

import subprocess
import sys
from runpy import run_path

import pytest
from composing import CONF
from omegaconf import OmegaConf

from fdi.config.parts import ROLES, nodes, options


def parts():
    """(group, key, node) of each file of conf/ that names a part."""
    for key in ROLES:
        for file in sorted((CONF / key).glob("*.yaml")):
            said = OmegaConf.to_container(OmegaConf.load(file), resolve=False)
            for place, node in nodes(key, said).items():
                if "_target_" in node:
                    yield pytest.param(place, node, id=f"{key}={file.stem}")


PARTS = list(parts())


WRITE = str(CONF.resolve().parent / "scripts" / "write_conf.py")


def test_the_files_say_the_defaults_of_the_code():
    found = subprocess.run([sys.executable, WRITE, "--check"], capture_output=True, text=True)
    assert (found.returncode, found.stdout) == (0, "conf/ has the defaults of the code\n")


def test_a_default_is_written_beside_its_comment(tmp_path):
    (tmp_path / "optimizer").mkdir()
    file = tmp_path / "optimizer" / "smorms3.yaml"
    usual = (CONF / "optimizer" / "smorms3.yaml").read_text()
    file.write_text(usual.replace("eps: 1.0e-16", "eps: 1.0e-8").replace("float32 #", "a #"))
    write = run_path(WRITE)["main"]
    assert write(["--check"], tmp_path) == 1
    assert file.read_text() != usual
    assert write([], tmp_path) == 0
    assert file.read_text() == usual


@pytest.mark.parametrize("key", [key for key in ROLES if key != "scheduler"])
def test_every_option_of_a_part_stands_in_one_of_its_files(key):
    said: dict[str, set[str]] = {}
    for part in PARTS:
        if part.values[0].partition(".")[0] == key:
            said.setdefault(part.values[1]["_target_"], set()).update(part.values[1])
    for target, keys in said.items():
        known = options(key, target)[0].keys()
        assert keys - {"_target_", "defaults"} <= known
        assert target.startswith("torch.") or "defaults" in keys or known <= keys, target


@pytest.mark.parametrize(
    ("key", "target"),
    [
        ("init", "fdi.init.strategy.Strategy"),
        ("init", "fdi.init.baselines.Baseline"),
        ("init", "fdi.init.strategy.Approach"),
        ("model", "fdi.snn.models.normalize"),
        ("dataset", "fdi.data.randman._part"),
    ],
)
def test_what_is_no_part_is_refused(key, target):
    with pytest.raises(ValueError, match=rf"{target} is not made for {key}"):
        options(key, target, [])
