"""What the numbers of a run depend on besides its configuration: its data, the user's own code, and
how fdi computes; whose a checkpoint is; and what it takes to repeat a run.

    numerics  the number of fdi's numerics; of a run that went on with other ones all of them as
              text, as in "1, 2 after epoch 3"
    data      a hash of the files that the data come from; "generated" without any
    code      the part of the configuration -> a hash of the user's own code behind it, or name,
              version and a hash of the installed package that it is from
    split     the checksum of the data as the seed splits them
    files     names, sizes and times of the files of the data, hashed: the same mean the same data,
              others need not mean others
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache, lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fdi.config import Mistake, own_code, parts
from fdi.config.identity import NUMERICS
from fdi.data.dataset import stamps
from fdi.track.files import CHECKPOINT, hashed, printable, read_checkpoint
from fdi.track.record import Run, place

if TYPE_CHECKING:
    import torch

    from fdi.config.cache import Stamp

SHARED = ("data", "code", "numerics")
"""What the runs of a row, and of a pair, share besides their configuration."""
GENERATED = "generated"


def same(one: Mapping[str, Any] | None, other: Mapping[str, Any] | None) -> bool:
    """Whether two pieces of evidence are known to agree in all of SHARED: only then one run goes on
    with what the other has.
    """
    mine, theirs = ([(run or {}).get(key) for key in SHARED] for run in (one, other))
    return None not in mine and mine == theirs


def of_run(config: Mapping[str, Any], split: str | None = None) -> dict[str, Any]:
    """The evidence of a run of `config` that begins now."""
    return {
        "numerics": NUMERICS,
        "data": data_of(config["dataset"]),
        "code": code(config),
        "split": split,
        "files": fingerprint(config["dataset"]),
    }


def resumed(evidence: Mapping[str, Any], epoch: int) -> dict[str, Any]:
    """That of a run that goes on after `epoch`, which this fdi may compute with other numerics."""
    before = str(evidence["numerics"])
    last = before.rpartition(", ")[2].partition(" ")[0]
    numerics = evidence["numerics"]
    if last != str(NUMERICS):
        numerics = f"{before}, {NUMERICS} after epoch {epoch}"
    return {**evidence, "numerics": numerics}


def owner(run: Run) -> dict[str, Any]:
    """Whose a checkpoint of `run` is: its place below results/runs, with its id; its evidence."""
    return {"place": "/".join(place(run.config).parts[-4:]), "evidence": run.evidence}


def checkpoint(directory: Path, run: Run) -> dict[str, Any]:
    """What the checkpoint in `directory` holds, as fdi.runner.training saves it, if it is that of
    `run`: of its id and its evidence up to that epoch, and of one that has ended the file of then.
    Raises ValueError, one line, for any other and for a damaged one. Whoever reads a checkpoint
    reads it here.
    """
    path = directory / CHECKPOINT
    state = read_checkpoint(path)
    known, epoch = run.files.get(CHECKPOINT), state["progress"]["epoch"]
    problem = other_owner(owner(run), state.get("run") or {}, epoch)
    known_other = (run.ended or known) and known != hashed(path)
    if not problem and (epoch < run.epoch or known_other):
        problem = f"is one of after epoch {epoch}, and not the last that its run wrote"
    if problem:
        instead = "" if run.ended else ", or delete it to start the run again"
        raise Mistake(printable(f"{path} {problem}; put the right one back{instead}"))
    return state


def other_owner(mine: Mapping[str, Any], theirs: Mapping[str, Any], epoch: Any) -> str | None:
    """What is wrong with a checkpoint that says that it is `theirs`, in the folder of `mine`."""
    if theirs.get("place") != mine["place"]:
        other = theirs.get("place", "an unknown run")
        return f"is that of {other} after epoch {epoch}, and its run {mine['place']}"
    one, said = mine["evidence"] or {}, theirs.get("evidence") or {}
    for key in (*SHARED, "split"):
        before, now = said.get(key), one.get(key)
        later = key == "numerics" and _goes_on(str(before), str(now), epoch)
        if before is None or (before != now and not later):
            return f"is of {key} {before} after epoch {epoch}, and its run of {key} {now}"
    return None


def _goes_on(numerics: str, now: str, epoch: Any) -> bool:
    """Whether a run of numerics `now` had `numerics` after `epoch`."""
    since = re.findall(r" after epoch (\d{1,9})", now.removeprefix(numerics))
    return now.startswith(f"{numerics}, ") and all(int(start) >= epoch for start in since)


def data_of(dataset: Mapping[str, Any]) -> str:
    """16 hex digits of a hash over names and content of the files that the data come from: those of
    `dataset.root` that keys such as train_file name, all below it where no key does, and what other
    keys name; GENERATED without any. Files that were moved, copied or touched have the same; the
    seed, which splits them, does not count.
    """
    root = _root(dataset)
    names = [str(value) for key, value in dataset.items() if key.endswith("_file") and value]
    patterns = [name for name in names if not Path(name).is_absolute()]
    named = [path for pattern in patterns for path in root.glob(pattern)] if root else []
    places = named or ([root] if root else [])
    files = {
        Path(file.name).relative_to(place if place.is_dir() else place.parent).as_posix(): file
        for place in [*places, *_elsewhere(dataset, root)]
        for file in stamps(place)
    }
    return _content_of(tuple(sorted(files.items()))) if files else GENERATED


def fingerprint(dataset: Mapping[str, Any]) -> str | None:
    """16 hex digits of a hash over names, sizes and times of the files below `dataset.root`, and of
    other files and folders that its keys name; None without any.
    """
    root = _root(dataset)
    places = [*([root] if root else []), *_elsewhere(dataset, root)]
    files = {file for place in places for file in stamps(place)}
    lines = sorted(f"{name!r} {' '.join(map(str, numbers))}" for name, *numbers, _ in files)
    return hashlib.blake2b("\n".join(lines).encode(), digest_size=8).hexdigest() if files else None


@lru_cache(maxsize=64)
def _content_of(files: tuple[tuple[str, Stamp], ...]) -> str:
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
    """The files that other texts of a data set name, and the folders if there is a / in it."""
    start = root or Path.cwd()
    places = []
    for key, value in dataset.items():
        if key != "root" and isinstance(value, str):
            near = [Path(value).expanduser().absolute()]
            near += [start / value] if ".." in value else []
            there = os.path.exists if "/" in value else os.path.isfile
            places += [path for path in near if there(path)]
    return places


def code(config: Mapping[str, Any]) -> dict[str, str]:
    """A hash of the user's own code behind each part that makes numbers."""
    own = {key: name for key, name in _behind(config).items() if not own_code.ours(name)}
    if not own:
        return {}
    paths = config["paths"]
    places = [[Path(place) for place in paths.get(key, ())] for key in ("modules", "code")]
    hashes = {key: own_code.code_hash(name, *places) for key, name in own.items()}
    return {key: value for key, value in hashes.items() if value}


def _behind(config: Mapping[str, Any]) -> dict[str, str]:
    nodes = {key: config[key] for key in parts.ROLES if config.get(key)}
    named = {key: node["_target_"] for key, node in nodes.items() if "_target_" in node}
    surrogate = str(config["neuron"].get("surrogate")) if "neuron" in config else ""
    return named | ({"surrogate": surrogate} if "." in surrogate else {})


def refuse_other_code(directory: Path, run: Run, config: Mapping[str, Any]) -> None:
    """Raises ValueError unless the user's own code is that of the run."""
    before, now = (run.evidence or {}).get("code", {}), code(config)
    for key in before | now:
        if before.get(key) != now.get(key):
            name = key if key in config["name"] else "model"
            what = "a module that it imports or a file of paths.code has changed since"
            if own_code.package_of(target := _behind(config).get(key, key)):
                what = f"of {before.get(key)} then, {now.get(key)} now"
            raise ValueError(
                f"{directory} was run with other code: {target}, {what}; give the new code another "
                f"name with name.{name}=NAME, or delete the folder of that run"
            )


def refuse_other_data(
    directory: Path, run: Run, dataset: Mapping[str, Any], split: str | None
) -> None:
    """Raises ValueError unless `split` is the checksum of the data of the run."""
    known = (run.evidence or {}).get("split", split)
    if known != split:
        where = dataset.get("root") or dataset.get("file") or dataset.get("_target_")
        raise ValueError(
            f"{directory} was run on data with checksum {known}, but those in {where} have "
            f"{split}; give them another name with name.dataset=NAME, or delete the folder of "
            f"that run"
        )


def check_done(
    directory: Path,
    run: Run,
    config: Mapping[str, Any],
    split: Callable[[], str | None],
    files: Callable[[Mapping[str, Any]], str | None] = fingerprint,
) -> str | None:
    """Raises ValueError if the data or the user's own code at hand are not those of a finished run.
    The checksum of the data, `split`, is asked for only where `files` have changed since: what fdi
    generates follows from the configuration, and data that are gone cannot be compared. Returns
    what is said of a run whose numbers this fdi would not compute again.
    """
    refuse_other_code(directory, run, config)
    known, dataset = run.evidence or {}, config["dataset"]
    lies_in_files = dataset.get("root") or str(dataset.get("_target_")).startswith("fdi.")
    if known and (not lies_in_files or files(dataset) not in (None, known["files"])):
        refuse_other_data(directory, run, dataset, split())
    then = known.get("numerics")
    if then == NUMERICS:
        return None
    return printable(
        f"{directory}: computed with numerics {then}, and this fdi has {NUMERICS}; its numbers are "
        f"those of then, and delete its folder to compute it again"
    )


PACKAGES = (
    "torch",
    "numpy",
    "numba",
    "scipy",
    "pandas",
    "h5py",
    "hydra-core",
    "omegaconf",
    "tonic",
    "torchvision",
    "scikit-learn",
)
CHANGING = ("fdi", "commit", "torch", "numpy", "numba", "processor", "instructions")
"""What of an origin may change the bits of a run that goes on."""
SETTINGS = (
    *("MKL_CBWR", "MKL_DEBUG_CPU_TYPE", "MKL_ENABLE_INSTRUCTIONS"),
    *("DNNL_MAX_CPU_ISA", "ONEDNN_MAX_CPU_ISA", "ONEDNN_DEFAULT_FPMATH_MODE"),
)
"""Of the environment, what decides in which order MKL and oneDNN add up."""
WORDS = {"commit": "fdi commit", "instructions": "CPU instructions"}


def origin(device: torch.device, threads: int) -> dict[str, Any]:
    """Command, versions, git commit ("+changes": the tree is dirty; None: no checkout; as the
    process first found it), machine, threads.
    """
    import torch

    return {
        "command": shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        "fdi": version("fdi-snn"),
        "commit": _commit(),
        "python": platform.python_version(),
        **_versions(),
        "platform": platform.platform(),
        "processor": _processor(),
        "instructions": instructions(),
        "device": str(device),
        "accelerator": torch.cuda.get_device_name(device) if device.type == "cuda" else None,
        "threads": threads,
        "host": os.uname().nodename,
    }


def instructions() -> str:
    """The vector instructions that torch computes with here, which ATEN_CPU_CAPABILITY limits, and
    the settings of the libraries that it calls: sums of others differ in their last bits.
    """
    import torch

    known = [torch.backends.cpu.get_cpu_capability()]
    return ", ".join(known + [f"{key}={os.environ[key]}" for key in SETTINGS if key in os.environ])


def other_than_before(directory: Path, run: Run, now: Mapping[str, Any]) -> str | None:
    """A line, if the run began with other versions, another processor or other instructions than
    those of this process: then its numbers may not be those of a run that never stopped.
    """
    changed = [
        f"{WORDS.get(key, key)} {printable(str(run.origin[key]))}, now {now.get(key)}"
        for key in CHANGING
        if run.origin.get(key) not in (None, now.get(key))
    ]
    if (before := (run.evidence or {}).get("numerics")) not in (None, NUMERICS):
        changed.append(f"numerics {before}, now {NUMERICS}")
    if not changed:
        return None
    return (
        f"{directory}: began with {'; '.join(changed)}: its numbers may differ from those of a run "
        f"that never stopped"
    )


@cache
def _versions() -> dict[str, str]:
    versions = {}
    for package in PACKAGES:
        with suppress(PackageNotFoundError):
            versions[package] = version(package)
    return versions


@cache
def _commit() -> str | None:
    def git(*arguments: str) -> str:
        place = Path(__file__).parents[1]
        return subprocess.run(
            ["git", *arguments], cwd=place, capture_output=True, text=True, check=True
        ).stdout.strip()

    try:  # an installed fdi may lie in somebody else's checkout
        git("ls-files", "--error-unmatch", "__init__.py")
        dirty = git("status", "--porcelain", "--untracked-files=no")
        return git("rev-parse", "HEAD") + ("+changes" if dirty else "")
    except (OSError, subprocess.CalledProcessError):
        return None


@cache
def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())
