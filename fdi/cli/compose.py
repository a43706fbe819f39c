"""The configurations of cells, as Hydra's `compose` gives them, and what it complains about in one
line. What the chosen options give, which takes 0.1 s, is composed once for all cells that choose
the same; their other values are then set on a copy.
"""

from __future__ import annotations

import difflib
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
from hydra.core.object_type import ObjectType
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
from fdi.config.parts import MEANT, ROLES, SEVERAL, choose, parameters, spelt, wrong
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
            raise ValueError(explain(error, config.hydra.runtime.choices, value)) from None
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
    words = [*_searchpath(source), *(_of_pair(source, word) for word in options)]
    try:
        with _initialized():
            config = compose(CONFIG_NAME, words, return_hydra_config=True)
        if source or any("searchpath" in word for word in options):
            _refuse_idle_files(config.hydra)
        name = None if OmegaConf.is_interpolation(config, "name") else config.get("name")
        if isinstance(name, DictConfig):
            with interpolating(config):
                OmegaConf.resolve(name)  # here, since it would be parsed anew for each cell
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
    _refuse_untuned(source, config.hydra.runtime.choices)
    return config


def _options(source: str, overrides: Sequence[str]) -> tuple[str, ...]:
    """Those that choose an option of a group, add or delete a key, or are Hydra's own."""

    def chooses(key: str) -> bool:
        if key.startswith(("+", "~", "hydra")) or "@" in key:
            return True
        return "." not in key and bool(_names(source, key))

    return tuple(word for word in overrides if chooses(word.partition("=")[0]))


@lru_cache
def _names(source: str, group: str, kind: ObjectType = ObjectType.CONFIG) -> list[str]:
    """The options of a group, or those of another `kind`; none where it is no group."""
    with _initialized():
        loader = GlobalHydra.instance().config_loader()
        return loader.get_group_options(group, kind, overrides=_searchpath(source))


def _of_pair(source: str, word: str) -> str:
    """For tuned=NAME, a folder with values for several pairs, its file for data set and model."""
    key, _, name = word.partition("=")
    folder = key == "tuned" and name.isidentifier() and _names(source, f"tuned/{name}")
    return f"tuned='{name}/${{dataset}}_${{model}}'" if folder else word


def _refuse_untuned(source: str, choices: Mapping[str, Any]) -> None:
    """Raises ValueError for values that were asked for and are not there: to Hydra they are
    optional.
    """
    chosen, pair = str(choices.get("tuned")), f"{choices.get('dataset')}_{choices.get('model')}"
    folder, slash, _ = chosen.rpartition("/")
    if not slash and chosen != pair and chosen not in (known := _names(source, "tuned")):
        folders = _names(source, "tuned", ObjectType.GROUP)
        raise ValueError(f"tuned = {chosen} does not exist; {choose(chosen, [*folders, *known])}")
    if slash and pair not in (known := _names(source, f"tuned/{folder}")):
        has = ", ".join(known) or "no values"
        raise ValueError(f"tuned = {folder} has no values for {pair}; there are {has}")


ACTS = ("launcher", "searchpath", "sweeper")  # the nodes of Hydra that do something here
INSTEAD = {
    "callbacks": "nothing calls them; a logger of your own sees each epoch (conf/logger)",
    "job": "a run stays in the folder of its command, with the environment of that",
    "mode": "-m makes a command a sweep",
    "output_subdir": "run.json holds the configuration of a run",
    **dict.fromkeys(("run", "sweep", "output"), "paths.results=FOLDER is where runs are kept"),
    **dict.fromkeys(("env", "overrides", "runtime"), "what you set are words of the command"),
    **dict.fromkeys(("help", "hydra_help"), "fdi-run --help lists options and keys"),
    **dict.fromkeys(
        ("hydra_logging", "job_logging", "verbose"),
        "a run writes run.log, and in a sweep output.log",
    ),
}
"""The others, and fdi's way."""


def is_hydras(word: str) -> bool:
    """Whether an override is of Hydra's own node."""
    return bool(re.match(r"[+~]*hydra([./=]|$)", word))


def _refuse_idle(word: str, override: Override) -> None:
    """Raises ValueError for a word of Hydra's own node that would do nothing."""
    _, node, *below = re.split("[./]", f"{override.key_or_group}.")
    if node not in ACTS:
        raise ValueError(f"{word}: {_leave_out(node)}")
    if override.is_delete() or override.key_or_group in ("hydra.launcher", "hydra.sweeper"):
        raise ValueError(f"{word}: a {node} is chosen by its name, as in hydra/{node}=basic")
    if below[:1] == ["params"]:
        raise ValueError(f"{word}: the keys of a sweep are words of the command, as in seed=0,1")


def _refuse_idle_files(hydra: Any) -> None:
    """Raises ValueError where files of the user's own set what does nothing in Hydra's node."""
    mine, usual = hydra.copy(), _composed("", ()).hydra
    mine.job.override_dirname = usual.job.override_dirname  # of the words of the command
    for node in INSTEAD.keys() & {*usual} - {"overrides", "runtime"}:
        own, fdis = (
            OmegaConf.to_container(OmegaConf.masked_copy(config, node)) for config in (mine, usual)
        )
        if own != fdis:
            raise ValueError(f"hydra.{node} is set in a file of yours: {_leave_out(node)}")


def _leave_out(node: str) -> str:
    return f"leave it out; {INSTEAD.get(node) or choose(node, ACTS)}"


def _refuse_nameless(source: str, options: Sequence[str]) -> None:
    """Raises ValueError for several values, for an option of a group that is no name, where Hydra
    fails late and in words of its own, and for words of Hydra's that do nothing.
    """
    for word in options:
        key, _, value = word.partition("=")
        override = _single(word)
        if is_hydras(word):
            _refuse_idle(word, override)
        if override.is_delete() and override.key_or_group in {*ROLES} - {SEVERAL}:
            names = _names(source, override.key_or_group)
            raise ValueError(f"{word}: each run has one; choose one of {', '.join(names)}")
        group = key.isidentifier() or key == "hydra/launcher"
        if not (group and (names := _names(source, key))):
            continue
        given = override.value()
        if isinstance(given, list) and key == SEVERAL:
            for each in (str(name) for name in given if name not in names):
                raise ValueError(f"{key} = {each} does not exist; {choose(each, names)}")
        elif not isinstance(given, str):
            raise ValueError(
                f"{key} = {value} is not the name of an option; {choose(value, names)}"
            )


def matching(source: str, override: Override) -> list[str]:
    """Those of a group that a glob(...) names; raises ValueError where there are none."""
    pattern: Any = override.value()
    names = _names(source, override.key_or_group)
    if not (filtered := pattern.filter(names)):
        none = f"is called so; choose one of {', '.join(names)}" if names else "can be: no group"
        raise ValueError(f"{override.input_line}: no option of {override.key_or_group} {none}")
    return filtered


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


READ = {".npz": "arrays", ".csv": "arrays", ".h5": "hdf5", ".hdf5": "hdf5", ".ts": "ts"}
HIDDEN = ("hydra", "name", "identity", "_target_")  # not for users to set


def explain(error: Exception, chosen: Mapping[str, Any] | None = None, value: Any = None) -> str:
    """One line for an error of composing a configuration with these `chosen` options, or of setting
    a key to `value`.
    """
    cause = error.__cause__ if isinstance(error, HydraException) else error
    if isinstance(error, OverrideParseException):
        if "+" in error.override.partition("=")[0].lstrip("+"):
            return (
                f"cannot read '{error.override}'; keys that vary together stand in "
                f"hydra.sweeper.params of an experiment of your own (--config-dir); here give one "
                f"value of each"
            )
        return f"cannot read '{error.override}'; write key=value, a list as key=[1,2]"
    if several := re.match(r"Multiple values for (\S+)\.", str(error)):  # +experiment=depth
        return f"{several[1]} is chosen without a +, as in {several[1]}=NAME"
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        return _no_such_option(error.missing_cfg_file, error.options or [])
    if isinstance(cause, ConfigAttributeError | ConfigKeyError) and cause.full_key:
        return _no_such_key(cause, chosen or {}, value)
    if isinstance(cause, ValidationError) and cause.full_key:
        if is_dataclass(schema := cause.object_type):
            kind = parameters(schema)[str(cause.key)]
            return wrong(cause.full_key, cause.value, kind)
        return f"{cause.full_key} = {spelt(cause.value)} must be {str(cause).splitlines()[0]}"
    if isinstance(cause, InterpolationResolutionError | UnsupportedInterpolationType):
        where, line = cause.full_key or "a value", str(cause).splitlines()[0]
        return f"{where}: {line}; text must not contain ${{, which names another key"
    return " ".join((str(error) or str(cause)).split())


def _no_such_option(given: str, known: Sequence[str]) -> str:
    """For group/option, of those that are `known`."""
    group, _, option = given.rpartition("/")
    if extra := extra_of(option) * (group == "hydra/launcher"):
        return f"{given} needs a package that is not installed{extra}"
    path = given.removeprefix("dataset/")
    if path != given and (read := READ.get(Path(path).suffix, "arrays" * ("/" in path))):
        name = "root=FOLDER dataset.train_file" if read == "hdf5" else "file"
        hint = f"for your own file write dataset={read} dataset.{name}={path}"
        return f"dataset = {path} does not exist; {hint}"
    return f"{group or 'config'} = {option} does not exist; {choose(option, known)}"


def _no_such_key(cause: Any, chosen: Mapping[str, Any], value: Any) -> str:
    node, (group, dot, _) = cause.parent_node, cause.full_key.partition(".")
    there = _keys(node)
    if not dot:  # options, and keys below, that are called so
        if "seeds" in cause.key:
            return f"{cause.key}: no such key; did you mean -m 'seed=range(5)'?"
        groups = [name for name in (*ROLES, "experiment") if value in _names("", name)]
        if meant := difflib.get_close_matches(cause.key, groups, n=1, cutoff=0):
            return f"{cause.key}: no such key; did you mean {meant[0]}={value}?"
        wanted = MEANT.get(cause.key, cause.key)
        known = (name for name in there if not OmegaConf.is_missing(node, name))
        plain = (name for name in known if not OmegaConf.is_interpolation(node, name))
        if meant := [f"{name}.{wanted}" for name in plain if wanted in _keys(node[name])]:
            return f"{cause.full_key}: no such key; did you mean {' or '.join(meant)}?"
    if cause.full_key.startswith("hydra.launcher."):
        where = f"this launcher has {', '.join(there)}" if there else "this launcher has none"
        return f"{cause.full_key}: no such key; {where}; choose another one by hydra/launcher=NAME"
    hint = choose(str(cause.key), there)
    option = chosen.get(group) if dot and not hint.startswith("did you") else None
    where = f" of {group}={option}" if option else ""
    return f"{cause.full_key}: no such key{where}; {hint}"


def _keys(node: Any) -> list[str]:
    return [str(key) for key in node if key not in HIDDEN] if isinstance(node, DictConfig) else []
