"""The directory of a run. Its name ends with the beginning of a hash of the configuration, and
since equal beginnings are no proof, the configuration that is stored there is compared as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from fdi.config import identity
from fdi.track.configs import read_values
from fdi.track.layout import CHECKPOINT, CONFIG, METRICS, PROBE, RESULT, RUNS

LONGER = 32  # digits, where DIGITS are those of another configuration


def run_directory(config: DictConfig | Mapping[str, Any]) -> Path:
    """Where a run keeps its files, <dataset>/<model>/<init>/seed=<n>-<id> below results/runs: the
    folder with its configuration, of whatever length the id is, or the first one that is free.
    """
    content = identity.canonical(config)
    digits = identity.digest(content)
    folder = Path(config["paths"]["results"]) / RUNS / identity.run_folder(config)

    def named(length: int) -> Path:
        return folder / f"seed={config['seed']}-{digits[:length]}"

    former = named(identity.FORMER_DIGITS)
    if (former / CONFIG).exists() and _holds(former, config, content):
        return former
    lengths = (identity.DIGITS, LONGER)
    free = (path for path in map(named, lengths) if _holds(path, config, content))
    return next(free, named(len(digits)))


def refuse_other_config(directory: Path, config: DictConfig | Mapping[str, Any]) -> None:
    """Raises ValueError if another configuration than `config` is stored in `directory`."""
    if not _holds(directory, config, identity.canonical(config)):
        raise ValueError(
            f"{directory} is a run of another configuration, or its {CONFIG} cannot be read; give "
            f"the same command again, which then takes a folder of its own"
        )


def _holds(directory: Path, config: DictConfig | Mapping[str, Any], content: str) -> bool:
    """Whether `directory` is that of `config`, whose canonical form is `content`, or is free."""
    path = directory / CONFIG
    try:
        stored = read_values(path)
        return identity.canonical({**stored, "identity": config["identity"]}) == content
    except FileNotFoundError:
        return not any((directory / name).exists() for name in (RESULT, CHECKPOINT, METRICS, PROBE))
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return False


def _below_runs(root: DictConfig) -> str:
    return run_directory(root).relative_to(Path(root.paths.results) / RUNS).as_posix()


OmegaConf.register_new_resolver("run_name", lambda *, _root_: _below_runs(_root_), replace=True)
