"""What it takes to repeat a run: versions, code, machine, data, command."""

from __future__ import annotations

import platform
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

import fdi


def record(checksum: str, device: str) -> dict[str, Any]:
    """Versions, git commit (with "+changes" if the tree is dirty; None outside a checkout), machine, threads, command, data checksum."""
    return {
        "command": " ".join(sys.argv),
        "fdi": fdi.__version__,
        "commit": _commit(),
        "python": platform.python_version(),
        **{package: version(package) for package in ("torch", "numpy", "numba", "hydra-core", "omegaconf")},
        "platform": platform.platform(),
        "processor": _processor(),
        "device": device,
        "threads": torch.get_num_threads(),
        "data_checksum": checksum,
    }


def _commit() -> str | None:
    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], cwd=Path(fdi.__file__).parent, capture_output=True, text=True, check=True).stdout.strip()

    try:
        return git("rev-parse", "HEAD") + ("+changes" if git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())
