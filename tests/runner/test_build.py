"""What a configuration names is made, or refused in one line."""

from __future__ import annotations

import pytest
from omegaconf import OmegaConf

from fdi.runner import build


@pytest.mark.parametrize("key", ["neuron", "init"])
def test_a_part_of_another_kind_is_one_line(tmp_path, key):
    (tmp_path / f"no_{key}.py").write_text("def make():\n    return 3\n")
    config = OmegaConf.create(
        {key: {"_target_": f"no_{key}.make"}, "paths": {"modules": [str(tmp_path)]}}
    )
    make = {"neuron": build.neuron, "init": build.strategy}[key]
    with pytest.raises(ValueError, match=rf"^{key}\._target_ = no_{key}.make makes no "):
        make(config)
