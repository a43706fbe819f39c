"""A copy of the learning curves for TensorBoard; csv and json files stay the truth."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fdi.track.mirror import Mirror, leaves, remarks

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
        for key, text in remarks(config).items():
            writer.add_text(key, text, epoch)
        yield TensorboardMirror(writer, leaves(config))


class TensorboardMirror:
    """What goes to an open event file."""

    def __init__(self, writer: Any, parameters: dict[str, bool | int | float | str]) -> None:
        self.writer, self.parameters = writer, parameters

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
        """The final numbers, after the last epoch, and the row of the run in the tab HParams."""
        from torch.utils.tensorboard.summary import hparams

        numbers = {
            f"result/{key}": value
            for key, value in result.items()
            if isinstance(value, int | float)
        }
        for key, value in numbers.items():
            self.writer.add_scalar(key, value, result["epochs"])
        for summary in hparams(self.parameters, numbers):
            self.writer.file_writer.add_summary(summary)
