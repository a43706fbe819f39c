"""What Hydra and OmegaConf complain about, in one line: what, the value, the valid choices."""

from __future__ import annotations

import re
from dataclasses import is_dataclass
from typing import Any

from hydra.errors import MissingConfigException, OverrideParseException
from omegaconf import DictConfig
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, ValidationError

from fdi.config.checks import words
from fdi.config.wording import choose, shown

EXTRAS = {  # that come with plugins of Hydra
    "hydra/launcher/joblib": "parallel",
    "hydra/launcher/submitit_local": "slurm",
    "hydra/launcher/submitit_slurm": "slurm",
    "hydra/sweeper/optuna": "optuna",
    "hydra_joblib_launcher": "parallel",
    "hydra_submitit_launcher": "slurm",
    "hydra_ray_launcher": "ray",
    "hydra_optuna_sweeper": "optuna",
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
        return f"{cause.full_key}: no such key; {choose(str(cause.key), _keys(cause.parent_node))}"
    if isinstance(cause, ValidationError) and cause.full_key:
        return f"{cause.full_key} = {shown(cause.value)} must be {_expected(cause)}"
    return " ".join((str(error) or str(cause)).split())


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
