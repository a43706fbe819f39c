"""How far a run is, told from its files."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import yaml

from fdi.track.files import PROBE, RESULT, STATUS, read_json
from fdi.track.lock import holder

STATES = ("done", "probed", "running", "failed", "interrupted", "missing")


def progress(directory: Path) -> dict[str, Any]:
    """status.json of a run, its `state` one of STATES; `error` says why it failed.

    probed: the initial state was measured and nothing more asked for; interrupted: it says running,
    and nobody works on it.
    """
    if (directory / RESULT).exists():
        return {"state": "done"}
    status = read_json(directory / STATUS) or {"state": "missing"}
    if status["state"] == "running" and holder(directory) is None:
        status["state"] = "interrupted"
    return status


def finished(directory: Path, probe: str) -> bool:
    """Whether nothing is left to do, for a run with this value of `probe`."""
    return (directory / RESULT).exists() or (probe == "only" and (directory / PROBE).exists())


def last_line(error: Any) -> str:
    """The last line of an error message."""
    return next(reversed(str(error or "").strip().splitlines()), "")


def command(directory: Path) -> str | None:
    """The command that runs this cell alone, from the overrides that Hydra keeps; None if it kept
    none.
    """
    try:
        overrides = yaml.safe_load((directory / ".hydra" / "overrides.yaml").read_text())
    except FileNotFoundError:
        return None
    return shlex.join(["fdi-run", *overrides])
