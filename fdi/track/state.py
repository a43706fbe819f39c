"""How far a run is, told from its files."""

from __future__ import annotations

import getpass
import os
import shlex
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from fdi.track.files import (
    OVERRIDES,
    PROBE,
    RESULT,
    STATES,
    STATUS,
    parse_json,
    parse_yaml,
    read,
    read_json,
)
from fdi.track.processes import holder

LIMIT = 10  # s that squeue may take


def job() -> str | None:
    """The id of the job of SLURM that this process is, as squeue prints it; None outside."""
    array, task = (os.environ.get(f"SLURM_ARRAY_{part}_ID") for part in ("JOB", "TASK"))
    return f"{array}_{task}" if array and task else os.environ.get("SLURM_JOB_ID")


def waits(job: object) -> bool:
    """Whether the job is still in the queue, as far as one can see from this machine."""
    jobs = _jobs()
    return isinstance(job, str) and (jobs is None or job in jobs)


@cache
def _jobs() -> frozenset[str] | None:
    """The user's jobs; None where squeue is not there or does not answer."""
    words = ["squeue", "--noheader", "--array", "--format=%i", f"--user={getpass.getuser()}"]
    try:
        answer = subprocess.run(words, capture_output=True, text=True, check=True, timeout=LIMIT)
    except (OSError, subprocess.SubprocessError, KeyError):  # KeyError: a user without a name
        return None
    return frozenset(answer.stdout.split())


MEASURED = ("test_accuracy_last", "test_accuracy_best")
COUNTS = {"classes": 2, "test_samples": 1}  # at least


def progress(directory: Path) -> dict[str, Any]:
    """What status.json and result.json say of a run, its `state` one of STATES; `error` says why it
    failed, or which file is broken.

    probed: the initial state was measured and nothing more asked for; queued: SLURM will start its
    job again; interrupted: it says running or queued, and is not; broken: a file cannot be read,
    and running it again mends that.
    """
    try:
        result = read_result(directory)
        status = parse_json(directory / STATUS)
        if status is None:
            status = {"state": "missing"}
        state = "done" if result else _state(directory / STATUS, status)
    except ValueError as error:
        return {"state": "broken", "error": str(error).removeprefix(f"{directory}/")}
    if state in ("running", "queued"):
        state = _now(directory, status)
    return status | (result or {}) | {"state": state}


def _now(directory: Path, status: dict[str, Any]) -> str:
    """What has become of a run that says running, or queued."""
    if holder(directory) is not None:
        return "running"
    return "queued" if status["state"] == "queued" and waits(status.get("job")) else "interrupted"


def _state(path: Path, status: Any) -> str:
    state = status.get("state") if isinstance(status, dict) else None
    if state == "done":
        raise ValueError(f"{path}: done without {RESULT}")
    if not (isinstance(state, str) and state in STATES):
        raise ValueError(f"{path}: no state in it")
    return state


def read_result(directory: Path) -> dict[str, Any] | None:
    """result.json of a run that is done, None where there is none. Raises ValueError for one that
    is not whole.
    """
    path = directory / RESULT
    result = parse_json(path)
    if result is None and not path.exists():
        return None
    if not isinstance(result, dict):
        raise ValueError(f"{path}: not an object")
    for key in MEASURED:
        if not (is_number(result.get(key)) and 0 <= result[key] <= 1):
            raise ValueError(f"{path}: {key} is no share of the test set")
    for key, least in COUNTS.items():
        if result.get(key) is not None and not (is_number(result[key]) and result[key] >= least):
            raise ValueError(f"{path}: {key} = {str(result[key])[:40]} must be at least {least}")
    rates = result.get("rates")
    if not (isinstance(rates, dict) and all(map(is_number, rates.values()))):
        raise ValueError(f"{path}: no rates")
    return result


def whole_result(directory: Path) -> dict[str, Any] | None:
    """result.json, or None where there is none or not a whole one."""
    try:
        return read_result(directory)
    except ValueError:
        return None


def finished(directory: Path, probe: str) -> bool:
    """Whether nothing is left to do, for a run with this value of `probe`."""
    if whole_result(directory) is not None:
        return True
    return probe == "only" and bool(read_probe(directory))


def read_probe(directory: Path) -> list[dict[str, Any]]:
    """The rows of init.json, none where there is no whole one."""
    rows = read_json(directory / PROBE)
    if not isinstance(rows, list):
        return []
    return rows if all(isinstance(r, dict) and "population" in r for r in rows) else []


def last_line(error: Any) -> str:
    """The last line of an error message."""
    return next(reversed(str(error or "").strip().splitlines()), "")


def overrides(directory: Path) -> list[str] | None:
    """The overrides that lead to this cell, None if they are not there."""
    try:
        words = parse_yaml(read(directory / OVERRIDES))
    except (OSError, ValueError):
        return None
    whole = isinstance(words, list) and all(isinstance(word, str) for word in words)
    return words if whole else None


def command(words: Sequence[str]) -> str:
    """The command that runs the cell with these overrides alone."""
    return shlex.join(["fdi-run", *words])


def is_number(value: Any) -> bool:
    """A finite number that a float can hold."""
    return type(value) in (int, float) and abs(value) < 1e300
