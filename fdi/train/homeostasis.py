"""Homeostatic plasticity as activity regularizers: which objective is trained when."""

from __future__ import annotations

from dataclasses import dataclass, replace

from fdi.snn.objective import LowerBound, Objective, UpperBound
from fdi.snn.outcome import Outcome


@dataclass(frozen=True)
class Phase:
    """A stretch of training with one objective: `epochs` long, or shorter once the rates are `in
    bounds`.
    """

    name: str
    objective: Objective
    epochs: int
    until_in_bounds: bool = False


def phases(
    *,
    epochs: int,
    readout: str = "max",
    upper: UpperBound | None = None,
    lower: LowerBound | None = None,
    prime_epochs: int = 0,
    prime_until_in_bounds: bool = False,
    joint: bool = True,
) -> list[Phase]:
    """`prime_epochs` of the regularizers alone, then `epochs` of the task, with the regularizers
    added to its loss if `joint`.
    """
    if epochs < 1:
        raise ValueError(f"trainer.epochs = {epochs} must be at least 1")
    if prime_epochs and upper is None and lower is None:
        raise ValueError(
            "homeostasis primes without a bound; set homeostasis.upper or homeostasis.lower"
        )
    bounds = Objective(readout, upper, lower)
    task = Phase("task", bounds if joint else Objective(readout), epochs)
    if not prime_epochs:
        return [task]
    return [
        Phase("prime", replace(bounds, task_weight=0.0), prime_epochs, prime_until_in_bounds),
        task,
    ]


def in_bounds(outcome: Outcome, objective: Objective) -> bool:
    """Does each population keep the bounds on average over the samples: mean count <= upper
    threshold, no neuron below the lower one?
    """
    means = [counts / outcome.samples for counts in outcome.counts.values()]
    below = objective.upper is None or all(
        mean.mean() <= objective.upper.threshold for mean in means
    )
    above = objective.lower is None or all(
        mean.min() >= objective.lower.threshold for mean in means
    )
    return below and above
