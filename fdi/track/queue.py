"""Jobs of SLURM that wait to be started again."""

from __future__ import annotations

import getpass
import os
import subprocess
from functools import cache

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
