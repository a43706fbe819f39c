"""`fdi-status --clean`: removes the folders of cells that failed, or that stopped with nothing to
go on from.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fdi.track.files import printable
from fdi.track.layout import CHECKPOINT, METRICS, RESULT, STOPPED, is_place
from fdi.track.lock import Busy, lock
from fdi.track.state import last_line, progress


def clean(results: Path, states: dict[str, dict[str, Any]], sure: bool) -> int:
    """Show these cells, of those with the `states`, and remove them if the user is `sure` or says
    so; returns the exit code. A cell that somebody has gone on with meanwhile stays.
    """
    paths = [path for path, status in states.items() if useless(Path(path), status["state"])]
    paths = [path for path in paths if _ours(results, Path(path))]
    if not paths:
        print("no cells that failed or stopped without a checkpoint")
        return 0
    for path in paths:
        print(stopped_line(path, states[path]))
    question = f"remove these {len(paths)} folders? [y/N] "
    if not sure and not (sys.stdin.isatty() and input(question).strip().lower() in ("y", "yes")):
        print("nothing removed; --yes removes them without a question")
        return 1
    return _remove(results, paths)


def useless(path: Path, state: str) -> bool:
    """Failed, or stopped without a checkpoint; or a folder that nothing was ever written to."""
    if state == "failed":
        return True
    if state == "missing":
        kept = (RESULT, CHECKPOINT, METRICS)
        return path.is_dir() and not any((path / name).exists() for name in kept)
    return state in STOPPED and not (path / CHECKPOINT).exists()


def stopped_line(path: str, status: dict[str, Any]) -> str:
    """A line about a cell that is not going on."""
    reason = last_line(status.get("error"))
    if not reason and status["state"] != "missing":
        reason = f"after epoch {status.get('epoch')} of {status.get('epochs')}"
    return printable(f"{status['state']}  {path}  {reason or 'nothing in it'}")


def _remove(results: Path, paths: Sequence[str]) -> int:
    removed = 0
    for path in map(Path, paths):
        if not (path.is_dir() and _ours(results, path)):
            print(printable(f"{path}: gone, or no longer below {results}"))
            continue
        try:
            with lock(path):
                state = progress(path)["state"]
                if state == "running":  # by this lock, and nobody else
                    state = "interrupted"
                if not useless(path, state):
                    print(printable(f"{path} is {state} now, so it stays"))
                    continue
                shutil.rmtree(path)
                removed += 1
        except Busy as error:
            print(printable(f"{error}; it stays"))
    print(f"{removed} removed")
    return int(removed < len(paths))


def _ours(results: Path, path: Path) -> bool:
    """Whether it is a folder of a run, really below `results`, with no link on the way."""
    place = path.relative_to(results).as_posix()
    return is_place(place) and path.resolve() == results.resolve() / place
