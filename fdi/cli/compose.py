"""The configurations of cells, as Hydra's `compose` gives them, and what it complains about in one
line. What the chosen options give, which takes 0.1 s, is composed once for all cells that choose
the same; their other values are then set on a copy.
"""

from __future__ import annotations

import pickle
import re
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import is_dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from hydra import compose, initialize_config_module
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from hydra.version import getbase, setbase
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import (
    ConfigAttributeError,
    ConfigKeyError,
    InterpolationResolutionError,
    OmegaConfBaseException,
    UnsupportedInterpolationType,
    ValidationError,
)

from fdi.config.own_code import package_folders
from fdi.config.parts import SEVERAL, choose, parameters, spelt, wrong
from fdi.config.settings import Config

CONFIG_MODULE, CONFIG_NAME, VERSION = "fdi.conf", "config", "1.3"
ConfigStore.instance().store(name="schema", node=Config)


def _searchpath(folder: str) -> list[str]:
    """The override that adds the other places."""
    places = [f"file://{place}" for place in (folder, *package_folders()) if place]
    return [f"hydra.searchpath=[{','.join(map(quoted, places))}]"] if places else []


def source(arguments: Namespace) -> str:
    """The folder with the user's own options, "" without one, of the parsed command line. Raises
    ValueError for a --config-dir that is not there.
    """
    folder = arguments.config_dir
    if folder and not Path(folder).is_dir():
        raise ValueError(f"--config-dir {folder} is not a folder")
    return str(Path(folder).absolute()) if folder else ""


def quoted(word: str) -> str:
    """In quotes, for Hydra; of backslashes only those before a quote count."""
    escaped = re.sub(r"\\+(?='|$)", lambda match: 2 * match[0], word).replace("'", r"\'")
    return f"'{escaped}'"


@contextmanager
def _initialized() -> Iterator[None]:
    """Hydra, for as long as it composes; then it is what it was, for a program with a `hydra.main`
    of its own.
    """
    theirs, base = GlobalHydra.instance().hydra, getbase()
    GlobalHydra.instance().clear()
    try:
        with initialize_config_module(CONFIG_MODULE, version_base=VERSION):
            yield
    finally:
        GlobalHydra.instance().clear()
        if theirs:
            GlobalHydra.instance().initialize(theirs)
            setbase(str(base))


@contextmanager
def interpolating(config: Any) -> Iterator[None]:
    """`config` is where interpolations of Hydra's own node are looked up meanwhile."""
    before, HydraConfig.instance().cfg = HydraConfig.instance().cfg, config
    try:
        yield
    finally:
        HydraConfig.instance().cfg = before


def composed(source: str, overrides: Sequence[str]) -> DictConfig:
    """The configuration that `overrides` give, with Hydra's own node: options first, then the
    values. Raises ValueError, one line.
    """
    options = _options(source, overrides)
    config: DictConfig = pickle.loads(_pickled(source, options))
    for word in overrides:
        if word in options:
            continue
        key, value = _single(word).key_or_group, parsed(word).value()
        try:
            OmegaConf.update(config, key, value, merge=True)
        except OmegaConfBaseException as error:
            raise ValueError(explain(error, config.hydra.runtime.choices)) from None
        except OverflowError as error:  # OmegaConf's own, for an integer that no float can be
            raise ValueError(f"{key}: {str(error).splitlines()[0]}") from None
    return config


def lacking(source: str, overrides: Sequence[str]) -> set[str]:
    """The keys among `overrides` that configurations with their options do not have."""
    options = _options(source, overrides)
    keys = (word.partition("=")[0] for word in overrides if word not in options)
    return {key for key in keys if not _has(source, options, key)}


def fitting(source: str, overrides: Sequence[str]) -> tuple[str, ...]:
    """The `overrides` but for those of keys that their options lack."""
    lacks = lacking(source, overrides)
    return tuple(word for word in overrides if word.partition("=")[0] not in lacks)


@lru_cache(maxsize=2**16)
def _has(source: str, options: tuple[str, ...], key: str) -> bool:
    owner, _, name = key.rpartition(".")
    config = _composed(source, options)
    try:
        node = OmegaConf.select(config, owner) if owner else config
    except OmegaConfBaseException:
        return True  # what is wrong with it is said where it is set
    return name in [*node] if isinstance(node, DictConfig) else node is not None


@lru_cache(maxsize=512)
def _pickled(source: str, options: tuple[str, ...]) -> bytes:
    return pickle.dumps(_composed(source, options))


@lru_cache(maxsize=512)
def _composed(source: str, options: tuple[str, ...]) -> DictConfig:
    """Nobody changes it."""
    _refuse_nameless(source, options)
    try:
        with _initialized():
            config = compose(
                CONFIG_NAME, [*_searchpath(source), *options], return_hydra_config=True
            )
        name = None if OmegaConf.is_interpolation(config, "name") else config.get("name")
        if isinstance(name, DictConfig):
            with interpolating(config):
                OmegaConf.resolve(name)  # here, since it would be parsed anew for each cell
        return config
    except (HydraException, OmegaConfBaseException) as error:
        raise ValueError(explain(error)) from None
    except yaml.YAMLError as error:
        line = " ".join(str(error).split())
        raise ValueError(f"a file of the configuration cannot be read: {line}") from None
    except RecursionError:
        raise ValueError("files of the configuration nest too deeply or name each other") from None
    except (ValueError, TypeError, AttributeError, LookupError, ArithmeticError) as error:
        where = " ".join(options)  # Hydra's own, for model=3 and engine=[1], do not say it
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise ValueError(f"{where}: no configuration can be made of this ({reason})") from None


def _options(source: str, overrides: Sequence[str]) -> tuple[str, ...]:
    """Those that choose an option of a group, add or delete a key, or are Hydra's own."""

    def chooses(key: str) -> bool:
        if key.startswith(("+", "~", "hydra")) or "@" in key:
            return True
        return "." not in key and bool(_names(source, key))

    return tuple(word for word in overrides if chooses(word.partition("=")[0]))


@lru_cache
def _names(source: str, group: str) -> list[str]:
    """The options of a group; none where it is no group."""
    with _initialized():
        loader = GlobalHydra.instance().config_loader()
        return loader.get_group_options(group, overrides=_searchpath(source))


def _refuse_nameless(source: str, options: Sequence[str]) -> None:
    """Raises ValueError for several values, for an option of a group that is no name, where Hydra
    fails late and in words of its own, and for what fdi sets itself.
    """
    for word in options:
        key, _, value = word.partition("=")
        override = _single(word)
        if key.lstrip("+~").startswith(("hydra.run.", "hydra.sweep.")):
            raise ValueError(
                f"{word}: this is fdi's own; leave it out (paths.results=FOLDER says where runs "
                f"are kept)"
            )
        if not (key.isidentifier() and (names := _names(source, key))):
            continue
        given = override.value()
        if isinstance(given, list) and key == SEVERAL:
            for each in (str(each) for each in given if each not in names):
                raise ValueError(f"{key} = {each} does not exist; {choose(each, names)}")
        elif not isinstance(given, str):
            raise ValueError(
                f"{key} = {value} is not the name of an option; {choose(value, names)}"
            )


def _single(word: str) -> Override:
    """The override; raises ValueError for one with several values."""
    override = parsed(word)
    if override.is_sweep_override():
        raise ValueError(
            f"{word} has several values; add -m to run each of them, or write a list as key=[a,b]"
        )
    return override


@lru_cache(maxsize=2**16)
def parsed(word: str) -> Override:
    """An override, parsed; raises ValueError."""
    try:
        return OverridesParser.create().parse_overrides([word])[0]
    except HydraException as error:
        key, _, value = word.partition("=")
        if "=" in value and not {*value} & {*"'\"[](){},"}:  # a run's folder, as it is printed
            return parsed(f"{key}='{value}'")
        raise ValueError(explain(error)) from None


def forget() -> None:
    """Read the files of the configuration again where they are asked for next: in a notebook
    one's own change between two calls.
    """
    for known in (_has, _pickled, _composed, _names):
        known.cache_clear()


def extra_of(launcher: str) -> str:
    """How to install the plugin of Hydra that has a launcher, by the name of its option or of its
    class.
    """
    known = {"joblib": "parallel", "submitit": "slurm", "ray": "ray"}
    found = [known[word] for word in re.split(r"[._]", launcher) if word in known]
    return f"; pip install 'fdi-snn[{found[0]}]'" if found else ""


HIDDEN = ("hydra", "name", "identity", "_target_")  # not for users to set


def explain(error: Exception, chosen: Mapping[str, Any] | None = None) -> str:
    """One line for an error of composing a configuration with these `chosen` options."""
    cause = error.__cause__ if isinstance(error, HydraException) else error
    if isinstance(error, OverrideParseException):
        if "+" in error.override.partition("=")[0].lstrip("+"):
            return (
                f"cannot read '{error.override}'; keys that vary together stand in "
                f"hydra.sweeper.params of an experiment of your own (--config-dir); here give one "
                f"value of each"
            )
        return f"cannot read '{error.override}'; write key=value, a list as key=[1,2]"
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        group, _, option = error.missing_cfg_file.rpartition("/")
        if extra := extra_of(option) * (group == "hydra/launcher"):
            return f"{error.missing_cfg_file} needs a package that is not installed{extra}"
        hint = choose(option, error.options or [])
        return f"{group or 'config'} = {option} does not exist; {hint}"
    if isinstance(cause, ConfigAttributeError | ConfigKeyError) and cause.full_key:
        return _no_such_key(cause, chosen or {})
    if isinstance(cause, ValidationError) and cause.full_key:
        if is_dataclass(schema := cause.object_type):
            kind = parameters(schema)[str(cause.key)]
            return wrong(cause.full_key, cause.value, kind)
        return f"{cause.full_key} = {spelt(cause.value)} must be {str(cause).splitlines()[0]}"
    if isinstance(cause, InterpolationResolutionError | UnsupportedInterpolationType):
        where, line = cause.full_key or "a value", str(cause).splitlines()[0]
        return f"{where}: {line}; text must not contain ${{, which names another key"
    return " ".join((str(error) or str(cause)).split())


def _no_such_key(cause: Any, chosen: Mapping[str, Any]) -> str:
    node, (group, dot, _) = cause.parent_node, cause.full_key.partition(".")
    there = _keys(node)
    if not dot:  # keys below that are called so
        known = (name for name in there if not OmegaConf.is_missing(node, name))
        plain = (name for name in known if not OmegaConf.is_interpolation(node, name))
        if meant := [f"{name}.{cause.key}" for name in plain if cause.key in _keys(node[name])]:
            return f"{cause.full_key}: no such key; did you mean {' or '.join(meant)}?"
    hint = choose(str(cause.key), there)
    option = chosen.get(group) if dot and not hint.startswith("did you") else None
    of = f" of {group}={option}" if option else ""
    return f"{cause.full_key}: no such key{of}; {hint}"


def _keys(node: Any) -> list[str]:
    return [str(key) for key in node if key not in HIDDEN] if isinstance(node, DictConfig) else []
