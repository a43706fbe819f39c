"""Hydra's own part of a configuration: what of it fdi refuses, and where it came from."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

PLUGIN = re.compile(r"(hydra_plugins|hydra\._internal\.core_plugins)\.[\w.]+")
SAMPLER = re.compile(r"optuna\.samplers\.\w+")
HANDLER = re.compile(r"logging\.((Stream|Null|File)Handler|Formatter)")
LOG_FILE = re.compile(r"\$\{hydra\.runtime\.output_dir\}/(\$\{hydra\.job\.name\}|[\w-]+)\.log")
SWEEP_DIR, SUBDIR = "${paths.results}/runs", "${run_name:}"  # as in conf/config.yaml
RUN_DIR = f"{SWEEP_DIR}/{SUBDIR}"
AT_LEAST_ONE = (
    "launcher.cpus_per_task",
    "launcher.cells_per_gpu",
    "launcher.batch_size",
    "sweeper.max_batch_size",
    "sweeper.n_trials",
    "sweeper.n_jobs",
)


def own_folders(config: DictConfig | None) -> list[str]:
    """The folders that --config-dir and hydra.searchpath name and those they lie in, absolute."""
    sources = config.hydra.runtime.config_sources if config else []
    folders = [Path(source.path).absolute() for source in sources if source.schema == "file"]
    return list(
        dict.fromkeys(str(place) for folder in folders for place in (folder, folder.parent))
    )


def hydra_complaints(config: DictConfig | None) -> Iterator[str]:
    """Complaints about Hydra's node of `config`: ways to call any function of Python, and numbers
    that a launcher cannot work with.
    """
    if not config:
        return
    node = config.hydra
    yield from _elsewhere(node)
    if node.callbacks:
        yield "hydra.callbacks: fdi runs no callbacks; leave it out"
    for part in ("launcher", "sweeper"):
        settings = dict(_plain(node[part]))
        target = str(settings.pop("_target_", ""))
        if not PLUGIN.fullmatch(target):
            yield f"hydra.{part}._target_ = {target} is no plugin of Hydra; see hydra/{part}"
        yield from _calls(settings, f"hydra.{part}")
    if OmegaConf.select(node, "sweeper.custom_search_space"):
        yield "hydra.sweeper.custom_search_space: fdi does not use it; give hydra.sweeper.params"
    for part in ("job_logging", "hydra_logging"):
        yield from _calls(_plain(node[part]), f"hydra.{part}")
    if (jobs := OmegaConf.select(node, "launcher.n_jobs")) is not None and not (
        isinstance(jobs, int) and (jobs >= 1 or jobs == -1)
    ):
        yield f"hydra.launcher.n_jobs = {jobs} must be at least 1, or -1 for all cores"
    for key in AT_LEAST_ONE:
        value = OmegaConf.select(node, key)
        if value not in (None, "auto") and not (str(value).isdecimal() and int(value) >= 1):
            yield f"hydra.{key} = {value} must be at least 1"


def _elsewhere(node: DictConfig) -> Iterator[str]:
    """Complaints about folders that fdi does not write to."""
    places = {"run.dir": RUN_DIR, "sweep.dir": SWEEP_DIR, "sweep.subdir": SUBDIR}
    for key, ours in places.items():
        group, _, name = key.partition(".")
        given = _plain(node[group]).get(name)
        if given != ours:
            yield (
                f"hydra.{key} = {given}: fdi keeps runs below paths.results; give that instead, as "
                f"in paths.results=FOLDER"
            )


def contents(node: DictConfig, resolve: bool = True) -> dict[str, Any]:
    """What a node holds, in Python's own types."""
    values: Any = OmegaConf.to_container(node, resolve=resolve)
    return values


def _plain(node: DictConfig | None) -> dict[str, Any]:
    return contents(node, resolve=False) if isinstance(node, DictConfig) else {}


def _calls(value: Any, path: str) -> Iterator[str]:
    """Keys by which Hydra and logging.config are told what to call, at any depth."""
    items = value.items() if isinstance(value, Mapping) else enumerate(value)
    for key, item in items:
        here = f"{path}.{key}"
        if here == "hydra.sweeper.sampler._target_" and SAMPLER.fullmatch(str(item)):
            continue
        if key in ("_target_", "()") or (key == "class" and not HANDLER.fullmatch(str(item))):
            yield f"{here} = {item}: fdi calls nothing from there; leave it out"
        elif key == "filename" and not LOG_FILE.fullmatch(str(item)):
            yield (
                f"{here} = {item}: a log must lie in the folder of the run; give "
                f"${{hydra.runtime.output_dir}}/NAME.log"
            )
        elif isinstance(item, Mapping | list):
            yield from _calls(item, here)
