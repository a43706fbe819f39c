"""What a run leaves on record: record.json, what it takes to repeat it (versions, code, machine,
data, command), and metrics.csv, its learning curves, one row per epoch.
"""

from __future__ import annotations

import csv
import io
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Sequence
from datetime import datetime, timezone
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
import yaml
from omegaconf import DictConfig, OmegaConf

from fdi.config.identity import NUMERICS
from fdi.track.files import (
    CONFIG,
    OVERRIDES,
    RECORD,
    atomic,
    printable,
    read,
    read_json,
    sync,
    write_json,
)
from fdi.track.state import command, overrides

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

MOVED = (
    "{} was moved, deleted or changed while the run was going on; put it back and give the same "
    "command again"
)


CHANGING = ("fdi", "commit", "numerics", "torch", "numpy", "numba", "processor", "instructions")
"""What of a record may change the bits of a run that goes on."""
WORDS = {"commit": "fdi commit", "instructions": "CPU instructions"}


def write_config(directory: Path, config: DictConfig, overrides: Sequence[str]) -> None:
    """What the run was asked to do: its whole configuration, and the overrides that lead to it."""
    with atomic(directory / CONFIG) as path:
        OmegaConf.save(config, path)
    with atomic(directory / OVERRIDES) as path:
        path.write_text(yaml.safe_dump(list(overrides)))


def write_record(
    directory: Path, epoch: int, checksum: str, device: torch.device, threads: int, **more: Any
) -> None:
    """record.json: what `record` says of the first start, and in `run` what is of this run alone:
    its own command, time, host, `more`.

    Of each later start, at `epoch`, the same is in the list run.resumed.
    """
    now = record(checksum, device, threads)
    words = overrides(directory)
    alone = now["command"] if words is None else command(words)
    if not now["command"].startswith("fdi-run"):  # a worker of a launcher
        now["command"] = alone
    time = datetime.now(timezone.utc).isoformat(timespec="seconds")
    run = {"command": alone, "time": time, "host": os.uname().nodename, **more}
    first = read_json(directory / RECORD) if epoch else None
    if isinstance(first, dict) and isinstance(first.get("run"), dict):
        first["run"].setdefault("resumed", []).append({"epoch": epoch, **now, **run})
    else:
        first = now | {"run": run}
    write_json(directory / RECORD, first)


def record(checksum: str, device: torch.device, threads: int) -> dict[str, Any]:
    """Command, versions, git commit ("+changes": the tree is dirty; None: no checkout; as
    the process first found it), machine, threads, checksum of the data.
    """
    return {
        "command": shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        "fdi": version("fdi-snn"),
        "commit": _commit(),
        "numerics": NUMERICS,
        "python": platform.python_version(),
        **_versions(),
        "platform": platform.platform(),
        "processor": _processor(),
        "instructions": instructions(),
        "device": str(device),
        "accelerator": torch.cuda.get_device_name(device) if device.type == "cuda" else None,
        "threads": threads,
        "data_checksum": checksum,
    }


def instructions() -> str:
    """The vector instructions that torch computes with here: sums of others differ in their last
    bits. ATEN_CPU_CAPABILITY limits them.
    """
    return torch.backends.cpu.get_cpu_capability()


def other_than_before(directory: Path, device: torch.device, threads: int) -> str | None:
    """A line, if the run began with other versions, another processor or other instructions than
    those of this process: then its numbers may not be those of a run that never stopped.
    """
    before, now = read_json(directory / RECORD), record("", device, threads)
    if not isinstance(before, dict):
        return None
    changed = [
        f"{WORDS.get(key, key)} {printable(str(before[key]))}, now {now.get(key)}"
        for key in CHANGING
        if before.get(key) not in (None, now.get(key))
    ]
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
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return versions


@cache
def _commit() -> str | None:
    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", *arguments],
            cwd=Path(__file__).parents[1],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()

    try:
        git(
            "ls-files", "--error-unmatch", "__init__.py"
        )  # an installed fdi may lie in somebody else's checkout
        return git("rev-parse", "HEAD") + (
            "+changes" if git("status", "--porcelain", "--untracked-files=no") else ""
        )
    except (OSError, subprocess.CalledProcessError):
        return None


@cache
def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next(
        (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")),
        platform.machine(),
    )


PHASE = "phase"  # the column that holds a word


class Metrics:
    """Appends rows to a csv file. Opening it again drops the rows after `epoch`.

    Raises ValueError if rows up to `epoch` are missing, and OSError as soon as the file is not the
    one that was opened: somebody moved, deleted or changed it.
    """

    def __init__(self, path: Path, epoch: int) -> None:
        self.path = path
        kept = _rows(path, epoch) if epoch else []
        self.header = next(csv.reader(kept[:1]), None)
        with atomic(path) as temporary:
            temporary.write_text("".join(kept))
        self.written = self._found()

    def append(self, row: dict[str, Any]) -> None:
        """`row` starts with the epoch; all rows have the same keys."""
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, self.header or list(row), lineterminator="\n")
        if self.header is None:
            self.header = list(row)
            writer.writeheader()
        writer.writerow(row)
        self.check()
        with self.path.open("r+") as file:  # "a" would make a new one
            file.seek(0, os.SEEK_END)
            file.write(text.getvalue())
        self.written = self._found()

    def sync(self) -> None:
        """Put the rows on disk."""
        self.check()
        sync(self.path)

    def check(self) -> None:
        """Raises OSError unless all rows are still in their place."""
        if self._found() != self.written:
            raise OSError(MOVED.format(self.path))

    def _found(self) -> tuple[int, ...] | None:
        try:
            status = os.stat(self.path)
        except OSError:
            return None
        return status.st_dev, status.st_ino, status.st_size


def _rows(path: Path, epoch: int) -> list[str]:
    """The header, and the rows up to `epoch`."""
    try:
        lines = read(path).splitlines(keepends=True)[: epoch + 1]
    except FileNotFoundError:
        lines = []
    header = lines[0].rstrip("\n").split(",") if lines else []
    if len(lines) <= epoch or not all(
        _is_row(line, i, header) for i, line in enumerate(lines[1:], 1)
    ):
        raise ValueError(
            f"{path}: not all of the {epoch} epochs that the checkpoint has; put it back, or "
            f"delete the folder {path.parent} to start again"
        )
    return lines


def _is_row(line: str, epoch: int, header: Sequence[str]) -> bool:
    """Whether it is the whole row of this epoch, with a number in each column but the phase."""
    values = line.rstrip("\n").split(",")
    if not line.endswith("\n") or len(values) != len(header) or values[0] != str(epoch):
        return False
    try:
        list(map(float, [text for name, text in zip(header, values) if text and name != PHASE]))
    except ValueError:
        return False
    return True
