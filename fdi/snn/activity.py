"""What a forward pass leaves behind."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor


@dataclass(frozen=True)
class Moments:
    """Mean and variances of each neuron's potential, [*shape]: as simulated, and free of reset and
    adaptation.

    `temporal`: variance over the time of a trial, mean over samples; `across`: variance over
    samples of the mean over time. Together they are the variance over time and samples. The spread
    of the theory, sigma_u, is the root of the mean over neurons of `free_temporal`.
    """

    mean: Tensor
    temporal: Tensor
    across: Tensor
    free_mean: Tensor
    free_temporal: Tensor
    free_across: Tensor


@dataclass
class Activity:
    """Traces of a trial. Time is the first axis and step t holds the state after the update of that
    step, U[t+1].

    `readout`: [T, B, classes]. `counts`: spikes of each hidden population summed over time, [B,
    *shape]. On demand, by population name, [T, B, *shape]: `spikes`, `potentials`, and `free`, the
    potential that the same input current would cause without reset and adaptation (what the theory
    describes); and with `moments` of the potentials, which need no traces, `passed`: the counts
    behind pooling, which feed-forward targets see, [B, *pooled shape].
    """

    readout: Tensor
    counts: dict[str, Tensor]
    spikes: dict[str, Tensor] = field(default_factory=dict)
    potentials: dict[str, Tensor] = field(default_factory=dict)
    free: dict[str, Tensor] = field(default_factory=dict)
    moments: dict[str, Moments] = field(default_factory=dict)
    passed: dict[str, Tensor] = field(default_factory=dict)
