"""A population: a shape of neurons that follow the same equations."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property

from fdi.snn.neuron import Neuron

INPUT = "input"
"""What projections call the data, as if they were a population."""


@dataclass(frozen=True)
class Population:
    """Neurons that share their equations and constants; only their time constants may differ.

    `shape`: (units,) or (channels, length) or (channels, height, width). `pool`: edge of the
    max-pooling window that feed-forward targets see the spikes through. `taus`: where the neurons
    differ, tau_mem of each in s, then tau_syn of each for every channel.
    Raises ValueError for a shape without neurons or smaller than its pooling window, and for `taus`
    that do not fit.
    """

    name: str
    shape: tuple[int, ...]
    neuron: Neuron
    pool: int = 1
    taus: tuple[tuple[float, ...], ...] | None = None

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
        if self.taus is not None:
            wanted = [self.units] * (1 + len(self.neuron.tau_syn))
            if len(self.shape) > 1 or [len(row) for row in self.taus] != wanted:
                raise ValueError(
                    f"population {self.name}: time constants of {[len(r) for r in self.taus]} "
                    f"neurons do not fit; a population of one dimension takes {wanted}"
                )

    @property
    def units(self) -> int:
        return math.prod(self.shape)

    @property
    def pooled_shape(self) -> tuple[int, ...]:
        """The shape that feed-forward targets see."""
        if self.pool == 1:
            return self.shape
        return (self.shape[0], *(edge // self.pool for edge in self.shape[1:]))

    @cached_property
    def neurons(self) -> tuple[Neuron, ...]:
        """One for all, or each with its own time constants. Raises ValueError where they are still
        to be drawn.
        """
        if self.taus is None:
            if self.neuron.tau_shape is not None:
                raise ValueError(
                    f"population {self.name}: its time constants are not drawn; call "
                    f"fdi.snn.network.draw_time_constants"
                )
            return (self.neuron,)
        return tuple(
            replace(self.neuron, tau_mem=mem, tau_syn=tuple(syn)) for mem, *syn in zip(*self.taus)
        )
