"""The training of a run, with what is written after its epochs, and its result, with the only look
at the test set.
"""

from __future__ import annotations

import time
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from omegaconf import DictConfig
from torch import Tensor

from fdi.data.dataset import Split
from fdi.data.inputs import Input
from fdi.engine import Engine
from fdi.runner.build import RunContext
from fdi.runner.initial import batch
from fdi.snn.network import Network
from fdi.snn.objective import Objective, Outcome
from fdi.track.files import CHECKPOINT, write_status
from fdi.track.metrics import Metrics
from fdi.track.processes import interruptible
from fdi.train import checkpoint
from fdi.train.trainer import Progress, activity


def change(
    network: Network, initial: Network, engine: Engine, inputs: Input
) -> dict[str, dict[str, float | None]]:
    """`moved`, of each projection by its name, and `alignment`, of each hidden population:

        moved = |W - W0| / |W0|
        alignment = |Y0' Y|^2 / (|Y0' Y0| |Y' Y|)

    with Frobenius norms, and Y [B, units] the spike counts of `inputs` without their mean over the
    B samples: the linear kernel alignment (CKA, Kornblith et al. 2019), 1 for equal
    representations. None where W0 is zero, or where counts do not differ between samples.
    """
    before, after = initial.weights(), network.weights()
    counts = [engine.simulate(net, inputs).counts for net in (initial, network)]
    return {
        "moved": {
            name: _moved(before[name].cpu(), after[name].cpu())
            for name in (projection.name for projection in network.projections)
        },
        "alignment": {name: alignment(counts[0][name], counts[1][name]) for name in counts[0]},
    }


def alignment(before: Tensor, after: Tensor) -> float | None:
    """The linear kernel alignment of two arrays [B, ...] of the same samples."""
    first, second = (_centred(counts) for counts in (before, after))
    kernels = [samples @ samples.T for samples in (first, second)]
    norms = [float(kernel.norm()) for kernel in kernels]
    if not all(norms):
        return None
    return float((kernels[0] * kernels[1]).sum()) / (norms[0] * norms[1])


def _centred(counts: Tensor) -> Tensor:
    flat = counts.detach().cpu().flatten(1).double()
    return flat - flat.mean(0)


def _moved(before: Tensor, after: Tensor) -> float | None:
    norm = float(before.double().norm())
    return float((after.double() - before.double()).norm()) / norm if norm else None


def final_result(
    context: RunContext, split: Split, progress: Progress, initial: Network
) -> dict[str, Any]:
    """Evaluate the test set with the last weights and with those of the best validation epoch, and
    measure how far the last are from the `initial` ones.
    """
    config, data, network = context.config, context.data, context.network
    objective = Objective(config.trainer.readout)
    trainer = context.trainer
    changed = change(
        network,
        deepcopy(initial).to(context.device),
        context.engine,
        batch(context)[0],
    )
    last = best = trainer.evaluate(split, objective)
    if progress.best_weights is not None and progress.best_epoch != progress.epoch:
        network.load_weights(progress.best_weights)
        best = trainer.evaluate(split, objective)
    rates = activity(last, data.steps * data.dt)
    return {
        **config.name,
        "seed": config.seed,
        "epochs": progress.epoch,
        "test_accuracy_last": last.correct / last.samples,
        "test_accuracy_best": best.correct / best.samples,
        "test_loss_last": last.task / last.samples,
        "train_accuracy_last": progress.train_accuracy,
        "train_loss_last": progress.train_task,
        "best_epoch": progress.best_epoch,
        "valid_accuracy_best": progress.best_accuracy,
        "valid_accuracy_last": progress.accuracy,
        "classes": data.classes,
        "test_samples": last.samples,
        "seconds": progress.seconds,
        "rates": {
            name.removeprefix("rate/"): value
            for name, value in rates.items()
            if name.startswith("rate/")
        },
        "silent": {
            name.removeprefix("silent/"): value
            for name, value in rates.items()
            if name.startswith("silent/")
        },
        **changed,
        **({"tau_mem": network.learned()} if network.leaks else {}),
        "parameters": sum(weight.numel() for weight in network.parameters()),
    }


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
            checkpoint.save_checkpoint(
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
