"""metrics.csv: the learning curves of a run, a row an epoch."""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path
from typing import Any

from fdi.track.files import atomic


class Metrics:
    """Appends rows to a csv file, each on disk before the call returns. Opening it again drops the
    rows after `epoch`.
    """

    def __init__(self, path: Path, epoch: int) -> None:
        self.path = path
        lines = path.read_text().splitlines(keepends=True) if path.exists() else []
        kept = lines[:1] + [
            line for line in lines[1:] if line.endswith("\n") and int(line.split(",")[0]) <= epoch
        ]
        self.header = next(csv.reader(kept[:1]), None) if epoch else None
        with atomic(path) as temporary:
            temporary.write_text("".join(kept) if epoch else "")

    def append(self, row: dict[str, Any]) -> None:
        """`row` starts with the epoch; all rows have the same keys."""
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, self.header or list(row), lineterminator="\n")
        if self.header is None:
            self.header = list(row)
            writer.writeheader()
        writer.writerow(row)
        with self.path.open("a") as file:
            file.write(text.getvalue())
            file.flush()
            os.fsync(file.fileno())
