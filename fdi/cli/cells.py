"""The cells of a command: which runs it asks for, where they are kept, and how far they are."""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_module
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig

from fdi.config import prepare, run_directory
from fdi.track.files import RESULT, STATUS, read_json

CONFIG_MODULE, CONFIG_NAME = "fdi.conf", "config"


@dataclass(frozen=True)
class Cell:
    """One run: the overrides that single it out, its configuration, its directory."""

    overrides: tuple[str, ...]
    config: DictConfig
    directory: Path


def compose_cells(arguments: Namespace) -> list[Cell]:
    """The cells Hydra would run for its parsed command line `arguments`, in its order, each once and its configuration checked.

    With --multirun: the product of the sweeps on the command line and in `hydra.sweeper.params`, the command line winning.
    Raises Hydra's and OmegaConf's errors, and ValueError from `prepare`.
    """
    if arguments.config_dir and not Path(arguments.config_dir).is_dir():
        raise ValueError(f"--config-dir {arguments.config_dir} is not a folder")
    with initialize_config_module(CONFIG_MODULE, version_base="1.3"):
        cells = list({cell.directory: cell for cell in (_cell(arguments, overrides) for overrides in _split(arguments))}.values())
    if not (arguments.multirun or arguments.cfg):
        _refuse_one_of_many(cells[0])
    return cells


def progress(directory: Path) -> dict[str, Any]:
    """status.json of a run: `state` is done, running, failed, interrupted or missing; `error` says why it failed."""
    if (directory / RESULT).exists():
        return {"state": "done"}
    status = read_json(directory / STATUS) or {"state": "missing"}
    if status["state"] == "running" and not _alive(status):
        status["state"] = "interrupted"
    return status


def _split(arguments: Namespace) -> Iterator[list[str]]:
    if not arguments.multirun:
        yield arguments.overrides
        return
    parser = OverridesParser.create()
    single = [override.input_line for override in parser.parse_overrides(arguments.overrides) if not override.is_sweep_override()]
    params = _compose(arguments, single).hydra.sweeper.get("params") or {}
    sweep = [f"{key}={value}" for key, value in params.items()]
    yield from BasicSweeper.split_arguments(parser.parse_overrides(sweep + arguments.overrides), None)[0]


def _cell(arguments: Namespace, overrides: list[str]) -> Cell:
    composed = _compose(arguments, overrides)
    HydraConfig.instance().set_config(composed)
    config = prepare(composed)
    return Cell(tuple(overrides), config, run_directory(config))


def _refuse_one_of_many(cell: Cell) -> None:
    """An experiment is a sweep; without -m each of its values must be given."""
    given = {override.partition("=")[0] for override in cell.overrides}
    sweep = [f"{key}={values}" for key, values in (HydraConfig.get().sweeper.get("params") or {}).items() if key not in given]
    if sweep:
        raise ValueError(f"the experiment is a sweep over {' '.join(sweep)}; add -m to run all of it, or give one value of each")


def _compose(arguments: Namespace, overrides: list[str]) -> DictConfig:
    folder = [f"hydra.searchpath=[file://{Path(arguments.config_dir).absolute()}]"] if arguments.config_dir else []
    try:
        return compose(arguments.config_name or CONFIG_NAME, overrides=folder + list(overrides), return_hydra_config=True)
    except ValueError as error:  # Hydra's own, for model=3, does not say where
        raise ValueError(f"{' '.join(overrides)}: {error}") from None


def _alive(status: dict[str, Any]) -> bool:
    """False if the process that wrote `status` ran on this machine and is gone."""
    if status["host"] != os.uname().nodename:
        return True
    try:
        os.kill(status["pid"], 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
