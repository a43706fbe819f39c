"""A copy of the learning curves for TensorBoard; csv and json files stay the truth."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fdi.track.mirror import Mirror

MISSING = "logger=tensorboard needs the package tensorboard: pip install 'fdi-snn[tensorboard]'"


@contextmanager
def tensorboard_mirror(config: dict[str, Any], directory: Path, epoch: int) -> Iterator[Mirror]:
    """Write to `directory`/tensorboard; what is there of epochs after `epoch` is void. Raises
    ValueError if tensorboard is missing.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise ValueError(MISSING) from None
    with SummaryWriter(directory / "tensorboard", purge_step=epoch + 1) as writer:
        yield TensorboardMirror(writer)


class TensorboardMirror:
    """What goes to an open event file."""

    def __init__(self, writer: Any) -> None:
        self.writer = writer

    def probe(self, rows: list[dict[str, Any]]) -> None:
        """The initial state, as an image."""
        from fdi.track.probe_image import probe_image

        self.writer.add_image("init", probe_image(rows), 0, dataformats="HWC")

    def row(self, row: dict[str, Any]) -> None:
        """One epoch of the learning curves."""
        for key, value in row.items():
            if isinstance(value, int | float):
                self.writer.add_scalar(key, value, row["epoch"])
        self.writer.flush()

    def result(self, result: dict[str, Any]) -> None:
        """The final numbers, after the last epoch."""
        for key, value in result.items():
            if isinstance(value, int | float):
                self.writer.add_scalar(f"result/{key}", value, result["epochs"])
