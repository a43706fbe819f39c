"""What a configuration is: typed keys, ranges, and the identity of a run. Only Hydra and the
standard library; no torch.
"""

from __future__ import annotations

import copy
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from omegaconf import MISSING, DictConfig, OmegaConf

from fdi import devices, layout
from fdi.checks import complaints, impossible, out_of_range
from fdi.hydra_node import hydra_complaints, own_folders
from fdi.targets import ROLES

LONGEST_NAME = 100  # bytes
AUTO_ENGINE = {"cpu": "cpu", "cuda": "cuda"}  # by device
AUTO_MEMORY = {"cpu": 2.0, "cuda": 10.0}  # GiB by engine
DECIDES = {"reference": ("device", "threads"), "cuda": ("engine.memory",)}
"""Keys of identity.exclude that do change the numbers of an engine: in which order it adds up."""
ADDED = {
    "trainer.patience": None,
    "neuron.tau_shape": None,
    "optimizer.precision": "float32",
    "optimizer.eps": 1e-8,
}
"""Keys that came after the first runs. With these values a run is what it was without the key, so
there they do not count.
"""


def _number(least: float) -> Any:
    return field(default=MISSING, metadata={"least": least})


def _one_of(*choices: str) -> Any:
    return field(default=MISSING, metadata={"choices": choices})


@dataclass
class Bound:
    strength: float = _number(0)
    rate: float = _number(0)


@dataclass
class Homeostasis:
    joint: bool = MISSING
    prime_epochs: int = _number(0)
    upper: Bound = field(default_factory=Bound)
    lower: Bound = field(default_factory=Bound)


@dataclass
class Trainer:
    epochs: int = _number(1)
    batch_size: int = _number(1)
    readout: str = _one_of("max", "mean", "last")
    patience: int | None = _number(1)


@dataclass
class Engine:
    name: str = _one_of("auto", "cpu", "cuda", "reference")
    checkpoint: str = _one_of("none", "auto")
    memory: float | None = _number(0)


@dataclass
class Logger:
    mirror: Any = MISSING


@dataclass
class Paths:
    results: str = MISSING
    data: str = MISSING
    modules: list[str] = MISSING


@dataclass
class Name:
    dataset: str = MISSING
    model: str = MISSING
    init: str = MISSING
    experiment: str | None = MISSING


@dataclass
class Identity:
    exclude: list[str] = MISSING


@dataclass
class Config:
    """All keys of a run. `dataset`, `model`, `neuron`, `init` and `optimizer` hold a `_target_` and
    its keyword arguments.
    """

    name: Name = field(default_factory=Name)
    dataset: Any = MISSING
    model: Any = MISSING
    neuron: Any = MISSING
    init: Any = MISSING
    optimizer: Any = MISSING
    homeostasis: Homeostasis = field(default_factory=Homeostasis)
    trainer: Trainer = field(default_factory=Trainer)
    engine: Engine = field(default_factory=Engine)
    logger: Logger = field(default_factory=Logger)
    paths: Paths = field(default_factory=Paths)
    identity: Identity = field(default_factory=Identity)
    seed: int = _number(0)
    readout_init: str = _one_of("normal", "same", "fluct", "xavier", "pytorch", "orthogonal")
    device: str = _one_of("cpu", "cuda", "auto")
    threads: int | None = _number(1)
    probe: str = _one_of("before", "only", "none")
    dry_run: bool = MISSING


ConfigStore.instance().store(name="schema", node=Config)


def prepare(config: DictConfig) -> DictConfig:
    """The configuration a run sees: `settings` with closed keys."""
    return OmegaConf.create(settings(config), flags={"struct": True})


def settings(config: DictConfig) -> dict[str, Any]:
    """The values of a run: checked, what is auto decided, interpolations resolved, without
    Hydra's own node.

    `config`: as Hydra composed it, with HydraConfig set. Raises ValueError, one line, for a value
    out of range or of a wrong type.
    """
    hydra = HydraConfig.instance().cfg
    if problem := next(hydra_complaints(hydra), None):
        raise ValueError(problem)
    values = _plain(config)
    if problem := next(_complaints(values, own_folders(hydra)), None):
        raise ValueError(problem)
    return values


def _complaints(values: dict[str, Any], folders: list[str]) -> Iterator[str]:
    """Adds the `folders` that the user's own modules are in to `paths.modules`."""
    yield from impossible(values)
    yield from out_of_range(Config, values | {"device": _kind(values["device"])})
    values["paths"]["modules"] += [f for f in folders if f not in values["paths"]["modules"]]
    folders = [Path(folder) for folder in values["paths"]["modules"]]
    for key in values["identity"]["exclude"]:
        if not isinstance(key, str):
            yield f"identity.exclude = {key} must be the dotted name of a key"
    for key in ROLES:
        group, _, inner = key.partition(".")
        node = values[group][inner] if inner else values[group]
        if not inner or node is not None:
            yield from complaints(key, node, folders)
    for key, name in values["name"].items():
        if name is not None and not _is_component(name):
            yield (
                f"name.{key} = {name!r} must be a name for a folder: not empty, without .. and "
                f"control characters, at most {LONGEST_NAME} bytes"
            )
    if not values["paths"]["results"]:
        yield "paths.results is empty; give the folder for runs and figures"


def _is_component(name: str) -> bool:
    """Whether `folder_name(name)` is one component of a path below the folder it is in."""
    return (
        name.isprintable()
        and not set(name.split("/")) & {"", ".", ".."}
        and len(name.encode()) <= LONGEST_NAME
    )


def folder_name(name: str) -> str:
    """The name of an option as that of a folder: of one in a subfolder of its group, too."""
    return name.replace("/", "-")


def run_id(config: DictConfig | Mapping[str, Any]) -> str:
    """First 8 hex digits of the SHA-256 of the configuration without the keys of
    `identity.exclude`, but for those that decide the numbers of its engine.

    All GPUs of a machine are one device. The order of keys does not matter, whole floats count as
    integers (1 and 1.0 are the same run), and what is off does not count: bounds on the activity,
    early stopping, time constants of each neuron.
    """
    values = _plain(config) if isinstance(config, DictConfig) else copy.deepcopy(config)
    _drop_bounds_that_are_off(values.get("homeostasis", {}))
    for key, before in ADDED.items():
        *path, last = key.split(".")
        node = _below(values, path)
        if node.get(last, MISSING) == before:
            del node[last]
    kept = DECIDES.get(values["engine"]["name"], ())
    if "device" in kept:
        values["device"] = _kind(values["device"])
    for key in values["identity"]["exclude"]:
        if key in kept:
            continue
        *path, last = key.split(".")
        _below(values, path).pop(last, None)
    canonical = json.dumps(_canonical(values), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:8]


def run_name(config: DictConfig | Mapping[str, Any]) -> str:
    """<dataset>/<model>/<init>/seed=<n>-<id>."""
    names = config["name"]
    options = [folder_name(str(names[group])) for group in ("dataset", "model", "init")]
    return layout.run_name(*options, config["seed"], run_id(config))


def run_directory(config: DictConfig | Mapping[str, Any]) -> Path:
    """Where a run keeps its files."""
    return Path(config["paths"]["results"]) / layout.RUNS / run_name(config)


def _plain(config: DictConfig) -> dict[str, Any]:
    if "hydra" in config:
        config = OmegaConf.masked_copy(config, [key for key in config if key != "hydra"])
    values = OmegaConf.to_container(config, resolve=True)
    engine = values["engine"]
    if values.get("device") == "auto":
        values["device"] = "cuda" if devices.gpus() else "cpu"
    if engine["name"] == "auto":
        engine["name"] = AUTO_ENGINE.get(_kind(values["device"]), "auto")
    if engine["name"] == "reference" and values.get("threads", 1) is None:
        values["threads"] = 1
    if engine.get("memory", 0) is None:
        engine["memory"] = AUTO_MEMORY.get(engine["name"])
    return values


def _kind(device: Any) -> Any:
    """cuda for cuda:1."""
    return re.sub(r"^cuda:\d+$", "cuda", device) if isinstance(device, str) else device


def _drop_bounds_that_are_off(homeostasis: dict[str, Any]) -> None:
    if homeostasis and not (homeostasis["joint"] or homeostasis["prime_epochs"]):
        homeostasis.clear()
    for bound in ("upper", "lower"):
        if homeostasis and not homeostasis[bound]["strength"]:
            del homeostasis[bound]


def _below(values: dict[str, Any], path: list[str]) -> dict[str, Any]:
    for part in path:
        values = values.get(part) or {}
    return values


def _canonical(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _canonical(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_canonical(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


OmegaConf.register_new_resolver("run_name", lambda *, _root_: run_name(_root_), replace=True)
