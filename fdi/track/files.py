"""Files of a run: each is written under a temporary name and renamed, so that a kill leaves the old
file or the new one.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

RESULT, STATUS, PROBE, CHECKPOINT = "result.json", "status.json", "init.json", "checkpoint/last.pt"
SWEEPS = "sweeps"  # folder of the plans of sweeps, beside runs/


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` to write to; it becomes `path` when the block ends well and is
    gone otherwise.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, content: Any) -> None:
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n")


def read_json(path: Path) -> Any | None:
    """The content, or None where there is no whole file."""
    try:
        return json.loads(path.read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return None


def write_status(directory: Path, state: str, **details: Any) -> None:
    """status.json: `state` is running, done, probed, failed or interrupted; `details` are epoch,
    epochs, error.
    """
    updated = datetime.now(timezone.utc).isoformat(timespec="seconds")
    write_json(
        directory / STATUS,
        {
            "state": state,
            **details,
            "pid": os.getpid(),
            "host": os.uname().nodename,
            "updated": updated,
        },
    )
