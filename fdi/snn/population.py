"""A population: a shape of neurons that follow the same equations."""

from __future__ import annotations

import math
from dataclasses import dataclass

from fdi.snn.neuron import Neuron


@dataclass(frozen=True)
class Population:
    """Neurons that share their equations and constants.

    `shape`: (units,) or (channels, length) or (channels, height, width). `pool`: edge of the
    max-pooling window that feed-forward targets see the spikes through.
    Raises ValueError for a shape without neurons or smaller than its pooling window.
    """

    name: str
    shape: tuple[int, ...]
    neuron: Neuron
    pool: int = 1

    def __post_init__(self) -> None:
        if min(self.shape, default=0) < 1:
            advice = "use smaller kernels, strides or pools, more padding, or fewer layers"
            raise ValueError(
                f"population {self.name}: shape {self.shape} leaves no neuron; {advice}"
            )
        if self.pool > 1 and min(self.shape[1:], default=0) < self.pool:
            raise ValueError(
                f"population {self.name}: a pooling window of {self.pool} does not fit into "
                f"shape {self.shape}"
            )

    @property
    def units(self) -> int:
        return math.prod(self.shape)

    @property
    def pooled_shape(self) -> tuple[int, ...]:
        """What feed-forward targets see."""
        if self.pool == 1:
            return self.shape
        return (self.shape[0], *(edge // self.pool for edge in self.shape[1:]))
