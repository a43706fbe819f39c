"""Homeostatic plasticity as activity regularizers, and when each objective is trained."""

from __future__ import annotations

from dataclasses import dataclass, replace

from fdi.snn.objective import LowerBound, Objective, UpperBound


@dataclass(frozen=True)
class Phase:
    """A stretch of training with one objective, which a fresh optimizer starts; it ends after
    `epochs`, after `patience` of them without a better validation accuracy, or after one whose
    cross-entropy is at most `stop_at_loss`.
    """

    name: str
    objective: Objective
    epochs: int
    patience: int | None = None
    stop_at_loss: float | None = None


def phases(
    *,
    epochs: int,
    readout: str = "max",
    upper: UpperBound | None = None,
    lower: LowerBound | None = None,
    prime_epochs: int = 0,
    joint: bool = True,
    patience: int | None = None,
    stop_at_loss: float | None = None,
    label_smoothing: float = 0.0,
) -> list[Phase]:
    """`prime_epochs` of the regularizers alone, then `epochs` of the task, with the regularizers
    added to its loss if `joint`; only the task has `patience` and `stop_at_loss`.
    """
    if epochs < 1:
        raise ValueError(f"trainer.epochs = {epochs} must be at least 1")
    if prime_epochs and upper is None and lower is None:
        raise ValueError(
            "homeostasis primes without a bound; set homeostasis.upper.strength or "
            "homeostasis.lower.strength"
        )
    if not 0 <= label_smoothing < 1:
        raise ValueError(f"trainer.label_smoothing = {label_smoothing} must be below 1")
    bounds = Objective(readout, upper, lower, label_smoothing=label_smoothing)
    objective = bounds if joint else Objective(readout, label_smoothing=label_smoothing)
    task = Phase("task", objective, epochs, patience, stop_at_loss)
    if not prime_epochs:
        return [task]
    return [
        Phase("prime", replace(bounds, task_weight=0.0), prime_epochs),
        task,
    ]
