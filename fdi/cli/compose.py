"""Composes the configurations of cells. Reading and merging the files takes 0.1 s, so it is done
once for all cells with the same options; their other values are then set on a copy.
"""

from __future__ import annotations

import copy
import pickle
import re
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import ConfigCompositionException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from fdi.cli.inside import read_files_safely, refuse_several_values
from fdi.config.settings import replaced, settings
from fdi.config.wording import choose

CONFIG_MODULE, CONFIG_NAME = "fdi.conf", "config"


class Base(NamedTuple):
    """What the chosen options give, as Hydra composed it, and pickled without Hydra's own node."""

    config: DictConfig
    copy: bytes


@dataclass(frozen=True)
class Composer:
    """Composes with Hydra's `loader` the configuration `name`, and options in `searchpath`; it also
    stands in for the loader when Hydra or a launcher composes cells.
    """

    loader: ConfigLoader = field(compare=False)
    name: str
    searchpath: tuple[str, ...]

    def settings(self, overrides: Sequence[str]) -> dict[str, Any]:
        """The checked values of a cell; raises what Hydra and `fdi.config.settings` raise."""
        base, values = self._parts(overrides)
        _tell_hydra(base.config)
        config = pickle.loads(base.copy)
        _apply(values, config)
        return settings(config)

    def load_sweep_config(self, master: DictConfig, overrides: Sequence[str]) -> DictConfig:
        """The configuration of a cell with Hydra's own node, for a launcher."""
        own = [word for word in master.hydra.overrides.hydra if word not in self.searchpath]
        config = self._job([*own, *overrides])
        OmegaConf.copy_cache(master, config)
        return config

    def load_configuration(
        self, config_name: str, overrides: Sequence[str], **options: Any
    ) -> DictConfig:
        """The same of one cell, for Hydra."""
        config = self._job(overrides)
        config.hydra.mode = RunMode.RUN
        return config

    def _job(self, overrides: Sequence[str]) -> DictConfig:
        base, values = self._parts(overrides)
        config = copy.deepcopy(base.config)
        _apply(values, config)
        with open_dict(config.hydra):
            config.hydra.overrides.task = [
                word for word in overrides if not word.startswith(("hydra.", "hydra/"))
            ]
        return config

    def __getattr__(self, name: str) -> Any:
        """All else that launchers ask of a loader."""
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.loader, name)

    def whole(self, overrides: Sequence[str]) -> DictConfig:
        """The configuration with Hydra's own node, as `overrides` in this order give it; nobody
        changes it.
        """
        return _whole(self, tuple(overrides))

    def _parts(self, overrides: Sequence[str]) -> tuple[Base, list[Override]]:
        """What the options among `overrides` give, and the overrides that set a value."""
        chosen = self.options(overrides)
        values = [_parse(word) for word in overrides if word not in chosen]
        refuse_several_values(self.loader, values)
        return _base(self, chosen), values

    def options(self, overrides: Sequence[str]) -> tuple[str, ...]:
        """Those that choose an option of a group or are Hydra's own; all, if one adds or deletes a
        key, since their order matters then.
        """
        if any(word.startswith(("+", "~")) for word in overrides):
            return tuple(overrides)
        return tuple(word for word in overrides if _is_option(self, word.partition("=")[0]))


def composer(arguments: Namespace) -> Composer:
    """For the parsed command line `arguments`; needs an initialized Hydra. Raises ValueError for
    a --config-dir that is not there.
    """
    folder = arguments.config_dir
    if folder and not Path(folder).is_dir():
        raise ValueError(f"--config-dir {folder} is not a folder")
    read_files_safely()
    folders = (searchpath(Path(folder)),) if folder else ()
    loader = GlobalHydra.instance().config_loader()
    return Composer(loader, arguments.config_name or CONFIG_NAME, folders)


def searchpath(folder: Path) -> str:
    """The override that adds `folder`, in quotes, whatever its name has in it; of backslashes only
    those before a quote count.
    """
    escaped = re.sub(r"\\+(?='|$)", lambda match: 2 * match[0], str(folder.absolute())).replace(
        "'", r"\'"
    )
    return f"hydra.searchpath=['file://{escaped}']"


@lru_cache
def _whole(composer: Composer, overrides: tuple[str, ...]) -> DictConfig:
    try:
        return composer.loader.load_configuration(
            composer.name,
            [*composer.searchpath, *overrides],
            run_mode=RunMode.RUN,
            from_shell=False,
        )
    except yaml.YAMLError as error:
        raise ValueError(f"a file of the configuration cannot be read: {error}") from None
    except RecursionError:
        raise ValueError("files of the configuration nest too deeply or name each other") from None
    except (ValueError, TypeError, AttributeError, LookupError, ArithmeticError) as error:
        where = " ".join(overrides)  # Hydra's own, for model=3 and engine=[1], do not say it
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise ValueError(f"{where}: no configuration can be made of this ({reason})") from None


@lru_cache
def _base(composer: Composer, overrides: tuple[str, ...]) -> Base:
    _refuse_nameless(composer, overrides)
    config = composer.whole(overrides)
    _tell_hydra(config)
    own = copy.deepcopy(config)  # a masked copy would have no types
    if problem := next(replaced(own), None):
        raise ValueError(problem)
    OmegaConf.resolve(own.name)
    with open_dict(own):
        del own["hydra"]
    return Base(config, pickle.dumps(own))


def _tell_hydra(config: DictConfig) -> None:
    """Interpolations of what is resolved next may ask for Hydra's own node."""
    hydra: Any = HydraConfig.instance()
    hydra.cfg = config


def _apply(values: list[Override], config: DictConfig) -> None:
    for value in values:
        try:
            OmegaConf.update(config, value.key_or_group, value.value(), merge=True)
        except OmegaConfBaseException as error:  # as Hydra says it
            line = f"Error merging override {value.input_line}"
            raise ConfigCompositionException(line) from error
        except OverflowError as error:  # OmegaConf's own, for an integer that no float can be
            raise ValueError(f"{value.key_or_group}: {str(error).splitlines()[0]}") from None


@lru_cache
def _is_option(composer: Composer, key: str) -> bool:
    return (
        key.startswith("hydra")
        or "@" in key
        or ("." not in key and bool(composer.loader.get_group_options(key)))
    )


def _refuse_nameless(composer: Composer, options: Sequence[str]) -> None:
    """Raises ValueError for an option of a group that is no name; Hydra fails late then, and in
    words of its own.
    """
    for word in options:
        key, _, value = word.partition("=")
        if not key.isidentifier() or not _is_option(composer, key):
            continue
        override = _parse(word)
        if override.is_sweep_override():
            raise ValueError(f"{word} has several values; add -m to run each of them")
        if not isinstance(override.value(), str):
            names = composer.loader.get_group_options(key)
            raise ValueError(
                f"{key} = {value} is not the name of an option; {choose(value, names)}"
            )


@lru_cache(maxsize=2**16)
def _parse(override: str) -> Override:
    return OverridesParser.create().parse_overrides([override])[0]


def forget() -> None:
    """Read the files of the configuration again where they are asked for next: in a notebook they
    change between two calls.
    """
    for known in (_whole, _base, _is_option):
        known.cache_clear()
