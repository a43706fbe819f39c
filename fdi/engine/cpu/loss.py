"""The loss of one sample and its gradient: cross-entropy of the readout, and the bounds on spike
counts (see fdi.snn.objective).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from fdi.engine.cpu.kernels.jit import inlined, jit
from fdi.engine.cpu.kernels.simd import fill, lanes, like, load, select, store
from fdi.snn.network import Network
from fdi.snn.objective import Objective

MAX, MEAN, LAST = 0, 1, 2
_MODES = {"max": MAX, "mean": MEAN, "last": LAST}


class Loss(NamedTuple):
    """An objective in numbers. `smoothing`: share of the label that is spread over all classes;
    `bounds` [4]: strength and threshold of the upper and of the lower bound; `scale`: of one
    sample's gradient.

    `group` [P]: units whose counts are averaged before the upper bound, of each hidden population.
    """

    mode: int
    task_weight: float
    smoothing: float
    scale: float
    bounds: np.ndarray
    group: np.ndarray


def in_numbers(objective: Objective, network: Network, samples: int, dtype: np.dtype) -> Loss:
    """The loss is a mean over `samples`."""
    upper, lower = objective.upper, objective.lower
    bounds = [
        *((upper.strength, upper.threshold) if upper else (0, 0)),
        *((lower.strength, lower.threshold) if lower else (0, 0)),
    ]
    group = []
    for p in network.hidden:
        axes = (upper.axes if upper else None) or max(1, len(p.shape) - 1)
        if axes > len(p.shape):
            raise ValueError(
                f"the upper bound averages {axes} axes, but population {p.name} has shape {p.shape}"
            )
        group.append(math.prod(p.shape[-axes:]))
    numbers = (
        dtype.type(objective.task_weight),
        dtype.type(objective.label_smoothing),
        dtype.type(1 / samples),
        np.array(bounds, dtype=dtype),
    )
    return Loss(_MODES[objective.readout], *numbers, np.array(group, dtype=np.int64))


@inlined
def _pooled(u, mode, peak, slope):
    """Sets `peak` to the logits and `slope` to 1 / n for the n steps that share their gradient."""
    steps = u.shape[0] - 1
    for k in range(0, u.shape[1], lanes(u)):
        x = load(u, (steps, k))
        one, zero, ties = like(x, 1), like(x, 0), like(x, 1)
        if mode == MEAN:
            ties = fill(u.dtype.type(steps))
            for t in range(1, steps):
                x = x + load(u, (t, k))
            x = x / ties
        elif mode == MAX:
            for t in range(1, steps):
                y = load(u, (t, k))
                ties = select(y > x, one, ties + select(y == x, one, zero))
                x = select(y > x, y, x)
        store(peak, (k,), x)
        store(slope, (k,), one / ties)


@jit
def task(u, classes, label, mode, weight, smoothing, peak, slope):
    """(cross-entropy, prediction) for potentials u [T + 1, width >= classes]; row t + 1 is the
    readout of step t.

    Sets the logits `peak` and, at each step that counts, the gradient `slope` of `weight` times the
    cross-entropy to (1 - smoothing) [k = label] + smoothing / classes. "max" shares the gradient
    among equal maxima, as torch.amax does.
    """
    one = peak.dtype.type(1)
    _pooled(u, mode, peak, slope)
    slope[classes:] = 0
    best = 0
    for k in range(classes):
        if peak[k] > peak[best]:
            best = k
    total = peak[0] - peak[0]
    for k in range(classes):
        total += math.exp(peak[k] - peak[best])
    spread = smoothing / peak.dtype.type(classes)
    meant = peak[label]
    if smoothing:
        meant *= one - smoothing
        for k in range(classes):
            meant += spread * peak[k]
    for k in range(classes):
        softmax = math.exp(peak[k] - peak[best]) / total
        wanted = one - smoothing + spread if k == label else spread
        slope[k] *= weight * (softmax - wanted)
    return math.log(total) + peak[best] - meant, best


@jit
def bounds(count, population_at, group, strengths, scale, gradient):
    """Sum of the bounds for the counts of one sample [hidden units]; `gradient` becomes `scale`
    times its gradient.
    """
    upper, above, lower, below = strengths[0], strengths[1], strengths[2], strengths[3]
    two, zero = count.dtype.type(2), count.dtype.type(0)
    total = zero
    for p in range(group.size):
        first, last = population_at[p], population_at[p + 1]
        units, groups = count.dtype.type(last - first), count.dtype.type((last - first) // group[p])
        for start in range(first, last, group[p]):
            mean = zero
            for j in range(start, start + group[p]):
                mean += count[j]
            mean /= count.dtype.type(group[p])
            excess = max(mean - above, zero)
            total += upper * excess * excess / groups
            slope = scale * two * upper * excess / (groups * count.dtype.type(group[p]))
            for j in range(start, start + group[p]):
                lack = max(below - count[j], zero)
                total += lower * lack * lack / units
                gradient[j] = slope - scale * two * lower * lack / units
    return total
