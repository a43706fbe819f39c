"""The values of a run: composed by Hydra, checked, what is auto decided."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any, cast, get_origin, get_type_hints

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, Node, OmegaConf

from fdi.config.checks import complaints, impossible, out_of_range, words
from fdi.config.hydra_node import hydra_complaints, own_folders
from fdi.config.identity import kind_of, plain
from fdi.config.physics import nonsense
from fdi.config.schema import Config
from fdi.config.targets import OPTIONAL, ROLES

LONGEST_NAME = 100  # bytes


def prepare(config: DictConfig) -> DictConfig:
    """The configuration a run sees: `settings` with closed keys."""
    return OmegaConf.create(settings(config), flags={"struct": True})


def settings(config: DictConfig) -> dict[str, Any]:
    """The values of a run: checked, what is auto decided, interpolations resolved, without
    Hydra's own node.

    `config`: as Hydra composed it, with HydraConfig set. Raises ValueError, one line, for a value
    out of range or of a wrong type.
    """
    hydra: Any = HydraConfig.instance().cfg
    if problem := next(hydra_complaints(hydra), None) or next(replaced(config), None):
        raise ValueError(problem)
    values = plain(config)
    if problem := next(_complaints(values, own_folders(hydra)), None):
        raise ValueError(problem)
    return values


def replaced(config: DictConfig, schema: type = Config, path: str = "") -> Iterator[str]:
    """Complaints about nodes with fixed keys, and lists, in whose place the configuration names
    something else.
    """
    for key, hint in get_type_hints(schema).items():
        node = config._get_node(key) if is_dataclass(hint) else None
        missing = OmegaConf.is_missing(config, key)
        if get_origin(hint) is list and not missing and not OmegaConf.is_list(config[key]):
            given = cast(Node, config._get_node(key))._value()
            yield f"{path}{key} = {given} must be a list, as in {path}{key}=[a,b]"
        if not isinstance(node, DictConfig):
            continue
        if node._is_interpolation():
            yield f"{path}{key} = {node._value()} must be {words(schema, key)}"
        elif not node._is_missing():
            yield from replaced(node, cast(type, hint), f"{path}{key}.")


def _complaints(values: dict[str, Any], folders: list[str]) -> Iterator[str]:
    """Adds the `folders` that the user's own modules are in to `paths.modules`."""
    yield from impossible(values)
    yield from out_of_range(Config, values | {"device": kind_of(values["device"])})
    values["paths"]["modules"] += [f for f in folders if f not in values["paths"]["modules"]]
    modules = [Path(folder) for folder in values["paths"]["modules"]]
    for key in values["identity"]["exclude"]:
        if not isinstance(key, str):
            yield f"identity.exclude = {key} must be the dotted name of a key"
        elif _is_value(values, key.rpartition(".")[0]):
            yield f"identity.exclude: {key.rpartition('.')[0]} has no keys; leave {key} out"
    for key in ROLES:
        group, _, inner = key.partition(".")
        node = values[group][inner] if inner else values[group]
        if node is not None or not (inner or key in OPTIONAL):
            yield from complaints(key, node, modules)
    yield from nonsense(values)
    for key, name in values["name"].items():
        if name is not None and not _is_component(name):
            yield (
                f"name.{key} = {name!r} must be a name for a folder: not empty, without .. and "
                f"control characters, at most {LONGEST_NAME} bytes"
            )
    if not values["paths"]["results"]:
        yield "paths.results is empty; give the folder for runs and figures"


def _is_value(values: Any, path: str) -> bool:
    """Whether there is something else than a node with keys on the way."""
    for key in path.split(".") if path else []:
        if not isinstance(values, Mapping):
            return True
        values = values.get(key)
    return values is not None and not isinstance(values, Mapping)


def _is_component(name: str) -> bool:
    """Whether `folder_name(name)` is one component of a path below the folder it is in."""
    return (
        name.isprintable()
        and not set(name.split("/")) & {"", ".", ".."}
        and len(name.encode()) <= LONGEST_NAME
    )
