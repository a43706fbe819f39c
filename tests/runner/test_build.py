"""What a configuration names is made, or refused in one line."""

from __future__ import annotations

import pytest
from omegaconf import OmegaConf

from fdi.runner import build

OLD = """
from dataclasses import dataclass
from fdi.init.strategy import Strategy

@dataclass(frozen=True)
class Old(Strategy):
    def draw(self, population, afferents, rates, dt, generator):
        pass
"""


def test_an_initialization_that_draws_as_in_the_first_version_is_told_how_now(tmp_path):
    (tmp_path / "strategy_of_0_1.py").write_text(OLD)
    config = OmegaConf.create(
        {"init": {"_target_": "strategy_of_0_1.Old"}, "paths": {"modules": [str(tmp_path)]}}
    )
    with pytest.raises(ValueError, match=r"its draw must take one argument, an .*Drawing"):
        build.strategy(config)
