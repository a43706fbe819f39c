"""What stands in conf/ and what stands in code say the same of each part."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest
from composing import CONF
from omegaconf import OmegaConf

from fdi.config.parts import ROLES, options, resolve

HEAVY = {"torch", "numba", "pandas", "matplotlib", "tonic", "torchvision"}


def parts():
    """(group, key, node) of each file of conf/ that names a part."""
    for key in ROLES:
        group, _, inner = key.partition(".")
        for file in sorted((CONF / group).glob("*.yaml")):
            node = OmegaConf.to_container(OmegaConf.load(file), resolve=False)
            node = node.get(inner) if inner else node
            if node and "_target_" in node:
                yield pytest.param(key, node, id=f"{group}={file.stem}")


PARTS = list(parts())


@pytest.mark.parametrize(("key", "node"), PARTS)
def test_a_default_of_the_code_is_that_of_the_file(key, node):
    target = node["_target_"]
    if target.startswith("torch."):
        assert node.keys() - {"_target_"} <= options(key, target, []).known.keys()
        return
    for name, parameter in inspect.signature(resolve(key, target, [])).parameters.items():
        value, given = parameter.default, node.get(name)
        if name in node and value is not parameter.empty and "${" not in str(given):
            assert (list(value) if isinstance(value, tuple) else value) == given, name


def test_what_a_part_takes_is_known_without_torch():
    targets = [(part.values[0], part.values[1]["_target_"]) for part in PARTS]
    code = (
        "import sys; from fdi.config.parts import options\n"
        f"for key, target in {targets}: options(key, target, [])\n"
        f"print(sorted({HEAVY} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


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
