"""The training loop: epochs over shuffled batches, one validation an epoch, a row of metrics."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property, partial, reduce
from operator import add
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import CyclicLR, LRScheduler, OneCycleLR, ReduceLROnPlateau

from fdi.config import Error, Mistake
from fdi.data.dataset import Split, stream
from fdi.data.inputs import Input
from fdi.snn.network import Network
from fdi.snn.objective import CROSS_ENTROPY, Loss, LowerBound, Objective, Outcome, UpperBound
from fdi.train.rules import prepared

if TYPE_CHECKING:
    from fdi.engine import Engine


EACH_BATCH = (OneCycleLR, CyclicLR)  # as torch says; the others go on after an epoch


class Schedule:
    """What `make` makes of an optimizer when the task starts; priming keeps the optimizer's own
    learning rate. `rate`: that of the last batch.
    """

    def __init__(self, make: Callable[[Optimizer], LRScheduler]) -> None:
        self._make = make
        self._rule: LRScheduler | None = None
        self.rate: float | None = None

    def start(self, optimizer: Optimizer) -> None:
        """Start with the optimizer's present learning rate."""
        self._rule = self._make(optimizer)

    def after_batch(self, optimizer: Optimizer) -> None:
        self.rate = optimizer.param_groups[0]["lr"]
        if isinstance(self._rule, EACH_BATCH):
            self._rule.step()

    def after_epoch(self, loss: float) -> None:
        """`loss`: what a schedule that waits for a plateau watches."""
        if isinstance(self._rule, ReduceLROnPlateau):
            self._rule.step(loss)
        elif self._rule is not None and not isinstance(self._rule, EACH_BATCH):
            self._rule.step()

    def state_dict(self) -> dict[str, Any] | None:
        """The state of the schedule, None before the task."""
        return None if self._rule is None else self._rule.state_dict()

    def load_state_dict(self, optimizer: Optimizer, state: dict[str, Any] | None) -> None:
        """To be called before the state of the `optimizer` is loaded, whose learning rate this
        changes.
        """
        if state is not None:
            self.start(optimizer)
            assert self._rule is not None
            self._rule.load_state_dict(state)


@dataclass(frozen=True)
class Phase:
    """A stretch of training with one objective; it ends after `epochs`, after `patience` of them
    without a better validation accuracy, or after one whose loss of the task is at most
    `stop_at_loss`. It goes on with what the optimizer remembers of the phase before, or with a
    `fresh` one.
    """

    name: str
    objective: Objective
    epochs: int
    patience: int | None = None
    stop_at_loss: float | None = None
    fresh: bool = False


def phases(
    *,
    epochs: int,
    readout: str = "max",
    upper: UpperBound | None = None,
    lower: LowerBound | None = None,
    prime_epochs: int = 0,
    joint: bool = True,
    fresh_optimizer: bool = False,
    patience: int | None = None,
    stop_at_loss: float | None = None,
    loss: Loss = CROSS_ENTROPY,
) -> list[Phase]:
    """`prime_epochs` of the regularizers alone, then `epochs` of the task, with the regularizers
    added to its loss if `joint` and what the optimizer remembers of priming unless
    `fresh_optimizer`; only the task has `patience` and `stop_at_loss`.
    """
    if prime_epochs and upper is None and lower is None:
        raise Mistake(
            "homeostasis primes without a bound; set homeostasis.upper.strength or "
            "homeostasis.lower.strength"
        )
    bounds = Objective(readout, upper, lower, loss=loss)
    objective = bounds if joint else Objective(readout, loss=loss)
    task = Phase("task", objective, epochs, patience, stop_at_loss, fresh_optimizer)
    if not prime_epochs:
        return [task]
    return [Phase("prime", replace(bounds, task_weight=0.0), prime_epochs), task]


@dataclass
class Progress:
    """How far training got, and the weights of the best validation epoch; together with weights and
    optimizer all that a resume needs.

    `epoch` and `phase_epoch` count finished epochs; `seconds` is their sum; accuracies, or what
    else the loss is judged by, are those of the validation split, but for `train_accuracy`, which
    like the loss `train_task` is that of the last epoch as it was trained. `started`: the weights
    of each projection, by name, as they were at its first gradient, if the optimizer's weight decay
    may have moved them before.
    `unmoved`: population -> why it did not move, where its gradient was followed.
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
    started: dict[str, Tensor] = field(default_factory=dict)
    unmoved: dict[str, str] = field(default_factory=dict)

    def finish_epoch(
        self, phase: Phase, network: Network, trained: Outcome, validation: Outcome | None
    ) -> None:
        """Count an epoch of `phase`, go on to the next phase if it was the last one, and keep the
        weights unless earlier ones were better on validation. Without a validation split the last
        epoch counts as the best.
        """
        self.epoch += 1
        self.phase_epoch += 1
        loss = phase.objective.loss
        self.train_accuracy = loss.score(trained.sums)
        self.train_task = trained.task / trained.samples
        self.accuracy = loss.score(validation.sums) if validation else None
        if phase.objective.task_weight and self._is_best(loss.judged_by.sign):
            self.best_epoch, self.best_accuracy = self.epoch, self.accuracy
            self.best_weights = {
                name: weight.to("cpu", copy=True) for name, weight in network.weights().items()
            }
        if self._is_over(phase):
            self.phase += 1
            self.phase_epoch = 0

    def go_on(self, phases: list[Phase]) -> None:
        """Open the last of the `phases` again if it ended because fewer epochs were asked for, and
        not because of its `patience` or `stop_at_loss`.
        """
        *before, last = phases
        done = self.epoch - sum(phase.epochs for phase in before)
        if self.phase == len(phases) and 0 < done < last.epochs:
            self.phase, self.phase_epoch = len(before), done
            if self._is_over(last):
                self.phase, self.phase_epoch = len(phases), 0

    def _is_best(self, sign: int) -> bool:
        accuracy, best = self.accuracy, self.best_accuracy
        if self.best_weights is None or accuracy is None or best is None:
            return True
        return sign * accuracy > sign * best

    def _is_over(self, phase: Phase) -> bool:
        waited = self.epoch - self.best_epoch
        out_of_patience = phase.patience is not None and waited >= phase.patience
        limit, loss = phase.stop_at_loss, self.train_task
        low_enough = limit is not None and loss is not None and loss <= limit
        return self.phase_epoch >= phase.epochs or out_of_patience or low_enough


ADVICE = "lower optimizer.lr or the initial sigma_u"

OnBatch = Callable[[int, Outcome], None]
OnEpoch = Callable[[dict[str, Any]], None]


class Diverged(Error, RuntimeError):
    """The loss, a gradient or a weight is not a finite number."""


@dataclass(frozen=True)
class Trainer:
    """What trains `network`: the order and the noise of an epoch depend on `seed` and the epoch of
    its phase alone, so a training stopped after any epoch goes on as if never stopped.

    `schedule` starts with the task. `clip`: the largest norm of the gradient of all weights
    together.
    """

    network: Network
    engine: Engine
    optimizer: torch.optim.Optimizer
    batch_size: int
    seed: int
    schedule: Schedule | None = None
    clip: float | None = None

    @cached_property
    def decays(self) -> bool:
        """Whether weights move without a gradient."""
        return any(group.get("weight_decay") for group in self.optimizer.param_groups)

    def fit(
        self,
        train: Split,
        valid: Split | None,
        phases: list[Phase],
        progress: Progress,
        *,
        duration: float,
        on_batch: OnBatch = lambda done, outcome: None,
        on_epoch: OnEpoch = lambda row: None,
    ) -> None:
        """Train through the remaining epochs of all `phases`; `duration` of a trial in seconds.

        Calls `on_batch(samples done, outcome)` and, when `progress` is
        up to date, `on_epoch(row)`, where `lr` is the learning rate of the last batch and `grad/`
        the gradient before it was clipped. Raises Diverged.
        """
        while progress.phase < len(phases):
            phase = phases[progress.phase]
            objective = phase.objective
            if progress.phase_epoch == 0:
                if phase.fresh:
                    self.optimizer.state.clear()
                if self.schedule is not None and objective.task_weight:
                    self.schedule.start(self.optimizer)
            started = time.perf_counter()
            outcome, gradients = self._epoch(train, objective, progress, on_batch)
            trained = time.perf_counter()
            validation = self.evaluate(valid, objective) if valid else None
            progress.seconds += time.perf_counter() - started
            progress.finish_epoch(phase, self.network, outcome, validation)
            if self.schedule is not None:
                self.schedule.after_epoch(_loss(validation or outcome, objective))
            row = {
                "epoch": progress.epoch,
                "phase": phase.name,
                "seconds": trained - started,
                "seconds_valid": time.perf_counter() - trained,
            }
            row |= _metrics("train", outcome, objective)
            row |= _metrics("valid", validation, objective) if validation else {}
            row |= activity(outcome, duration)
            row |= {f"grad/{name}": norm for name, norm in gradients.items()}
            on_epoch(row if self.schedule is None else row | {"lr": self.schedule.rate})

    def outcomes(self, split: Split, objective: Objective) -> Iterator[Outcome]:
        """The outcome of each batch of a whole split, in its order. Noise of the input, if any, is
        the same in each call.
        """
        noise = partial(stream, self.seed, "evaluation noise")
        for samples in split.batches(np.arange(len(split)), self.batch_size, noise):
            yield self.engine.evaluate(self.network, *samples, objective)

    def evaluate(self, split: Split, objective: Objective) -> Outcome:
        """The outcome of a whole split."""
        return reduce(add, self.outcomes(split, objective))

    def _epoch(
        self, train: Split, objective: Objective, progress: Progress, on_batch: OnBatch
    ) -> tuple[Outcome, dict[str, float]]:
        """The outcome of an epoch while it was trained, and the mean norm of each projection's
        gradient.
        """
        epoch, projections = progress.phase_epoch, list(self.network.projections)
        weights = [projection.weight for projection in projections]
        order = stream(self.seed, "order", epoch).permutation(len(train))
        total: Outcome | None = None
        norms: list[list[float]] = []
        noise = partial(stream, self.seed, "noise", epoch)
        update = prepared(self.optimizer)
        signed = any(projection.nonnegative for projection in projections)
        for i, (inputs, labels) in enumerate(train.batches(order, self.batch_size, noise)):
            outcome = self._gradients(inputs, labels, objective, epoch, i)
            sizes = self.engine.norms([weight.grad for weight in weights])
            if not math.isfinite(outcome.task + outcome.regularizer + sum(sizes)):
                self._refuse(outcome, sizes, f"epoch {progress.epoch + 1}, batch {i + 1}")
            norms.append(sizes)
            self._remember_starts(sizes, progress)
            self._limit(objective, dict(zip(weights, sizes)))
            update()
            if signed:
                self.network.constrain()
            if self.schedule is not None:
                self.schedule.after_batch(self.optimizer)
            total = outcome if total is None else total + outcome
            on_batch(total.samples, total)
        for name, weight in self.network.weights().items():  # no loss has shown the last step yet
            if not weight.isfinite().all():
                raise Diverged(
                    f"the weights of {name} are not finite after epoch {epoch + 1}; {ADVICE}"
                )
        assert total is not None  # each class has a training sample, says Dataset
        names = [projection.name for projection in projections]
        return total, dict(zip(names, np.mean(norms, axis=0).tolist()))

    def _gradients(
        self, inputs: Input, labels: np.ndarray, objective: Objective, epoch: int, batch: int
    ) -> Outcome:
        """A step of the engine; masks of dropout depend on seed, epoch and batch alone."""
        if not self.network.dropout:
            return self.engine.step(self.network, inputs, labels, objective)
        with torch.random.fork_rng(devices=[]):
            seed = int(stream(self.seed, "dropout", epoch, batch).integers(2**63))
            torch.default_generator.manual_seed(seed)
            return self.engine.step(self.network, inputs, labels, objective)

    def _refuse(self, outcome: Outcome, norms: list[float], where: str) -> None:
        """Say what is no finite number."""
        names = [f"gradient of {projection.name}" for projection in self.network.projections]
        values = outcome.task + outcome.regularizer, *norms
        for what, value in zip(("loss", *names), values):
            if not math.isfinite(value):
                raise Diverged(f"the {what} is {value} in {where}; {ADVICE}")

    def _remember_starts(self, norms: list[float], progress: Progress) -> None:
        """Keep the weights of what has its first gradient, if they may move before it."""
        if not self.decays:
            return
        for projection, size in zip(self.network.projections, norms):
            if size and projection.name not in progress.started:
                weight = projection.weight.detach().to("cpu", copy=True)
                progress.started[projection.name] = weight

    def _limit(self, objective: Objective, norms: dict[Tensor, float]) -> None:
        """Leave out the gradients of what the loss does not depend on, as torch does, and `clip`
        the others, of which some `norms` are known.
        """
        if not objective.task_weight:
            for projection in self.network.afferents(self.network.readout.name):
                projection.weight.grad = None
        if self.clip is not None:
            every = [p for group in self.optimizer.param_groups for p in group["params"]]
            weights = [p for p in every if p.grad is not None]
            others = [p for p in weights if p not in norms]
            norms |= zip(others, self.engine.norms([p.grad for p in others]))
            total = torch.tensor(math.hypot(*(norms[p] for p in weights)))
            torch.nn.utils.clip_grads_with_norm_(weights, self.clip, total)


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


def _metrics(split: str, outcome: Outcome, objective: Objective) -> dict[str, float]:
    return {
        f"{split}/loss": _loss(outcome, objective),
        f"{split}/task": outcome.task / outcome.samples,
        f"{split}/regularizer": outcome.regularizer / outcome.samples,
        f"{split}/{objective.loss.judged_by.name}": objective.loss.score(outcome.sums),
    }


def _loss(outcome: Outcome, objective: Objective) -> float:
    task, regularizer = outcome.task / outcome.samples, outcome.regularizer / outcome.samples
    return objective.task_weight * task + regularizer
