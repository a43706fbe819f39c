"""The loss of one sample and its gradient: cross-entropy of the readout, and the bounds on spike
counts (see fdi.snn.objective).

The gradient of the readout's weights and of the spikes it reads follows from it, in reverse time:

gU[t] = beta_m gU[t + 1] + dL/dreadout[t - 1]        gI[t - 1] = beta_s gI[t] + gain gU[t]
gS[t] = W^T gI[t + 2]                                gW = sum_t gI[t + 2] S[t]^T
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fdi.engine.cpu.kernels.jit import Record, inlined, jit
from fdi.engine.cpu.kernels.rows import part, scatter
from fdi.engine.cpu.kernels.simd import bits, fill, lanes, like, load, select, store, times
from fdi.snn.network import Network
from fdi.snn.objective import Objective

if TYPE_CHECKING:
    from fdi.engine.cpu.dense_forward import Arriving
    from fdi.engine.cpu.dense_layout import Plan
    from fdi.engine.cpu.memory import Work

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
def _pooled(u: np.ndarray, mode: int, peak: np.ndarray, slope: np.ndarray) -> None:
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
def task(
    u: np.ndarray, classes: int, label: int, mode: int, weight: float, smoothing: float,
    peak: np.ndarray, slope: np.ndarray,
) -> tuple[float, int]:  # fmt: skip
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
    total = peak[0] - peak[0]  # 0 of their precision: a literal would be float64
    for k in range(classes):  # relative to the largest, so that nothing overflows
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
def bounds(
    count: np.ndarray, population_at: np.ndarray, group: np.ndarray, strengths: np.ndarray,
    scale: float, gradient: np.ndarray,
) -> float:  # fmt: skip
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


class Pull(NamedTuple):
    """The loss pulls at potentials `u` [S, T + 1, width] with `slope` [S, width] at every step that
    counts by `mode`: where the readout is at its `peak` [S, width], at the last step, or
    everywhere.
    """

    mode: int
    u: np.ndarray
    peak: np.ndarray
    slope: np.ndarray


@inlined
def pull_of(plan: Plan, mode: int, work: Work) -> Pull:
    """What the loss says of the readout."""
    w, width = work.at[0], plan.layers[plan.layers.size - 1].width
    return Pull(
        mode,
        part(work.numbers, w.readout, (w.block, w.steps + 1, width)),
        part(work.numbers, w.peak, (w.block, width)),
        part(work.numbers, w.slope, (w.block, width)),
    )


@jit
def readout_gradients(
    pull: Pull, s: int, c: Record, arriving: Arriving, d_table: np.ndarray,
    columns: tuple[int, int], work: Work,
) -> None:  # fmt: skip
    """Adds the gradient of the `columns` (first, behind the last) of the readout's weight rows for
    sample s.
    """
    u, rows, gu_at = pull.u, work.numbers, work.at[0].rows
    last, width, none = u.shape[1] - 1, u.shape[2], arriving.counts[:0]
    gi_at, indptr = gu_at + width, arriving.indptr
    beta_m, gain, beta_s = fill(c.beta_m), fill(c.gain), fill(c.beta_s)
    zero = fill(c.beta_m - c.beta_m)
    first, behind = columns
    rows[gu_at + first : gu_at + behind] = 0
    rows[gi_at + first : gi_at + behind] = 0
    for t in range(last, 2, -1):
        for j in range(first, behind, lanes(u)):
            x = load(pull.slope, (s, j))
            if pull.mode == MAX:
                x = select(load(u, (s, t, j)) == load(pull.peak, (s, j)), x, zero)
            elif pull.mode == LAST and t < last:
                x = zero
            gu = beta_m * load(rows, (gu_at + j,)) + x
            store(rows, (gu_at + j,), gu)
            store(rows, (gi_at + j,), beta_s * load(rows, (gi_at + j,)) + gain * gu)
        start, stop = indptr[s, t - 3], indptr[s, t - 2]
        scatter(d_table, arriving.units, none, start, stop, rows, gi_at, columns)


@inlined
def _add_row(out: np.ndarray, at: int, slope: float, weight: np.ndarray, k: int) -> None:
    """out[at:] += slope weight[k], each product rounded."""
    units, n, steep, j = weight.shape[1], lanes(out), fill(slope), 0
    while j + n <= units:
        store(out, (at + j,), load(out, (at + j,)) + times(steep, load(weight, (k, j))))
        j += n
    for i in range(j, units):
        out[at + i] += slope * weight[k, i]


@inlined
def pull_back(
    pull: Pull, s: int, t: int, c: Record, weight: np.ndarray, leak: int, before: int,
    g: np.ndarray, row: int, width: int,
) -> None:  # fmt: skip
    """Puts W^T gI[t], the gS[t - 3] of one source, and what is at g[before:] into g[row:] [width];
    `weight` [classes, source units].

    The readout is linear and all its units have the same constants, so W^T is taken before the
    recursion in time: the loss pulls at few steps, and a row of weights is added there instead of a
    product in every step. g[leak:] [2, width]: gU and gI behind W^T, of t + 1 (0 at the end of the
    trial), become those of t.
    """
    u, slope, n = pull.u, pull.slope, lanes(g)
    counts = pull.mode != LAST or t == u.shape[1] - 1
    beta_m, gain, beta_s = fill(c.beta_m), fill(c.gain), fill(c.beta_s)
    for first in range(0, weight.shape[0] if counts else 0, n):
        steep = load(slope, (s, first))
        pulls = ~(steep == like(steep, 0))
        if pull.mode == MAX:
            pulls = pulls & (load(u, (s, t, first)) == load(pull.peak, (s, first)))
        some, k = bits(pulls), first
        while some != 0:
            if some & 1 != 0:
                _add_row(g, leak, slope[s, k], weight, k)
            some >>= 1
            k += 1
    for j in range(0, width, n):
        gu = load(g, (leak + j,))
        gi = beta_s * load(g, (leak + width + j,)) + gain * gu
        store(g, (leak + width + j,), gi)
        store(g, (leak + j,), beta_m * gu)
        store(g, (row + j,), load(g, (before + j,)) + gi)


@jit
def readout_to_source(
    pull: Pull, s: int, t0: int, t1: int, c: Record, weight: np.ndarray, leak: int, g: np.ndarray,
    g_at: int, width: int,
) -> None:  # fmt: skip
    """Adds gS[t - 2] to row t - t0 of g[g_at:] [:, width] for t = t1 - 1 .. t0, see `pull_back`."""
    for t in range(t1, max(t0, 2), -1):
        row = g_at + (t - 1 - t0) * width
        pull_back(pull, s, t, c, weight, leak, row, g, row, width)
