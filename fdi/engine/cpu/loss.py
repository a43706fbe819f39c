"""The loss of one sample and its gradient: cross-entropy of the readout, and the bounds on spike
counts (see fdi.snn.objective).

The gradient of the readout's weights and of the spikes it reads follows from it, in reverse time:

gU[t] = beta_m gU[t + 1] + dL/dreadout[t - 1]        gI[t - 1] = beta_s gI[t] + gain gU[t]
gS[t] = W^T gI[t + 2]                                gW = sum_t gI[t + 2] S[t]^T
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fdi.engine.cpu.kernels.jit import inlined, jit
from fdi.engine.cpu.kernels.rows import FEW, LANES, append, maybe, part
from fdi.engine.cpu.kernels.simd import (
    Vector,
    bits,
    entry,
    fill_as,
    fill_many,
    if_before,
    lanes,
    leading,
    like,
    load,
    load_as,
    load_many,
    select,
    store,
    times,
)
from fdi.engine.cpu.traces import Traces, add_row
from fdi.snn.network import Network
from fdi.snn.objective import EVERY, Objective

if TYPE_CHECKING:
    from fdi.engine.cpu.dense_forward import Arriving
    from fdi.engine.cpu.dense_layout import Parameters
    from fdi.engine.cpu.memory import Work

MAX, MEAN, LAST, STEPS = 0, 1, 2, 3
_MODES = {"max": MAX, "mean": MEAN, "last": LAST, EVERY: STEPS}


class LossTerms(NamedTuple):
    """An objective in numbers. `smoothing`: share of the label that is spread over all classes;
    `bounds` [P, 4]: strength and threshold of the upper and of the lower bound of each hidden
    population; `linear` [2]: whether each of them is one of norm 1; `scale`: of one sample's
    gradient.

    `group` [P, 2]: units whose counts are averaged before each bound; [0, 2] where no bound has a
    strength or a threshold.
    A loss that is `given` is computed elsewhere, of what is read out by the mode, in that of EVERY
    step: `d_readout` [1 or T, B, classes], `d_counts` [B, hidden units] and `d_traces` are its
    gradients, or of size 0.
    """

    mode: int
    given: bool
    task_weight: float
    smoothing: float
    scale: float
    bounds: np.ndarray
    linear: np.ndarray
    group: np.ndarray
    d_readout: np.ndarray
    d_counts: np.ndarray
    d_traces: Traces


def loss_terms(objective: Objective, network: Network, samples: int, dtype: np.dtype) -> LossTerms:
    """The loss is a mean over `samples`."""
    both = objective.upper, objective.lower
    bounds, group = np.zeros((len(network.hidden), 4), dtype), []
    for i, p in enumerate(network.hidden):
        for side, bound in enumerate(both):
            if bound and bound.holds_for(p.name):
                bounds[i, 2 * side : 2 * side + 2] = bound.strength, bound.threshold
        axes = [bound.averaged(len(p.shape)) if bound else 0 for bound in both]
        group.append([math.prod(p.shape[len(p.shape) - n :]) for n in axes])
    numbers = (
        dtype.type(objective.task_weight),
        dtype.type(objective.label_smoothing),
        dtype.type(1 / samples),
        bounds,
        np.array([bound is not None and bound.norm == 1 for bound in both]),
        np.array(group if bounds.any() else [], dtype=np.int64).reshape(-1, 2),
    )
    none, row = np.empty((0, 0, 0), dtype), np.empty((0, 0), dtype)
    return LossTerms(_MODES[objective.readout], False, *numbers, none, row, Traces(none, none))


@inlined
def read_out(u: np.ndarray, classes: int, mode: int, peak: np.ndarray, slope: np.ndarray) -> None:
    """Sets `peak` to the logits and `slope` to 1 / n for the n steps that share their gradient."""
    steps = u.shape[0] - 1
    for k in range(0, u.shape[1], 2 * lanes(u)):
        x = load_many(u, (steps, k), 2)
        one, zero, ties = like(x, 1), like(x, 0), like(x, 1)
        if mode == MEAN:
            ties = fill_as(x, u.dtype.type(steps))
            for t in range(1, steps):
                x = x + load_as(x, u, (t, k))
            x = x / ties
        elif mode == MAX:
            for t in range(1, steps):
                y = load_as(x, u, (t, k))
                ties = select(y > x, one, ties + select(y == x, one, zero))
                x = select(y > x, y, x)
        store(peak, (k,), x)
        store(slope, (k,), one / ties)
    slope[classes:] = 0


@inlined
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
    read_out(u, classes, mode, peak, slope)
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


@inlined
def _mean(count: np.ndarray, start: int, n: int) -> float:
    mean = count.dtype.type(0)
    for j in range(start, start + n):
        mean += count[j]
    return mean / count.dtype.type(n)


@inlined
def _factors(excess: float, linear: bool, zero: float, one: float) -> tuple[float, float, float]:
    """a, b and c of a bound's penalty, strength excess a, and of its slope, b strength c."""
    if linear:
        return one, one, one if excess > zero else zero
    return excess, one + one, excess


@inlined
def penalty(
    count: np.ndarray, population_at: np.ndarray, loss: LossTerms, gradient: np.ndarray
) -> float:
    """Sum of the bounds for the counts of one sample [hidden units]; `gradient` becomes loss.scale
    times its gradient.
    """
    zero, one, scale = count.dtype.type(0), count.dtype.type(1), loss.scale
    total = zero
    gradient[:] = 0
    for p in range(loss.group.shape[0]):
        upper, above, lower, below = (
            loss.bounds[p, 0], loss.bounds[p, 1], loss.bounds[p, 2], loss.bounds[p, 3],
        )  # fmt: skip
        first, last, group = population_at[p], population_at[p + 1], loss.group[p]
        units = count.dtype.type(last - first)
        for start in range(first, last, group[0]):
            groups, size = count.dtype.type((last - first) // group[0]), count.dtype.type(group[0])
            excess = max(_mean(count, start, group[0]) - above, zero)
            a, b, c = _factors(excess, loss.linear[0], zero, one)
            total += upper * excess * a / groups
            slope = scale * b * upper * c / (groups * size)
            for j in range(start, start + group[0]):
                gradient[j] = slope
                if group[1] == 1:
                    lack = max(below - count[j], zero)
                    a, b, c = _factors(lack, loss.linear[1], zero, one)
                    total += lower * lack * a / units
                    gradient[j] = slope - scale * b * lower * c / units
        for start in range(first, last if group[1] > 1 else first, group[1]):
            groups, size = count.dtype.type((last - first) // group[1]), count.dtype.type(group[1])
            lack = max(below - _mean(count, start, group[1]), zero)
            a, b, c = _factors(lack, loss.linear[1], zero, one)
            total += lower * lack * a / groups
            for j in range(start, start + group[1]):
                gradient[j] -= scale * b * lower * c / (groups * size)
    return total


class Pull(NamedTuple):
    """The loss pulls at potentials `u` [S, T + 1, width] with `slope` [S, width] at every step that
    counts by `mode`: where the readout is at its `peak` [S, width], at the last step, or
    everywhere; of all STEPS, with what stands in `u`. In row t these are the `classes` from
    indptr[s, t] to indptr[s, t + 1] - 1. The others are constants of the readout.
    """

    mode: int
    u: np.ndarray
    peak: np.ndarray
    slope: np.ndarray
    indptr: np.ndarray
    classes: np.ndarray
    beta_m: float
    gain: float
    beta_s: float


@inlined
def pull_of(network: Parameters, mode: int, work: Work) -> Pull:
    """What the loss says of the readout."""
    plan, c, w = network.plan, network.neurons.readout[0], work.at[0]
    width = plan.layers[plan.layers.size - 1].width
    return Pull(
        mode,
        part(work.numbers, w.readout, (w.block, w.steps + 1, width)),
        part(work.numbers, w.peak, (w.block, width)),
        part(work.numbers, w.slope, (w.block, width)),
        part(work.starts, w.pull_indptr, (w.block, w.steps + 2)),
        part(work.lists, w.pulled, (1,)),
        c.beta_m,
        c.gain,
        c.beta_s,
    )


@jit
def take(b: int, n: int, loss: LossTerms, pull: Pull, width: int, work: Work) -> None:
    """The given gradients of n samples from number b on: that of the readout of all steps in place
    of its potentials, that of what is read out as the slope, that of the counts where that of the
    bounds [`width`] would be.
    """
    w, u, given = work.at[0], work.numbers, loss.d_readout
    rows, row = pull.u.shape[1], pull.u.shape[2]
    if pull.mode == STEPS:
        u[w.readout : w.readout + n * rows * row] = 0
        for t in range(given.shape[0]):
            for s in range(n):
                to = w.readout + (s * rows + t + 1) * row
                add_row(given, t, b + s, 0, given.shape[2], u, to)
    else:
        for s in range(n):
            for k in range(row):
                pull.slope[s, k] = given[0, b + s, k] if k < given.shape[2] else 0
    for s in range(n):
        to = w.pull + s * width
        u[to : to + width] = 0
        for i in range(loss.d_counts.shape[1]):
            u[to + i] = loss.d_counts[b + s, i]


@inlined
def _slopes(pull: Pull, s: int, t: int, j: int) -> Vector:
    """The slopes of two vectors of classes from the j-th on, 0 where nothing pulls in row t."""
    x = load_many(pull.slope, (s, j), 2)
    zero = like(x, 0)
    if pull.mode == STEPS:
        return load_as(x, pull.u, (s, t, j))
    if pull.mode == MAX:
        u, peak = load_as(x, pull.u, (s, t, j)), load_as(x, pull.peak, (s, j))
        return select(u == peak, x, zero)
    if pull.mode == LAST and t < pull.u.shape[1] - 1:
        return zero
    return x


@inlined
def list_pulls(pull: Pull, s: int) -> None:
    """Lists what pulls at sample s."""
    rows, width = pull.u.shape[1], pull.u.shape[2]
    n = s * (rows * width + LANES)
    for t in range(rows):
        pull.indptr[s, t] = n
        for j in range(0, width if t > 2 else 0, 2 * lanes(pull.u)):
            x = _slopes(pull, s, t, j)
            some = ~(x == like(x, 0))
            if bits(some) != 0:
                n = append(pull.classes, n, some, j)
    pull.indptr[s, rows] = n


@inlined
def _pulling(pull: Pull, s: int, t: int, j: int, every: Any) -> Any:
    """Which of the classes from the j-th on pull in row t, for a mask that is true."""
    some = ~every
    for e in range(pull.indptr[s, t], pull.indptr[s, t + 1]):
        k = entry(pull.classes, e) - j
        some = some | (leading(every, k + 1) & ~leading(every, k))
    return some


@jit
def readout_gradients(
    pull: Pull, s: int, arriving: Arriving, d_table: np.ndarray, columns: tuple[int, int]
) -> None:
    """Adds the gradient of the `columns` (first, behind the last) of the readout's weight rows for
    sample s.
    """
    indptr = arriving.indptr
    for j in range(columns[0], columns[1], 2 * lanes(d_table)):
        beta_m, gain = fill_many(pull.beta_m, 2), fill_many(pull.gain, 2)
        beta_s, slope = fill_many(pull.beta_s, 2), load_many(pull.slope, (s, j), 2)
        gu = gi = zero = like(gain, 0)
        for t in range(pull.u.shape[1] - 1, 2, -1):
            x = zero
            if pull.mode == STEPS:
                x = load_as(zero, pull.u, (s, t, j))
            elif pull.indptr[s, t] < pull.indptr[s, t + 1]:
                x = select(_pulling(pull, s, t, j, x == x), slope, zero)
            gu = beta_m * gu + x
            gi = beta_s * gi + gain * gu
            e, last = indptr[s, t - 3], indptr[s, t - 2]
            for k in range(e, e + FEW):
                place = (maybe(arriving.units, k, last), j)
                store(d_table, place, if_before(gi, k, last) + load_as(gi, d_table, place))
            for k in range(e + FEW, last):
                place = (entry(arriving.units, k), j)
                store(d_table, place, gi + load_as(gi, d_table, place))


@inlined
def pulled(
    pull: Pull, s: int, t: int, weights: np.ndarray, at: int, pitch: int, gu: Vector, gi: Vector
) -> tuple[Vector, Vector]:
    """beta_m gU and gI of row t behind W^T, of some units whose columns of W [classes, `pitch`]
    begin at weights[at], from those of the row behind it.

    The readout is linear and all its units have the same constants, so W^T is taken before the
    recursion in time: the loss pulls at few steps, and a row of weights is added there instead of a
    product in every step.
    """
    for e in range(pull.indptr[s, t], pull.indptr[s, t + 1]):
        k = entry(pull.classes, e)
        row = load_as(gu, weights, (at + k * pitch,))
        steep = pull.u[s, t, k] if pull.mode == STEPS else pull.slope[s, k]
        gu = gu + times(fill_as(gu, steep), row)
    gi = fill_as(gi, pull.beta_s) * gi + fill_as(gu, pull.gain) * gu
    return fill_as(gu, pull.beta_m) * gu, gi


@inlined
def pull_back(
    pull: Pull, s: int, t: int, weights: np.ndarray, at: int, pitch: int, leak: int, g: np.ndarray,
    before: int, row: int, width: int,
) -> None:  # fmt: skip
    """Puts W^T gI[t], the gS[t - 3] of one source, and what is at g[before:] into g[row:] [width].
    g[leak:] [2, width]: beta_m gU and gI behind W^T, of t + 1 (0 at the end of the trial), become
    those of t.
    """
    for j in range(0, width, lanes(g)):
        gu, gi = load(g, (leak + j,)), load(g, (leak + width + j,))
        gu, gi = pulled(pull, s, t, weights, at + j, pitch, gu, gi)
        store(g, (leak + j,), gu)
        store(g, (leak + width + j,), gi)
        store(g, (row + j,), load(g, (before + j,)) + gi)


@jit
def readout_to_source(
    pull: Pull, s: int, t0: int, t1: int, weights: np.ndarray, at: int, pitch: int, leak: int,
    g: np.ndarray, g_at: int, width: int,
) -> None:  # fmt: skip
    """Adds gS[t - 2] to row t - t0 of g[g_at:] [:, width] for t = t1 - 1 .. t0, see `pull_back`."""
    for t in range(t1, max(t0, 2), -1):
        row = g_at + (t - 1 - t0) * width
        pull_back(pull, s, t, weights, at, pitch, leak, g, row, row, width)
