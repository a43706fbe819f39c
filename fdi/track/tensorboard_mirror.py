"""A copy of the learning curves for TensorBoard; csv and json files stay the truth."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fdi.track.mirror import Mirror, leaves, numbers, remarks

MISSING = "logger=tensorboard needs the package tensorboard: pip install 'fdi-snn[tensorboard]'"


@contextmanager
def tensorboard_mirror(config: dict[str, Any], directory: Path, epoch: int) -> Iterator[Mirror]:
    """Write to `directory`/tensorboard; what is there of epochs after `epoch` is void. Raises
    ValueError if tensorboard is missing.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
        from torch.utils.tensorboard.summary import hparams
    except ImportError:
        raise ValueError(MISSING) from None
    with SummaryWriter(directory / "tensorboard", purge_step=epoch + 1) as writer:
        for key, text in remarks(config).items():
            writer.add_text(key, text, epoch)

        def log(values: dict[str, Any], step: int) -> None:
            shown = numbers(values)
            for key, value in shown.items():
                writer.add_scalar(key, value, step)
            if "result/epochs" in shown:  # the end: the row of the run in the tab HParams
                for summary in hparams(leaves(config), shown):
                    writer.file_writer.add_summary(summary)
            writer.flush()

        yield Mirror(log)
