"""The identity of a run: what of its configuration can change its numbers, and the name of its
directory.
"""

from __future__ import annotations

import copy
import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

from omegaconf import MISSING, DictConfig, OmegaConf

from fdi.config import devices

AUTO_ENGINE = {"cpu": "cpu", "cuda": "cuda"}  # by device
AUTO_MEMORY = {"cpu": 2.0, "cuda": 10.0}  # GiB by engine
DECIDES = {"reference": ("device", "threads"), "cuda": ("engine.memory",)}
"""Keys of identity.exclude that do change the numbers of an engine: in which order it adds up."""
ADDED = {
    "trainer.patience": None,
    "trainer.stop_at_loss": None,
    "trainer.clip": None,
    "trainer.label_smoothing": None,
    "scheduler": None,
    "dataset.crop": None,
    "dataset.flip": None,
    "dataset.drop": None,
    "neuron.tau_shape": None,
    "optimizer.precision": "float32",
    "optimizer.eps": 1e-8,
}
"""Keys that came after the first runs. With these values a run is what it was without the key, so
there they do not count.
"""


def run_id(config: DictConfig | Mapping[str, Any]) -> str:
    """First 8 hex digits of the SHA-256 of the configuration without the keys of
    `identity.exclude`, but for those that decide the numbers of its engine.

    All GPUs of a machine are one device. The order of keys does not matter, whole floats count as
    integers (1 and 1.0 are the same run), and what is off does not count: bounds on the activity,
    early stopping, a schedule, augmentation, time constants of each neuron.
    """
    values: Any = plain(config) if isinstance(config, DictConfig) else copy.deepcopy(config)
    _drop_bounds_that_are_off(values.get("homeostasis", {}))
    for key, before in ADDED.items():
        *path, last = key.split(".")
        node = _below(values, path)
        if node.get(last, MISSING) == before:
            del node[last]
    kept = DECIDES.get(values["engine"]["name"], ())
    if "device" in kept:
        values["device"] = kind_of(values["device"])
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
    return f"{'/'.join(options)}/seed={config['seed']}-{run_id(config)}"


def folder_name(name: str) -> str:
    """The name of an option as that of a folder: of one in a subfolder of its group, too."""
    return name.replace("/", "-")


def plain(config: DictConfig) -> dict[str, Any]:
    """The values of a run without Hydra's own node: interpolations resolved, auto decided."""
    if "hydra" in config:
        config = OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])
    values: Any = OmegaConf.to_container(config, resolve=True)
    engine = values["engine"]
    if values.get("device") == "auto":
        values["device"] = "cuda" if devices.gpus() else "cpu"
    if engine["name"] == "auto":
        engine["name"] = AUTO_ENGINE.get(kind_of(values["device"]), "auto")
    if engine["name"] == "reference" and values.get("threads", 1) is None:
        values["threads"] = 1
    if engine.get("memory", 0) is None:
        engine["memory"] = AUTO_MEMORY.get(engine["name"])
    return values


def kind_of(device: Any) -> Any:
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
        found = values.get(part)
        values = found if isinstance(found, dict) else {}
    return values


def _canonical(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _canonical(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_canonical(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


OmegaConf.register_new_resolver("run_name", lambda *, _root_: run_name(_root_), replace=True)
