"""Composes the configurations of cells, with all that fdi takes of Hydra where Hydra has no public
door (the upper bound of hydra-core in pyproject.toml stands for it), and says what Hydra complains
about in one line. A file is read once for all cells, and the files are merged, which takes 0.1 s,
once for all cells with the same options; their other values are then set on a copy.
"""

from __future__ import annotations

import copy
import pickle
import re
import threading
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, is_dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, cast

import yaml
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_repository import ConfigRepository
from hydra._internal.core_plugins import file_config_source
from hydra._internal.sources_registry import SourcesRegistry
from hydra._internal.utils import _run_hydra, get_args_parser
from hydra.core.config_loader import ConfigLoader
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.singleton import Singleton
from hydra.errors import ConfigCompositionException, MissingConfigException, OverrideParseException
from hydra.plugins.config_source import ConfigResult
from hydra.types import HydraContext, RunMode
from hydra.version import VersionBase, setbase
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import (
    ConfigAttributeError,
    ConfigKeyError,
    OmegaConfBaseException,
    ValidationError,
)

from fdi.config.parts import choose, shown
from fdi.config.settings import replaced, settings, words

_ONE_AT_A_TIME = threading.RLock()
_OF_A_JOB: tuple[type, ...] = (GlobalHydra, HydraConfig, VersionBase)


@contextmanager
def own_hydra() -> Iterator[None]:
    """Hydra as if nobody else used it in this process: one thread at a time, and afterwards it is
    what it was, for a program with a `hydra.main` of its own.
    """
    with _ONE_AT_A_TIME:
        before = Singleton._instances
        Singleton._instances = {k: v for k, v in before.items() if k not in _OF_A_JOB}
        try:
            yield
        finally:
            others = {k: v for k, v in Singleton._instances.items() if k not in _OF_A_JOB}
            theirs = {k: v for k, v in before.items() if k in _OF_A_JOB}
            Singleton._instances = others | theirs


def command_line_parser() -> ArgumentParser:
    """Hydra's own flags: `hydra.main` parses and exits by itself, before fdi could compose cells or
    say an error in one line. Python 3.14 reads each help text at once, and one of Hydra's is none
    before it is shown.
    """
    with _unread_help():
        return get_args_parser()


@contextmanager
def _unread_help() -> Iterator[None]:
    check = getattr(ArgumentParser, "_check_help", None)
    if check is None:  # an older Python
        yield
        return
    parser: Any = ArgumentParser
    parser._check_help = lambda *_: None
    try:
        yield
    finally:
        parser._check_help = check


def refuse_several_values(loader: ConfigLoader, values: list[Override]) -> None:
    """Raises what Hydra raises for a value that is a sweep, in a single cell."""
    cast("ConfigLoaderImpl", loader).validate_sweep_overrides_legal(
        values, run_mode=RunMode.RUN, from_shell=False
    )


def show(arguments: Namespace) -> None:
    """What Hydra itself shows for the parsed command line `arguments`: a configuration, its own
    help, what it has loaded, how to complete words in a shell. `hydra.main` would parse sys.argv
    again, where a sweep stands that Hydra cannot show.
    """
    from fdi.cli.task import run_cell  # by its module Hydra knows the name of the job

    setbase("1.3")
    _run_hydra(arguments, command_line_parser(), run_cell, f"pkg://{CONFIG_MODULE}", CONFIG_NAME)


def context(loader: Any) -> HydraContext:
    """What launchers and sweepers are given; `loader` composes cells as Hydra's own does."""
    from hydra.experimental.callback import Callback

    callbacks: Any = Callback()
    return HydraContext(loader, callbacks)


class FileConfigSource(file_config_source.FileConfigSource):
    """Reads the user's own options, unless they are no files, or stand for more than memory holds:
    Hydra has no hook before it parses a file.
    """

    def load_config(self, config_path: str) -> ConfigResult:
        return super().load_config(config_path)


class Repository(ConfigRepository):
    """Reads and parses each file of the configuration once for all cells, where Hydra does so for
    each of them; every composition gets a copy, since it merges the others into it.
    """

    def __deepcopy__(self, memo: dict[int, Any]) -> Repository:
        return copy.copy(self)  # a search path replaces the sources, it does not change them

    def load_config(self, config_path: str) -> ConfigResult | None:
        key = config_path, *((source.provider, source.path) for source in self.sources)
        if key in _parsed:
            return cast("ConfigResult | None", pickle.loads(_parsed[key]))
        found = super().load_config(config_path)
        with suppress(pickle.PicklingError):  # Hydra runs plugins again, with new classes
            _parsed[key] = pickle.dumps(found)
        return found


_parsed: dict[tuple[Any, ...], bytes] = {}


def _take_over_files() -> None:
    """Let `FileConfigSource` read file://; `Plugins.register` replaces no source that is there. And
    forget the files of Hydra's plugin for Optuna 2, which it would take for schemas of ours.
    """
    SourcesRegistry.instance().types["file"] = FileConfigSource
    for name in ("optuna.yaml", "sampler"):
        ConfigStore.instance().repo["hydra"].get("sweeper", {}).pop(name, None)


def parse(words: Sequence[str]) -> Namespace:
    """The command line `words`, parsed. Raises ValueError for an option that does not exist."""
    parser = command_line_parser()

    def refuse(message: str) -> NoReturn:
        raise ValueError(f"{message}; see fdi-run --help")

    parser.error = refuse  # type: ignore[method-assign]
    # argparse takes positional words in one piece only, so the overrides go to the end
    words = sorted(words, key=lambda word: "=" in word and not word.startswith("-"))
    arguments, unknown = parser.parse_known_args(words)
    if unknown:
        key, _, value = unknown[0].lstrip("-").partition("=")
        value = value or next(iter(arguments.overrides), "VALUE")
        raise ValueError(
            f"{unknown[0]} is not an option; write settings without dashes, as in "
            f"{key or 'key'}={value if '=' not in value else 'VALUE'}"
        )
    return arguments


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
    _take_over_files()
    folders = (searchpath(Path(folder)),) if folder else ()
    loader = cast("ConfigLoaderImpl", GlobalHydra.instance().config_loader())
    if arguments.config_name and folder:  # Hydra looks for it before it reads hydra.searchpath
        path = copy.deepcopy(loader.get_search_path())
        path.prepend("command-line", f"file://{Path(folder).absolute()}", "schema")
        loader = ConfigLoaderImpl(config_search_path=path)
    loader.repository = Repository(loader.get_search_path())
    return Composer(loader, arguments.config_name or CONFIG_NAME, folders)


def searchpath(folder: Path) -> str:
    """The override that adds `folder`, in quotes, whatever its name has in it; of backslashes only
    those before a quote count.
    """
    escaped = re.sub(r"\\+(?='|$)", lambda match: 2 * match[0], str(folder.absolute())).replace(
        "'", r"\'"
    )
    return f"hydra.searchpath=['file://{escaped}']"


@lru_cache(maxsize=512)
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


@lru_cache(maxsize=512)
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
    _parsed.clear()


EXTRAS = {  # that come with plugins of Hydra
    "hydra/launcher/joblib": "parallel",
    "hydra/launcher/submitit_local": "slurm",
    "hydra/launcher/submitit_slurm": "slurm",
    "hydra_joblib_launcher": "parallel",
    "hydra_submitit_launcher": "slurm",
    "hydra_ray_launcher": "ray",
}
MISSING_KEY = (ConfigAttributeError, ConfigKeyError)
HIDDEN = ("hydra", "name", "identity", "_target_")  # not for users to set


def explain(error: Exception) -> str:
    """One line for an error of composing a configuration."""
    cause = error.__cause__
    if isinstance(error, OverrideParseException):
        return f"cannot read '{error.override}'; write key=value, a list as key=[1,2]"
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        group, _, option = error.missing_cfg_file.rpartition("/")
        if extra := EXTRAS.get(error.missing_cfg_file):
            return (
                f"{error.missing_cfg_file} needs a package that is not installed; "
                f"pip install 'fdi-snn[{extra}]'"
            )
        return (
            f"{group or 'config'} = {option} does not exist; {choose(option, error.options or [])}"
        )
    if sweep := re.match(r"(?:Ambiguous value for argument|Sweep parameters) '(.+?)'", str(error)):
        return (
            f"{sweep[1]} has several values; add -m to run each of them, or write a list as "
            f"key=[a,b]"
        )
    if isinstance(cause, MISSING_KEY) and cause.full_key:
        if meant := _deeper(cause):
            return f"{cause.full_key}: no such key; did you mean {' or '.join(meant)}?"
        hint = choose(str(cause.key), _keys(cause.parent_node))
        of = "" if hint.startswith("did you") else _option_of(cause.full_key)
        return f"{cause.full_key}: no such key{of}; {hint}"
    if isinstance(cause, ValidationError) and cause.full_key:
        return f"{cause.full_key} = {shown(cause.value)} must be {_expected(cause)}"
    return " ".join((str(error) or str(cause)).split())


def _option_of(key: str) -> str:
    """The option that lacks a key, as in " of init=kaiming"."""
    group, dot, _ = key.partition(".")
    hydra: Any = HydraConfig.instance().cfg
    option = OmegaConf.select(hydra, f"hydra.runtime.choices.{group}") if dot and hydra else None
    return f" of {group}={option}" if option else ""


def missing_key(error: Exception) -> str | None:
    """The dotted key that an error of composing complains of, if that is what it complains of."""
    cause = error.__cause__
    return cause.full_key if isinstance(cause, MISSING_KEY) else None


def _keys(node: Any) -> list[str]:
    return [str(key) for key in node if key not in HIDDEN] if isinstance(node, DictConfig) else []


def _deeper(cause: Any) -> list[str]:
    """Dotted names of the keys below that are called like one that is missing at the top."""
    node = cause.parent_node
    if not isinstance(node, DictConfig) or cause.full_key != str(cause.key):
        return []
    return [
        f"{name}.{cause.key}"
        for name in _keys(node)
        if isinstance(part := node._get_node(name), DictConfig) and cause.key in _keys(part)
    ]


def _expected(error: ValidationError) -> str:
    """The type of the key in words, from the dataclass it belongs to."""
    if not is_dataclass(error.object_type):
        return str(error).splitlines()[0]
    return words(error.object_type, str(error.key))
