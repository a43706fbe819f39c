"""Configurations, as the command line composes them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from fdi.cli.cells import Cell, compose_cells
from fdi.cli.compose import composed as compose
from fdi.cli.run import parse
from fdi.config.settings import settings

CONF = Path(__file__).parents[2] / "fdi" / "conf"  # in a checkout a link to conf


def composed(*overrides: str) -> DictConfig:
    given = any(override.startswith("dataset.file=") for override in overrides)
    if not given and {f"dataset={name}" for name in options("dataset", "file: ???")} & {*overrides}:
        overrides = (*overrides, "dataset.file=toy_TRAIN.ts")
    if "init=from_run" in overrides:
        overrides = (*overrides, "init.run=nowhere")
    config = compose("", overrides)
    HydraConfig.instance().set_config(config)
    return config


def prepared(*overrides: str) -> DictConfig:
    return OmegaConf.create(settings(composed(*overrides)), flags={"struct": True})


def cells(*words: str) -> list[Cell]:
    """Those of a command line."""
    return compose_cells(parse(words))


def refusal(*words: str) -> str:
    with pytest.raises(ValueError, match=r".") as caught:
        cells(*words)
    return str(caught.value)


def options(group: str, holds: str = "") -> list[str]:
    """The names in a group of those files that hold some text."""
    return sorted(p.stem for p in (CONF / group).glob("*.yaml") if holds in p.read_text())
