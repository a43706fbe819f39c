"""Scratch memory of one thread: a few samples of every layer, small enough to stay in the cache between forward and backward."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from fdi.snn.engine.cpu.plan import Plan

BLOCK = 8
"""Samples that go through the layers together: enough to reuse the recurrent weights from the registers."""


class Work(NamedTuple):
    """For a block of S samples, T steps, L layers (the readout last), W = widest layer; flat arrays hold layer after layer."""

    potentials: np.ndarray  # [sum of S (T + 1) width]
    adjoints: np.ndarray  # [sum of S (T + 2) width] gS, then gI of channel 0
    adjoints_1: np.ndarray  # the same of channel 1, if a layer has one
    spike_indptr: np.ndarray  # [L, S, T + 1]
    spikes: np.ndarray  # [L, S, units T]
    indptr: np.ndarray  # [L, S, T + 1] what arrives from below, ranges of the flat `arrived[layer]`
    arrived: np.ndarray  # [L, S units T]
    rows: np.ndarray  # [2, W] currents
    pulls: np.ndarray  # [S, W] gradient of the potential
    peak: np.ndarray  # [S, classes padded]
    slope: np.ndarray  # [S, classes padded]
    pull: np.ndarray  # [S, hidden units] gradient of the bounds


def allocate(plan: Plan, steps: int, dtype: np.dtype) -> Work:
    """Scratch memory for trials of `steps`."""
    samples = BLOCK
    layers, widest, total = len(plan.units), int(plan.width.max()), int(plan.width.sum())
    classes, hidden = int(plan.width[-1]), int(plan.population_at[-1])
    above = max(int(plan.rows[1:].max()), int(plan.units[:-1].max()))
    second = total if plan.channels.max() > 1 else 0
    return Work(
        potentials=zeros(samples * (steps + 1) * total, dtype=dtype),
        adjoints=zeros(samples * (steps + 2) * total, dtype=dtype),
        adjoints_1=zeros(samples * (steps + 2) * second, dtype=dtype),
        spike_indptr=np.zeros((layers, samples, steps + 1), dtype=np.int64),
        spikes=np.zeros((layers, samples, above * steps), dtype=np.int32),
        indptr=np.zeros((layers, samples, steps + 1), dtype=np.int64),
        arrived=np.zeros((layers, samples * above * steps), dtype=np.int32),
        rows=zeros(2, widest, dtype=dtype),
        pulls=zeros(samples, widest, dtype=dtype),
        peak=zeros(samples, classes, dtype=dtype),
        slope=zeros(samples, classes, dtype=dtype),
        pull=zeros(samples, hidden, dtype=dtype),
    )


def zeros(*shape: int, dtype: np.dtype) -> np.ndarray:
    """Zeros that start at a multiple of 64 bytes, as vectors like it (torch aligns its memory, numpy does not)."""
    return torch.zeros(shape, dtype=getattr(torch, dtype.name)).numpy()
