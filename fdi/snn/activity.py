"""What a forward pass leaves behind."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor


@dataclass(frozen=True)
class Moments:
    """Mean and variance of each neuron's potential over time and samples, [*shape]: as simulated,
    and free of reset and adaptation.

    The spread of the theory, sigma_u, is the root of the mean over neurons of `free_variance`.
    """

    mean: Tensor
    variance: Tensor
    free_mean: Tensor
    free_variance: Tensor


@dataclass
class Activity:
    """Traces of a trial. Time is the first axis and step t holds the state after the update of that
    step, U[t+1].

    `readout`: [T, B, classes]. `counts`: spikes of each hidden population summed over time, [B,
    *shape]. On demand, by population name, [T, B, *shape]: `spikes`, `potentials`, and `free`, the
    potential that the same input current would cause without reset and adaptation (what the theory
    describes); and `moments` of the potentials, which need no traces.
    """

    readout: Tensor
    counts: dict[str, Tensor]
    spikes: dict[str, Tensor] = field(default_factory=dict)
    potentials: dict[str, Tensor] = field(default_factory=dict)
    free: dict[str, Tensor] = field(default_factory=dict)
    moments: dict[str, Moments] = field(default_factory=dict)
