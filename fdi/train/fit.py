"""The training loop: epochs over shuffled batches, one validation an epoch, a row of metrics."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from fdi.data.dataset import Split
from fdi.data.seeding import stream
from fdi.snn.network import Network
from fdi.snn.objective import Objective
from fdi.snn.outcome import Outcome
from fdi.train.homeostasis import Phase
from fdi.train.schedule import Schedule

if TYPE_CHECKING:
    from fdi.engine import Engine

ADVICE = "lower optimizer.lr or the initial sigma_u"


class Diverged(RuntimeError):
    """The loss, a gradient or a weight is not a finite number."""


@dataclass
class Progress:
    """How far training got, and the weights of the best validation epoch; together with weights and
    optimizer all that a resume needs.

    `epoch` and `phase_epoch` count finished epochs; `seconds` is their sum; accuracies are those of
    the validation split, but for `train_accuracy`, which like the cross-entropy `train_task` is the
    mean over the last epoch as it was trained.
    """

    epoch: int = 0
    phase: int = 0
    phase_epoch: int = 0
    seconds: float = 0.0
    accuracy: float | None = None
    best_epoch: int = 0
    best_accuracy: float | None = -1.0
    best_weights: dict[str, Tensor] | None = None
    train_accuracy: float | None = None
    train_task: float | None = None


def fit(
    network: Network,
    engine: Engine,
    optimizer: torch.optim.Optimizer,
    train: Split,
    valid: Split,
    phases: list[Phase],
    *,
    batch_size: int,
    duration: float,
    seed: int,
    progress: Progress,
    on_batch: Callable[[int, Outcome], None],
    on_epoch: Callable[[dict[str, Any]], None],
    schedule: Schedule | None = None,
    clip: float | None = None,
) -> None:
    """Train through the remaining epochs of all `phases`; `duration` of a trial in seconds.

    Each phase starts with the state of a fresh optimizer. Order and noise of an epoch depend on
    `seed` and the epoch of the phase alone, so a training stopped after any epoch goes on as if
    never stopped, and a phase that finds nothing to do leaves no trace in the next. `schedule`
    starts with the task; the learning rate of the last batch is `lr` of the row. `clip`: largest
    norm of the gradient of all weights together; `grad/` of the row is before it. Calls
    `on_batch(samples done, outcome)` and, when `progress` is up to date, `on_epoch(row)`. Raises
    Diverged.
    """
    while progress.phase < len(phases):
        phase = phases[progress.phase]
        if progress.phase_epoch == 0:
            optimizer.state.clear()
            if schedule is not None and phase.objective.task_weight:
                schedule.start(optimizer)
        started = time.perf_counter()
        outcome, gradients = _train_epoch(
            network,
            engine,
            optimizer,
            train,
            phase.objective,
            batch_size,
            seed,
            progress,
            on_batch,
            schedule,
            clip,
        )
        trained = time.perf_counter()
        validation = (
            evaluate(network, engine, valid, phase.objective, batch_size, seed)
            if len(valid)
            else None
        )
        progress.epoch += 1
        progress.phase_epoch += 1
        progress.seconds += time.perf_counter() - started
        progress.train_accuracy = outcome.correct / outcome.samples
        progress.train_task = outcome.task / outcome.samples
        _remember_best(progress, phase, network, validation)
        if schedule is not None:
            schedule.after_epoch(_loss(validation or outcome, phase.objective))
        if (
            progress.phase_epoch >= phase.epochs
            or _out_of_patience(progress, phase)
            or _low_enough(progress, phase)
        ):
            progress.phase += 1
            progress.phase_epoch = 0
        row = {
            "epoch": progress.epoch,
            "phase": phase.name,
            "seconds": trained - started,
            "seconds_valid": time.perf_counter() - trained,
        }
        row |= _metrics("train", outcome, phase.objective)
        row |= _metrics("valid", validation, phase.objective) if validation else {}
        row |= activity(outcome, duration) | {
            f"grad/{name}": norm for name, norm in gradients.items()
        }
        on_epoch(row if schedule is None else row | {"lr": schedule.rate})


def evaluate(
    network: Network, engine: Engine, split: Split, objective: Objective, batch_size: int, seed: int
) -> Outcome:
    """The outcome of a whole split, in its order; noise of the input, if any, is the same in every
    call.
    """
    return reduce(
        add,
        (
            engine.evaluate(
                network,
                *split.batch(indices, stream(seed, "evaluation noise", i)),
                objective,
            )
            for i, indices in enumerate(_batches(np.arange(len(split)), batch_size))
        ),
    )


def activity(outcome: Outcome, duration: float) -> dict[str, float]:
    """rate/<population> in Hz, and silent/<population>, the share of neurons without a single spike
    in all samples.
    """
    rates = {
        f"rate/{name}": float(counts.mean()) / (outcome.samples * duration)
        for name, counts in outcome.counts.items()
    }
    return rates | {
        f"silent/{name}": float((counts == 0).mean()) for name, counts in outcome.counts.items()
    }


def _train_epoch(
    network: Network,
    engine: Engine,
    optimizer: torch.optim.Optimizer,
    train: Split,
    objective: Objective,
    batch_size: int,
    seed: int,
    progress: Progress,
    on_batch: Callable[[int, Outcome], None],
    schedule: Schedule | None,
    clip: float | None,
) -> tuple[Outcome, dict[str, float]]:
    epoch = progress.phase_epoch
    order = stream(seed, "order", epoch).permutation(len(train))
    total: Outcome | None = None
    norms: list[list[float]] = []
    for i, indices in enumerate(_batches(order, batch_size)):
        outcome = engine.step(
            network, *train.batch(indices, stream(seed, "noise", epoch, i)), objective
        )
        gradients = [p.weight.grad for p in network.projections]
        norm = torch.stack([grad.norm() for grad in gradients if grad is not None])
        norms.append(norm.cpu().tolist())
        _refuse_nan(outcome, norms[-1], network, progress.epoch, i)
        for projection, of_it in zip(network.projections, norms[-1]):
            if of_it == 0:  # momentum, weight decay and the like would move it
                projection.weight.grad = None
        if clip is not None:
            torch.nn.utils.clip_grad_norm_(network.parameters(), clip)
        optimizer.step()
        network.constrain()
        if schedule is not None:
            schedule.after_batch(optimizer)
        total = outcome if total is None else total + outcome
        on_batch(total.samples, total)
    for name, weight in network.weights().items():  # what the last step did no loss has shown yet
        if not weight.isfinite().all():
            raise Diverged(
                f"the weights of {name} are not finite after epoch {epoch + 1}; {ADVICE}"
            )
    assert total is not None  # each class has a training sample, says Dataset
    names = [projection.name for projection in network.projections]
    return total, dict(zip(names, np.mean(norms, axis=0).tolist()))


def _batches(order: np.ndarray, batch_size: int) -> Iterator[np.ndarray]:
    return (order[start : start + batch_size] for start in range(0, len(order), batch_size))


def _refuse_nan(
    outcome: Outcome, norms: list[float], network: Network, epoch: int, batch: int
) -> None:
    where = f"epoch {epoch + 1}, batch {batch + 1}"
    if not math.isfinite(outcome.task + outcome.regularizer):
        raise Diverged(f"the loss is {outcome.task + outcome.regularizer} in {where}; {ADVICE}")
    for projection, norm in zip(network.projections, norms):
        if not math.isfinite(norm):
            raise Diverged(f"the gradient of {projection.name} is {norm} in {where}; {ADVICE}")


def _remember_best(
    progress: Progress, phase: Phase, network: Network, validation: Outcome | None
) -> None:
    """Without a validation split the last epoch counts as the best."""
    accuracy = progress.accuracy = validation.correct / validation.samples if validation else None
    best = progress.best_accuracy
    if phase.objective.task_weight and (accuracy is None or best is None or accuracy > best):
        progress.best_epoch, progress.best_accuracy = progress.epoch, accuracy
        progress.best_weights = {
            name: weight.to("cpu", copy=True) for name, weight in network.weights().items()
        }


def _out_of_patience(progress: Progress, phase: Phase) -> bool:
    waited = progress.epoch - progress.best_epoch
    return phase.patience is not None and waited >= phase.patience


def _low_enough(progress: Progress, phase: Phase) -> bool:
    limit, reached = phase.stop_at_loss, progress.train_task
    return limit is not None and reached is not None and reached <= limit


def _metrics(split: str, outcome: Outcome, objective: Objective) -> dict[str, float]:
    return {
        f"{split}/loss": _loss(outcome, objective),
        f"{split}/task": outcome.task / outcome.samples,
        f"{split}/regularizer": outcome.regularizer / outcome.samples,
        f"{split}/accuracy": outcome.correct / outcome.samples,
    }


def _loss(outcome: Outcome, objective: Objective) -> float:
    task, regularizer = outcome.task / outcome.samples, outcome.regularizer / outcome.samples
    return objective.task_weight * task + regularizer
