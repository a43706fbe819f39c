"""How far a training got."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from fdi.snn.network import Network
from fdi.snn.outcome import Outcome
from fdi.train.homeostasis import Phase


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

    def finish_epoch(
        self, phase: Phase, network: Network, trained: Outcome, validation: Outcome | None
    ) -> None:
        """Count an epoch of `phase`, go on to the next phase if it was the last one, and keep the
        weights unless earlier ones were better on validation. Without a validation split the last
        epoch counts as the best.
        """
        self.epoch += 1
        self.phase_epoch += 1
        self.train_accuracy = trained.correct / trained.samples
        self.train_task = trained.task / trained.samples
        self.accuracy = validation.correct / validation.samples if validation else None
        if phase.objective.task_weight and self._is_best():
            self.best_epoch, self.best_accuracy = self.epoch, self.accuracy
            self.best_weights = {
                name: weight.to("cpu", copy=True) for name, weight in network.weights().items()
            }
        if self._is_over(phase):
            self.phase += 1
            self.phase_epoch = 0

    def _is_best(self) -> bool:
        accuracy, best = self.accuracy, self.best_accuracy
        return accuracy is None or best is None or accuracy > best

    def _is_over(self, phase: Phase) -> bool:
        waited = self.epoch - self.best_epoch
        out_of_patience = phase.patience is not None and waited >= phase.patience
        limit, loss = phase.stop_at_loss, self.train_task
        low_enough = limit is not None and loss is not None and loss <= limit
        return self.phase_epoch >= phase.epochs or out_of_patience or low_enough
