"""The directory of a run. Its name ends with the beginning of a hash of the configuration, and
since equal beginnings are no proof, the configuration that is stored there is compared as well.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from omegaconf import DictConfig, OmegaConf

from fdi.config import identity, parts
from fdi.config.identity import NUMERICS
from fdi.data.dataset import stamps
from fdi.track.files import (
    CHECKPOINT,
    CONFIG,
    METRICS,
    PROBE,
    RECORD,
    RESULT,
    RUNS,
    atomic,
    parse_yaml,
    read,
    read_record,
)
from fdi.track.state import whole_result

if TYPE_CHECKING:
    from fdi.config.cache import Stamp

TOP_LEVEL_KEY = re.compile(r"^(?=[A-Za-z_])", re.MULTILINE)
EXCLUDE = "identity.exclude"
NULL = "null"  # what a key of the user's own part says; where it is left out, it need not be that
LARGEST = 10**300  # a number that a float can hold


def read_values(path: Path) -> dict[str, Any]:
    """The values of a config; nobody changes them.

    The file is block-style YAML as Hydra writes it. It is parsed a top-level key at a time, and
    equal text only once, because the configs of a sweep differ in a few lines. Raises OSError, and
    ValueError for what is not a whole config.
    """
    return _merged(path, _parse)


def read_config(path: Path) -> dict[str, Any]:
    """Dotted key -> value, lists as JSON text, without the keys that `identity.exclude` names: they
    cannot change the numbers. Raises what `read_values` raises.
    """
    return counted(read_flat(path))


def read_flat(path: Path) -> dict[str, Any]:
    """The same with all keys."""
    return _merged(path, _parse_flat)


def counted(flat: Mapping[str, Any]) -> dict[str, Any]:
    """What `read_flat` gives, without the keys that `identity.exclude` names."""
    excluded = _names(flat.get(EXCLUDE))
    inside = tuple(f"{key}." for key in excluded)
    return {
        key: value
        for key, value in flat.items()
        if key not in excluded and not key.startswith(inside)
    }


def _merged(path: Path, parse: Any) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    try:
        for block in TOP_LEVEL_KEY.split(read(path)):
            merged |= parse(block)
    except ValueError as error:
        raise ValueError(f"{path}: not a config ({' '.join(str(error).split())})") from error
    if "seed" not in merged:
        raise ValueError(f"{path}: not a whole config (no seed)")
    return merged


@lru_cache(maxsize=16384)
def _parse(block: str) -> dict[str, Any]:
    values = parse_yaml(block) or {}
    if not isinstance(values, dict):
        raise ValueError("no keys")
    _refuse_what_is_no_config(values)
    return values


@lru_cache(maxsize=16384)
def _parse_flat(block: str) -> dict[str, Any]:
    flat = dict(_flat(_parse(block)))
    own = {
        key.partition(".")[0]
        for key, value in flat.items()
        if key.endswith("._target_") and not parts.ours(str(value))
    }  # whose own defaults are not known here
    return {
        key: NULL if value is None and key.partition(".")[0] in own else value
        for key, value in flat.items()
    }


def _refuse_what_is_no_config(value: Any) -> None:
    """YAML also has dates, sets and bytes, and keys that are no words."""
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str | int | float | None):
                raise ValueError(f"a key is a {type(key).__name__}")
            _refuse_what_is_no_config(item)
    elif isinstance(value, list):
        for item in value:
            _refuse_what_is_no_config(item)
    elif not isinstance(value, str | int | float | None):
        raise ValueError(f"a value is a {type(value).__name__}")
    elif isinstance(value, int) and abs(value) > LARGEST:
        raise ValueError("a number has more than 300 digits")


def _names(text: Any) -> list[str]:
    names = json.loads(text) if isinstance(text, str) and text.startswith("[") else []
    return [name for name in names if isinstance(name, str)]


def _flat(node: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in node.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", json.dumps(value) if isinstance(value, list) else value


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

    lengths = (identity.DIGITS, LONGER)
    free = (path for path in map(named, lengths) if _holds(path, config, content))
    return next(free, named(len(digits)))


def say_again(directory: Path, config: DictConfig, overrides: Sequence[str]) -> bool:
    """Give a finished run the tags and the note that the `overrides` or an experiment set now;
    whether it had others before.
    """
    given = {word.partition("=")[0] for word in overrides}
    said = {key: config[key] for key in ("tags", "note") if config.get(key) or key in given}
    if not said:
        return False
    stored: Any = OmegaConf.load(directory / CONFIG)
    if all(stored.get(key) == value for key, value in said.items()):
        return False
    with atomic(directory / CONFIG) as path:
        OmegaConf.save(OmegaConf.merge(stored, said), path)
    return True


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
        here = {key: config[key] for key in ("identity", "paths") if key in config}
        return identity.canonical({**stored, **here}) == content
    except FileNotFoundError:
        return not any((directory / name).exists() for name in (RESULT, CHECKPOINT, METRICS, PROBE))
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return False


def _below_runs(root: DictConfig) -> str:
    return run_directory(root).relative_to(Path(root.paths.results) / RUNS).as_posix()


OmegaConf.register_new_resolver("run_name", lambda *, _root_: _below_runs(_root_), replace=True)


class Shorter(NamedTuple):
    """A finished run of fewer epochs; `schedule`: keys of its schedule that follow their number."""

    epochs: int
    directory: Path
    schedule: list[str]


def shorter(directory: Path, config: DictConfig | Mapping[str, Any]) -> list[Shorter]:
    """The finished runs that differ from that of `config`, which `directory` is for, in nothing but
    a smaller number of epochs and, if it follows that number, their schedule; the longest first.
    """
    values: Any = identity.plain(config) if isinstance(config, DictConfig) else config
    wanted, found = identity.canonical(values), []
    for other in directory.parent.glob(f"seed={values['seed']}-*"):
        with suppress(OSError, ValueError, TypeError, KeyError, AttributeError):
            if other == directory or whole_result(other) is None:
                continue
            stored = read_values(other / CONFIG)
            epochs, now = stored["trainer"]["epochs"], values["trainer"]["epochs"]
            before, schedule = stored["scheduler"] or {}, values["scheduler"] or {}
            longer = stored | {key: values[key] for key in ("identity", "scheduler")}
            longer["trainer"] = stored["trainer"] | {"epochs": now}
            own = [key for key in before if before[key] != schedule.get(key)]
            follows = all((before[key], schedule.get(key)) == (epochs, now) for key in own)
            if epochs < now and follows and identity.canonical(longer) == wanted:
                found.append(Shorter(epochs, other, own))
    return sorted(found, reverse=True)


def refuse_other_schedule(
    directory: Path, config: DictConfig | Mapping[str, Any], beside: Collection[Path] = ()
) -> None:
    """Raises ValueError if a training that begins would go on from a finished one but for a
    schedule that follows the number of epochs, unless that one is a cell `beside` it.
    """
    epochs, schedule = config["trainer"]["epochs"], config["scheduler"] or {}
    if config["probe"] == "only" or epochs not in schedule.values() or _begun(directory):
        return
    for before, other, keys in shorter(directory, config):
        if keys and other not in beside:
            raise ValueError(
                f"trainer.epochs = {epochs} does not go on from {other}, whose schedule was made "
                f"for {before} ({' '.join(f'scheduler.{key}={before}' for key in keys)}); "
                f"name.init=NAME trains all {epochs} from the start, under another name"
            )


def _begun(directory: Path) -> bool:
    return any((directory / name).exists() for name in (CHECKPOINT, RESULT))


def fingerprint(dataset: Mapping[str, Any]) -> str | None:
    """16 hex digits of a hash over names, sizes and times of the files below `dataset.root`, and of
    other files and folders that its keys name; None without any. The same fingerprint means
    the same data, another one need not mean others.
    """
    root = _root(dataset)
    places = [*([root] if root else []), *_elsewhere(dataset, root)]
    files = {file for place in places for file in stamps(place)}
    lines = sorted(f"{name!r} {' '.join(map(str, numbers))}" for name, *numbers, _ in files)
    return hashlib.blake2b("\n".join(lines).encode(), digest_size=8).hexdigest() if files else None


def source(dataset: Mapping[str, Any]) -> str | None:
    """16 hex digits of a hash over names and content of the files that the data come from: those of
    `dataset.root` that keys such as train_file name, all below it where no key does, and what other
    keys name; None without any, for what fdi generates follows from the configuration. Files that
    were moved, copied or touched have the same; the seed, which splits them, does not count.
    """
    root = _root(dataset)
    names = [str(value) for key, value in dataset.items() if key.endswith("_file") and value]
    patterns = [name for name in names if not Path(name).is_absolute()]
    named = [path for pattern in patterns for path in root.glob(pattern)] if root else []
    places = [*(named or ([root] if root else [])), *_elsewhere(dataset, root)]
    files = {
        Path(file.name).relative_to(place if place.is_dir() else place.parent).as_posix(): file
        for place in places
        for file in stamps(place)
    }
    return _content_of(tuple(sorted(files.items()))) if files else None


@lru_cache(maxsize=64)
def _content_of(files: tuple[tuple[str, Stamp], ...]) -> str:
    """The hash of `source`; files with the stamps of before are not read again."""
    digest = hashlib.blake2b(digest_size=8)
    for name, file in files:
        digest.update(f"{name}\0{file.size}\0".encode())
        with open(file.name, "rb") as opened:
            while part := opened.read(2**20):
                digest.update(part)
    return digest.hexdigest()


def _root(dataset: Mapping[str, Any]) -> Path | None:
    root = dataset.get("root")
    return Path(root).expanduser().absolute() if root else None


def _elsewhere(dataset: Mapping[str, Any], root: Path | None) -> list[Path]:
    """Files and folders outside of `root` that other keys of the data set name."""
    start = root or Path.cwd()
    places = []
    for key, value in dataset.items():
        if key != "root" and isinstance(value, str):
            near = [Path(value).expanduser().absolute()]
            near += [start / value] if ".." in value else []
            places += [path for path in near if _is_place(value, path)]
    return places


def unchanged(
    dataset: Mapping[str, Any],
    directory: Path,
    fingerprint: Callable[[Mapping[str, Any]], str | None] = fingerprint,
) -> bool:
    """Whether one can tell without reading the data of a finished run that they are still the same,
    or no longer there. What fdi generates follows from the configuration.
    """
    record = read_record(directory)
    if "data_checksum" not in record:
        return True
    if not (dataset.get("root") or str(dataset.get("_target_")).startswith("fdi.")):
        return False
    return fingerprint(dataset) in (None, _of_this_run(record).get("data_files"))


def refuse_other_data(
    directory: Path, dataset: Mapping[str, Any], checksum: str, known: Any = None
) -> None:
    """Raises ValueError unless `checksum` is that of the run: `known`, else the one in its
    record.
    """
    if known is None:
        known = read_record(directory).get("data_checksum", checksum)
    if known != checksum:
        where = dataset.get("root") or dataset.get("file") or dataset.get("_target_")
        raise ValueError(
            f"{directory} was run on data with checksum {known}, but those in {where} have "
            f"{checksum}; give them another name with name.dataset=NAME, or delete the folder of "
            f"that run"
        )


def code(config: Mapping[str, Any]) -> dict[str, str]:
    """A hash of the user's own code behind each part that makes numbers."""
    own = {key: name for key, name in _behind(config).items() if not parts.ours(name)}
    if not own:
        return {}
    from fdi.config import own_code

    hashes = {key: own_code.code(name, *_places(config)) for key, name in own.items()}
    return {key: value for key, value in hashes.items() if value}


def _named(part: str, config: Mapping[str, Any]) -> str:
    """The name of a run that tells a part apart."""
    return part if part in config["name"] else "model"


def refuse_other_code(directory: Path, config: Mapping[str, Any]) -> None:
    """Raises ValueError unless the user's own code is that of the run, if its record has one, or
    where the record is lost.
    """
    if not (record := read_record(directory)):
        raise ValueError(
            f"{directory}: its {RECORD} is not whole, so nobody can tell of which data and code it "
            f"is; put the file back, or delete the folder of that run"
        )
    before = _of_this_run(record).get("code", {})
    if not before:
        return
    from fdi.config import own_code

    behind = _behind(config)
    for key, known in before.items():
        target, name = behind[key], _named(key, config)
        if own_code.code(target, *_places(config)) not in (None, known):
            raise ValueError(
                f"{directory} was run with other code: {target}, a module that it imports or a "
                f"file of paths.code has changed since; give the new code another name with "
                f"name.{name}=NAME, or delete the folder of that run"
            )


def apart(folder: Path, config: Mapping[str, Any]) -> list[str]:
    """A line for each way in which finished runs in `folder` were made of other data, other code or
    with other numerics than a run of `config` would be now: no row and no pair will hold both.
    """
    now = {"data": source(config["dataset"]), "code": code(config) or None, "numerics": NUMERICS}
    found: dict[str, int] = {}
    for directory in sorted(folder.glob("seed=*")):
        record = read_record(directory) if (directory / RESULT).exists() else {}
        run = _of_this_run(record)
        then = {"data": run.get("data_source"), "code": run.get("code") or None}
        then["numerics"] = numerics(record) if record else None
        for key, known in then.items():
            if None not in (known, now[key]) and known != now[key]:
                found[key] = found.get(key, 0) + 1
    return [
        f"{folder}: {count} finished run{'s' if count > 1 else ''} of other {key}; tables and "
        f"figures keep them apart from the new ones"
        for key, count in found.items()
    ]


def older(directory: Path) -> str | None:
    """What is said of a finished run whose numbers this fdi would not compute again."""
    if (then := numerics(read_record(directory))) == NUMERICS:
        return None
    return (
        f"{directory}: computed with numerics {then}, and this fdi has {NUMERICS}; its numbers are "
        f"those of then, and delete its folder to compute it again"
    )


FIRST_NUMERICS = 1  # of runs from before it was counted


def numerics(record: Mapping[str, Any]) -> int | str:
    """Those of a run, by its record; where it went on with others, all of them as text, as in
    "1, 2 after epoch 3", which no other run shares by chance.
    """
    first = record.get("numerics")
    first = first if type(first) is int else FIRST_NUMERICS
    starts = _of_this_run(record).get("resumed")
    words, last = [str(first)], first
    for start in starts if isinstance(starts, list) else ():
        now = start.get("numerics", FIRST_NUMERICS) if isinstance(start, dict) else last
        if now != last:
            words.append(f"{now} after epoch {start.get('epoch')}")
        last = now
    return ", ".join(words) if len(words) > 1 else first


def _of_this_run(record: Mapping[str, Any]) -> dict[str, Any]:
    run = record.get("run")
    return run if isinstance(run, dict) else {}


def _behind(config: Mapping[str, Any]) -> dict[str, str]:
    """The dotted names of what makes numbers, those of fdi among them."""
    nodes = {key: config[key] for key in parts.ROLES if config.get(key)}
    named = {key: node["_target_"] for key, node in nodes.items() if "_target_" in node}
    surrogate = str(config["neuron"].get("surrogate")) if "neuron" in config else ""
    return named | ({"surrogate": surrogate} if "." in surrogate else {})


def _places(config: Mapping[str, Any]) -> list[list[Path]]:
    """Where modules of the user's own are, and what else is listed as the user's code."""
    paths = config["paths"]
    return [[Path(place) for place in paths.get(key, ())] for key in ("modules", "code")]


def _is_place(value: str, path: Path) -> bool:
    """Whether the text means the file `path`, or with a / in it the folder."""
    return os.path.isfile(path) or ("/" in value and os.path.isdir(path))
