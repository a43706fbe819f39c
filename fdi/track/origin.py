"""Whether the data and the user's own code at hand are those of a run: the checksum of the data and
what the code says belong to its numbers, the folders that they lie in do not.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from fdi.config import own_code, targets
from fdi.data.stamps import stamps
from fdi.track.files import read_json
from fdi.track.layout import RECORD


def fingerprint(dataset: Mapping[str, Any]) -> str | None:
    """16 hex digits of a hash over names, sizes and times of the files below `dataset.root`, and of
    other files and folders that its keys name; None without any. The same fingerprint means
    the same data, another one need not mean others.
    """
    root = Path(dataset.get("root") or "").expanduser().absolute()
    places = [root] if dataset.get("root") else []
    for key, value in dataset.items():
        if key != "root" and isinstance(value, str):
            near = [Path(value).expanduser().absolute(), *([root / value] if ".." in value else [])]
            places += [path for path in near if _is_place(value, path)]
    files = {file for place in places for file in stamps(place)}
    lines = sorted(f"{name!r} {' '.join(map(str, numbers))}" for name, *numbers in files)
    return hashlib.blake2b("\n".join(lines).encode(), digest_size=8).hexdigest() if files else None


def unchanged(
    dataset: Mapping[str, Any],
    directory: Path,
    fingerprint: Callable[[Mapping[str, Any]], str | None] = fingerprint,
) -> bool:
    """Whether one can tell without reading the data of a finished run that they are still the same,
    or no longer there. What fdi generates follows from the configuration.
    """
    record = _record(directory)
    if "data_checksum" not in record:
        return True
    if not dataset.get("root"):
        return str(dataset.get("_target_")).startswith("fdi.")
    return fingerprint(dataset) in (None, record["run"].get("data_files"))


def refuse_other_data(
    directory: Path, dataset: Mapping[str, Any], checksum: str, known: Any = None
) -> None:
    """Raises ValueError unless `checksum` is that of the run: `known`, else the one in its
    record.
    """
    if known is None:
        known = _record(directory).get("data_checksum", checksum)
    if known != checksum:
        raise ValueError(
            f"{directory} was run on data with checksum {known}, but those in "
            f"{dataset.get('root') or dataset.get('_target_')} have {checksum}; give them another "
            f"name with name.dataset=NAME, or delete the folder of that run"
        )


def code(config: Mapping[str, Any]) -> dict[str, str]:
    """A hash of the user's own code behind each part that makes numbers."""
    folders = _modules(config)
    hashes = {key: own_code.code(name, folders) for key, name in _behind(config).items()}
    return {key: value for key, value in hashes.items() if value}


def refuse_other_code(directory: Path, config: Mapping[str, Any]) -> None:
    """Raises ValueError unless the user's own code is that of the run, if its record has one."""
    behind = _behind(config)
    for key, known in _record(directory).get("run", {}).get("code", {}).items():
        target, name = behind[key], key if key in config["name"] else "model"
        if not own_code.same(known, target, _modules(config)):
            raise ValueError(
                f"{directory} was run with other code: {target}, a module that it imports or a "
                f"file beside them has changed since; give the new code another name with "
                f"name.{name}=NAME, or delete the folder of that run"
            )


def _behind(config: Mapping[str, Any]) -> dict[str, str]:
    """The dotted names of what makes numbers, those of fdi among them."""
    named = {key: config[key]["_target_"] for key in targets.ROLES if config.get(key)}
    surrogate = str(config["neuron"].get("surrogate")) if "neuron" in config else ""
    return named | ({"surrogate": surrogate} if "." in surrogate else {})


def _modules(config: Mapping[str, Any]) -> list[Path]:
    return [Path(folder) for folder in config["paths"]["modules"]]


def _is_place(value: str, path: Path) -> bool:
    """Whether the text means the file `path`, or with a / in it the folder."""
    return os.path.isfile(path) or ("/" in value and os.path.isdir(path))


def _record(directory: Path) -> dict[str, Any]:
    record = read_json(directory / RECORD)
    if isinstance(record, dict) and isinstance(record.get("run"), dict):
        return record
    return {}
