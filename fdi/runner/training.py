"""The training of a run, with what is written after its epochs."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from omegaconf import DictConfig

from fdi.data.dataset import Split
from fdi.runner.context import RunContext
from fdi.snn.outcome import Outcome
from fdi.track.files import write_status
from fdi.track.interrupt import interruptible
from fdi.track.layout import CHECKPOINT
from fdi.track.metrics import Metrics
from fdi.train import checkpoint
from fdi.train.progress import Progress

SAVE_EVERY = 2.0  # s between two checkpoints, where epochs are shorter


def train(
    context: RunContext, splits: dict[str, Split], progress: Progress, metrics: Metrics, mirror: Any
) -> None:
    """Fit, with a row of metrics after each epoch, and a checkpoint and a status after those that
    end SAVE_EVERY seconds after the one before, and after the last.
    """
    data = context.data
    writer = _Writer(context, progress, metrics, mirror)
    writer.mark()
    with (
        context.view.training(writer.epochs, len(data.train), progress.epoch) as report,
        interruptible() as check,
    ):

        def on_batch(done: int, outcome: Outcome) -> None:
            report.batch(done, outcome)
            check()

        def on_epoch(row: dict[str, Any]) -> None:
            metrics.append(row)
            report.row(row)
            writer.epoch(row)

        context.trainer.fit(
            splits["train"],
            splits["valid"],
            context.phases,
            progress,
            duration=data.steps * data.dt,
            on_batch=on_batch,
            on_epoch=on_epoch,
        )
    if progress.epoch < writer.epochs:
        why = _why_it_stopped(progress, context.config.trainer)
        context.view.say(f"stopped after epoch {progress.epoch} of {writer.epochs}: {why}")


@dataclass
class _Writer:
    """Writes checkpoints, and tells the mirror only of epochs that a checkpoint holds."""

    context: RunContext
    progress: Progress
    metrics: Metrics
    mirror: Any
    unsaved: list[dict[str, Any]] = field(default_factory=list)
    saved: float = 0.0

    @property
    def epochs(self) -> int:
        return sum(phase.epochs for phase in self.context.phases)

    def mark(self) -> None:
        write_status(
            self.context.directory, "running", epoch=self.progress.epoch, epochs=self.epochs
        )

    def epoch(self, row: dict[str, Any]) -> None:
        self.unsaved.append(row)
        last = self.progress.phase == len(self.context.phases)
        if last or time.monotonic() - self.saved >= SAVE_EVERY:
            self._save()

    def _save(self) -> None:
        context = self.context
        self.metrics.sync()
        try:
            checkpoint.save(
                context.directory / CHECKPOINT,
                context.network,
                context.optimizer,
                self.progress,
                context.data.checksum,
                context.schedule,
            )
        except FileNotFoundError:
            self.metrics.check()  # says more, if the whole folder is gone
            raise
        self.mark()
        for row in self.unsaved if self.mirror else ():
            self.mirror.row(row)
        self.unsaved.clear()
        self.saved = time.monotonic()


def _why_it_stopped(progress: Progress, trainer: DictConfig) -> str:
    limit, loss = trainer.stop_at_loss, progress.train_task
    if limit is not None and loss is not None and loss <= limit:
        return f"the training loss reached {loss:.3g}"
    return f"no better validation accuracy than in epoch {progress.best_epoch}"
