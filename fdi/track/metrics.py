"""metrics.csv, the learning curves of a run: a row an epoch."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fdi.track.files import atomic, read, sync

MOVED = (
    "{} was moved, deleted or changed while the run was going on; put it back and give the same "
    "command again"
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
