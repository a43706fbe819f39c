"""What a step of training or evaluation reports: sums over samples, so that the outcomes of several
batches add up.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Outcome:
    """Sums over `samples`: cross-entropy `task`, `regularizer`, `correct` predictions, and spikes
    of each neuron, counts[name] [*shape].
    """

    samples: int
    task: float
    regularizer: float
    correct: int
    counts: dict[str, np.ndarray]

    def __add__(self, other: Outcome) -> Outcome:
        return Outcome(
            self.samples + other.samples,
            self.task + other.task,
            self.regularizer + other.regularizer,
            self.correct + other.correct,
            {name: counts + other.counts[name] for name, counts in self.counts.items()},
        )
