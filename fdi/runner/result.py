"""The result of a run, with the only look at the test set."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from fdi.data.dataset import Split
from fdi.runner.change import change
from fdi.runner.context import RunContext
from fdi.runner.initial import batch
from fdi.snn.network import Network
from fdi.snn.objective import Objective
from fdi.train.progress import Progress
from fdi.train.trainer import activity


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
