"""The training of a run, with what is written after its epochs."""

from __future__ import annotations

import time
from typing import Any

from fdi.data.dataset import Split
from fdi.runner.context import RunContext
from fdi.snn.outcome import Outcome
from fdi.track.files import write_status
from fdi.track.interrupt import interruptible
from fdi.track.layout import CHECKPOINT
from fdi.track.metrics import Metrics
from fdi.train import checkpoint
from fdi.train.fit import Progress, fit

SAVE_EVERY = 2.0  # s between two checkpoints, where epochs are shorter


def train(
    context: RunContext, splits: dict[str, Split], progress: Progress, metrics: Metrics, mirror: Any
) -> None:
    """Fit, with a row of metrics after each epoch, and a checkpoint and a status after those that
    end SAVE_EVERY seconds after the one before, and after the last.
    """
    config, data = context.config, context.data
    epochs = sum(phase.epochs for phase in context.phases)
    write_status(context.directory, "running", epoch=progress.epoch, epochs=epochs)
    unsaved: list[dict[str, Any]] = []
    saved = 0.0
    with (
        context.view.training(epochs, len(data.train), progress.epoch) as report,
        interruptible() as check,
    ):

        def on_batch(done: int, outcome: Outcome) -> None:
            report.batch(done, outcome)
            check()

        def on_epoch(row: dict[str, Any]) -> None:
            metrics.append(row)
            report.row(row)
            unsaved.append(row)
            if progress.phase == len(context.phases) or time.monotonic() - saved >= SAVE_EVERY:
                save()

        def save() -> None:
            nonlocal saved
            metrics.sync()
            try:
                checkpoint.save(
                    context.directory / CHECKPOINT,
                    context.network,
                    context.optimizer,
                    progress,
                    data.checksum,
                    context.schedule,
                )
            except FileNotFoundError:
                metrics.check()  # says more, if the whole folder is gone
                raise
            write_status(context.directory, "running", epoch=progress.epoch, epochs=epochs)
            for row in unsaved if mirror else ():
                mirror.row(row)
            unsaved.clear()
            saved = time.monotonic()

        fit(
            context.network,
            context.engine,
            context.optimizer,
            splits["train"],
            splits["valid"],
            context.phases,
            batch_size=config.trainer.batch_size,
            duration=data.steps * data.dt,
            seed=config.seed,
            progress=progress,
            on_batch=on_batch,
            on_epoch=on_epoch,
            schedule=context.schedule,
            clip=config.trainer.clip,
        )
    if progress.epoch < epochs:
        limit = config.trainer.stop_at_loss
        why = (
            f"the training loss reached {progress.train_task:.3g}"
            if limit is not None and progress.train_task <= limit
            else f"none better on validation than epoch {progress.best_epoch} in the last "
            f"{config.trainer.patience}"
        )
        context.view.say(f"stopped after epoch {progress.epoch} of {epochs}: {why}")
