"""The cells of a command: which runs it asks for, and where they are kept."""

from __future__ import annotations

from argparse import Namespace
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from hydra import compose, initialize_config_module
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import ConfigCompositionException
from omegaconf import DictConfig, OmegaConf

from fdi.cli.errors import missing_key
from fdi.config import prepare, run_directory

CONFIG_MODULE, CONFIG_NAME = "fdi.conf", "config"


@dataclass(frozen=True)
class Cell:
    """One run: the overrides that single it out, without Hydra's own; its configuration, its
    directory.
    """

    overrides: tuple[str, ...]
    config: DictConfig
    directory: Path


def compose_cells(arguments: Namespace) -> list[Cell]:
    """The cells of the parsed command line `arguments`, in its order, each once and its
    configuration checked.

    With --multirun: the product of the sweeps on the command line and in `hydra.sweeper.params`,
    the command line winning. A key with a dot in it counts for the cells that have it (kaiming has
    no sigma_u), and at least one must, unless the key is the experiment's and the option is not.
    Raises Hydra's and OmegaConf's errors, and ValueError from `prepare`.
    """
    if arguments.config_dir and not Path(arguments.config_dir).is_dir():
        raise ValueError(f"--config-dir {arguments.config_dir} is not a folder")
    with initialize_config_module(CONFIG_MODULE, version_base="1.3"):
        if arguments.multirun:
            return _sweep(arguments)
        cell = _cell(arguments, tuple(arguments.overrides))
        if not arguments.cfg:
            _refuse_one_of_many(cell)
        return [cell]


def compose_config(arguments: Namespace, overrides: list[str] | tuple[str, ...]) -> DictConfig:
    """The configuration with Hydra's own node, for `overrides` in place of those in `arguments`;
    needs an initialized Hydra.
    """
    folder = (
        [f"hydra.searchpath=[file://{Path(arguments.config_dir).absolute()}]"]
        if arguments.config_dir
        else []
    )
    try:
        return compose(
            arguments.config_name or CONFIG_NAME,
            overrides=[*folder, *overrides],
            return_hydra_config=True,
        )
    except ValueError as error:  # Hydra's own, for model=3, does not say where
        raise ValueError(f"{' '.join(overrides)}: {error}") from None


def compose_sweep(arguments: Namespace) -> DictConfig:
    """What the cells of a sweep have in common: the overrides with one value, as far as the default
    options have their keys.
    """
    parsed = OverridesParser.create().parse_overrides(arguments.overrides)
    overrides = [override.input_line for override in parsed if not override.is_sweep_override()]
    while True:
        try:
            return compose_config(arguments, overrides)
        except ConfigCompositionException as error:
            kept = [override for override in overrides if _key(override) != missing_key(error)]
            if kept == overrides:
                raise
            overrides = kept


def _sweep(arguments: Namespace) -> list[Cell]:
    cells: dict[tuple[str, ...], Cell] = {}
    lacking: dict[tuple[str, ...], set[str]] = defaultdict(
        set
    )  # options -> keys that configurations with these options lack
    errors = {}
    for overrides in _product(arguments):
        lacks = lacking[tuple(override for override in overrides if "." not in _key(override))]
        while (
            kept := tuple(override for override in overrides if _key(override) not in lacks)
        ) not in cells:
            try:
                cells[kept] = _cell(arguments, kept)
            except ConfigCompositionException as error:
                key = missing_key(error)
                if key not in map(_key, kept):
                    raise
                lacks.add(key)
                errors[key] = error
    given = set(map(_key, arguments.overrides))
    for key, error in errors.items():
        if all(key in lacks for lacks in lacking.values()) and (
            key in given or key.split(".")[0] not in given
        ):
            raise error
    return list({cell.directory: cell for cell in cells.values()}.values())


def _product(arguments: Namespace) -> Iterator[list[str]]:
    """The overrides of each cell. Keys of `hydra.sweeper.params` joined by + vary together, as in
    dataset+model: shd+dense,digits+conv.
    """
    params = compose_sweep(arguments).hydra.sweeper.get("params") or {}
    parser = OverridesParser.create()
    command = parser.parse_overrides(arguments.overrides)
    given = {override.key_or_group for override in command}
    together = [_together(key, values, given) for key, values in params.items() if "+" in key]
    independent = parser.parse_overrides(
        [f"{key}={values}" for key, values in params.items() if "+" not in key]
    )
    for overrides in BasicSweeper.split_arguments(independent + command, None)[0]:
        for combination in product(*together):
            yield [*(override for row in combination for override in row), *overrides]


def _together(keys: str, values: str, given: set[str]) -> list[tuple[str, ...]]:
    """The rows of a joint sweep, each once, without the keys that are `given`."""
    rows = (zip(keys.split("+"), row.strip().split("+")) for row in values.split(","))
    return list(
        dict.fromkeys(
            tuple(f"{key}={value}" for key, value in row if key not in given) for row in rows
        )
    )


def _key(override: str) -> str:
    return override.partition("=")[0]


def _cell(arguments: Namespace, overrides: tuple[str, ...]) -> Cell:
    composed = compose_config(arguments, overrides)
    HydraConfig.instance().set_config(composed)
    config = prepare(composed)
    own = tuple(
        override
        for override in overrides
        if not override.lstrip("+~").startswith(("hydra.", "hydra/"))
    )
    return Cell(own, config, run_directory(config))


def _refuse_one_of_many(cell: Cell) -> None:
    """An experiment is a sweep; without -m each of its values must be given, but for keys that the
    chosen options lack.
    """
    params = HydraConfig.get().sweeper.get("params") or {}
    given = {*map(_key, cell.overrides), *(key for key in params if not _has(cell.config, key))}
    sweep = [
        f"{key}={values}" for key, values in params.items() if not given.issuperset(key.split("+"))
    ]
    if sweep:
        raise ValueError(
            f"the experiment is a sweep over {' '.join(sweep)}; add -m to run all of it, or give "
            f"one value of each"
        )


def _has(config: DictConfig, key: str) -> bool:
    owner, _, name = key.rpartition(".")
    return name in (OmegaConf.select(config, owner) or {}) if owner else True
