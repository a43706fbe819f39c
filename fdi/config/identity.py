"""The identity of a run: what of its configuration can change its numbers."""

from __future__ import annotations

import copy
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from fdi.config import parts
from fdi.config.own_code import package_folders


def gpus() -> int:
    """How many devices are visible here that PyTorch calls cuda; to import it takes a second."""
    torch: Any = import_module("torch")
    return int(torch.cuda.device_count())


def own_folders(config: DictConfig) -> list[str]:
    """The folders that --config-dir and hydra.searchpath name and those they lie in, absolute."""
    sources = OmegaConf.select(config, "hydra.runtime.config_sources") or []
    folders = [Path(source.path).absolute() for source in sources if source.schema == "file"]
    folders = [folder for folder in folders if folder not in package_folders()]
    return list(
        dict.fromkeys(str(place) for folder in folders for place in (folder, folder.parent))
    )


def contents(node: DictConfig, resolve: bool = True) -> dict[str, Any]:
    """What a node holds, in Python's own types."""
    values: Any = OmegaConf.to_container(node, resolve=resolve)
    return values


NUMERICS = 3
"""Counts the changes after which the same run has other numbers: it is raised when a golden run
(tests/test_golden.py) changes, with an entry under "Numbers" in CHANGELOG.md, and runs with another
one are in no row and no pair with those of this one.
"""
PLACES = {
    "fdi.data.series.ts": ("file", "test_file"),
    "fdi.data.arrays.arrays": ("file",),
    "fdi.init.warm.FromRun": ("run",),
}
"""Keys that say where files are: a name and a checksum count instead."""


def canonical(config: Mapping[str, Any]) -> str:
    """The configuration as JSON, without the keys of `identity.exclude`, but for those that decide
    the numbers of its engine, and without those that have their value in `identity.neutral`: two
    configurations are the same run where these texts are equal.

    A key is neutral where it says what fdi did before there was this key, which need not be its
    default; keys within a node come before the node. All GPUs of a machine are one device. The
    order of keys does not matter, whole floats count as integers (1 and 1.0 are the same run), and
    what is off does not count: activity regularization, a schedule.
    """
    values = _canonical(plain(config) if isinstance(config, DictConfig) else config)
    _drop_what_is_off(values)
    for node in values.values():
        for place in PLACES.get(str(node.get("_target_")), ()) if isinstance(node, dict) else ():
            node.pop(place, None)
    kept = values["engine"].get("decides", ())  # in which order an engine adds up
    if "device" in kept:
        values["device"] = device_kind(values["device"])
    known = values["identity"].get("neutral", {})
    for key, neutral in sorted(known.items(), key=lambda item: -item[0].count(".")):
        node, last = _owner(values, key)
        if last in node and parts.equal(node[last], neutral):
            del node[last]
    for key in values["identity"]["exclude"]:
        node, last = _owner(values, key)
        if key not in kept:
            node.pop(last, None)
    return json.dumps(values, sort_keys=True, separators=(",", ":"))


def run_id(config: Mapping[str, Any]) -> str:
    """The first 16 digits of the SHA-256 of what `canonical` gives."""
    return hashlib.sha256(canonical(config).encode()).hexdigest()[:16]


LABELS = ("dataset", "model", "init")


def run_folder(config: Mapping[str, Any]) -> str:
    """<dataset>/<model>/<init>, the folder that the runs of these options are in."""
    return "/".join(folder_name(str(config["name"][group])) for group in LABELS)


def folder_name(name: str) -> str:
    """The name of an option as that of a folder: of one in a subfolder of its group, too."""
    return name.replace("/", "-")


def plain(config: DictConfig, folders: Sequence[str] | None = None) -> dict[str, Any]:
    """The values of a run without Hydra's own node: interpolations resolved, auto decided, the
    `folders` of own modules (else `own_folders`) in `paths.modules`, and with what its parts have
    where it does not say it.
    """
    values: dict[str, Any] = {}
    for key in (str(key) for key in config if key != "hydra"):
        value: Any = "???" if OmegaConf.is_missing(config, key) else config[key]
        values[key] = contents(value) if OmegaConf.is_config(value) else value
    if values.get("device") == "auto":
        values["device"] = "cuda" if gpus() else "cpu"
    modules = _owner(values, "paths.modules")[0].get("modules")
    if isinstance(modules, list):
        more = own_folders(config) if folders is None else folders
        modules += [folder for folder in more if folder not in modules]
    if isinstance(values.get("engine"), dict):
        values["engine"] = _chosen(values["engine"], values)
        if "threads" in values["engine"].get("decides", ()) and values.get("threads", 1) is None:
            values["threads"] = 1
    places = [Path(str(folder)) for folder in modules] if isinstance(modules, list) else []
    for key in parts.ROLES:
        if isinstance(values.get(key), dict):
            values[key] = parts.complete(key, values[key], places)
    return values


def _chosen(engine: dict[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """The node of the first engine of `among`, if there is a choice, that lacks nothing, with what
    is said of its own keys. Keys that only others take must have the value that they have there.
    """
    if not isinstance(engine.get("among"), list):
        return engine
    candidates = [parts.option("engine", str(name)) for name in engine["among"]]
    for node in filter(None, candidates):
        made: Any = parts.resolve("engine", node["_target_"], [])
        if not made.lacks(values):
            said = {
                key: value
                for key, value in engine.items()
                if key not in ("name", "among") and value is not None
            }
            for key in said.keys() - node.keys():
                if any(key in other and other[key] == said[key] for other in candidates):
                    del said[key]
            return copy.deepcopy(node) | said
    return engine


def device_kind(device: Any) -> Any:
    """cuda for cuda:1."""
    return re.sub(r"^cuda:\d+$", "cuda", device) if isinstance(device, str) else device


def _drop_what_is_off(values: dict[str, Any]) -> None:
    if values.get("scheduler") is None:
        values.pop("scheduler", None)
    homeostasis = values.get("homeostasis", {})
    if homeostasis and not (homeostasis["joint"] or homeostasis["prime_epochs"]):
        homeostasis.clear()
    for bound in ("upper", "lower"):
        if homeostasis and not homeostasis[bound]["strength"]:
            del homeostasis[bound]


def _owner(values: dict[str, Any], key: str) -> tuple[dict[str, Any], str]:
    """The node that a dotted key is in, an empty one if there is none, and its last word."""
    *path, last = key.split(".")
    for name in path:
        below = values.get(name)
        values = below if isinstance(below, dict) else {}
    return values, last


def _canonical(value: Any) -> Any:
    """A copy of nested values, in which whole floats are integers."""
    if isinstance(value, Mapping):
        return {key: _canonical(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_canonical(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
