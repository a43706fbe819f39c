"""One process at a time works on a cell."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fdi.track.files import STATUS, read_json


class Busy(RuntimeError):
    """Another process works on the cell."""


@contextmanager
def lock(directory: Path) -> Iterator[None]:
    """Hold `directory`/.lock; the system releases it when the process ends, however it ends. Raises Busy."""
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = read_json(directory / STATUS) or {}
            raise Busy(f"{directory} is being run by process {holder.get('pid', '?')} on {holder.get('host', '?')}; wait for it") from None
        yield
