"""Scratch memory of one thread: a few samples of every layer, small enough to stay in the cache between forward and backward."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fdi.snn.engine.cpu.plan import Plan


class Work(NamedTuple):
    """For a block of S samples, T steps, L layers (the readout last), W = widest layer; flat arrays hold layer after layer."""

    potentials: np.ndarray  # [sum of S (T + 1) width]
    adjoints: np.ndarray  # [sum of S (T + 2) width] gS, then gI of channel 0
    adjoints_1: np.ndarray  # the same of channel 1, if a layer has one
    spike_indptr: np.ndarray  # [L, S, T + 1]
    spike_units: np.ndarray  # [L, S, units T]
    indptr: np.ndarray  # [L, S, T + 1] what arrives from below, ranges of the flat `arrived[layer]`
    arrived: np.ndarray  # [L, S units T]
    rows: np.ndarray  # [2 + 2 S, W] currents, adjoints of the potential
    fired: np.ndarray  # [W] bytes
    words: np.ndarray  # the same memory, 8 bytes at a time
    peak: np.ndarray  # [S, classes]
    slope: np.ndarray  # [S, classes]
    pull: np.ndarray  # [S, hidden units] gradient of the bounds


def allocate(plan: Plan, samples: int, steps: int, dtype: np.dtype) -> Work:
    """Scratch memory for blocks of `samples`."""
    layers, widest, total = len(plan.units), int(plan.width.max()), int(plan.width.sum())
    hidden = int(plan.population_at[-1])
    above = max(int(plan.rows[1:].max()), int(plan.units[:-1].max()))
    fired = np.zeros(widest, dtype=np.uint8)
    second = total if plan.channels.max() > 1 else 0
    return Work(
        potentials=np.zeros(samples * (steps + 1) * total, dtype=dtype),
        adjoints=np.zeros(samples * (steps + 2) * total, dtype=dtype),
        adjoints_1=np.zeros(samples * (steps + 2) * second, dtype=dtype),
        spike_indptr=np.zeros((layers, samples, steps + 1), dtype=np.int64),
        spike_units=np.zeros((layers, samples, above * steps), dtype=np.int32),
        indptr=np.zeros((layers, samples, steps + 1), dtype=np.int64),
        arrived=np.zeros((layers, samples * above * steps), dtype=np.int32),
        rows=np.zeros((2 + 2 * samples, widest), dtype=dtype),
        fired=fired,
        words=fired.view(np.uint64),
        peak=np.zeros((samples, int(plan.width[-1])), dtype=dtype),
        slope=np.zeros((samples, int(plan.width[-1])), dtype=dtype),
        pull=np.zeros((samples, hidden), dtype=dtype),
    )
