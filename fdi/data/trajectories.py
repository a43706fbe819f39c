"""Targets that are numbers: the next value of a chaotic series, and traces that answer patterns of
spikes.
"""

from __future__ import annotations

import numpy as np

from fdi.config.parts import Count, Fraction, Index, Positive, Share, TimeStep
from fdi.data.dataset import Dataset, Split, divide, drawn, stream
from fdi.data.inputs import DataError, Frames, binned

BETA, GAMMA, POWER, PAST = 0.2, 0.1, 10, 0.7206597  # as NeuroBench
LAGS = 200  # steps of integration in tau


def series(tau: float, times: np.ndarray) -> np.ndarray:
    """The solution of Mackey & Glass (1977) at these `times` > 0,

        dx/dt = 0.2 x(t - tau) / (1 + x(t - tau)^10) - 0.1 x,   x = 0.7206597 for t <= 0

    by the method of Runge and Kutta of order 4; between steps by cubics.
    """
    h = tau / LAGS
    steps = int(np.ceil(times.max() / h)) + 1
    x = np.full(LAGS + 1 + steps, PAST)
    slope = np.zeros_like(x)

    def f(now: float, delayed: float) -> float:
        return BETA * delayed / (1 + delayed**POWER) - GAMMA * now

    for i in range(LAGS, LAGS + steps):
        a, b = x[i - LAGS], x[i - LAGS + 1]
        end = 0.0 if i + 1 == 2 * LAGS else slope[i - LAGS + 1]  # it jumps at t = 0
        middle = (a + b) / 2 + h * (slope[i - LAGS] - end) / 8
        k1 = slope[i] = f(x[i], a)
        k2 = f(x[i] + h * k1 / 2, middle)
        k3 = f(x[i] + h * k2 / 2, middle)
        x[i + 1] = x[i] + h * (k1 + 2 * k2 + 2 * k3 + f(x[i] + h * k3, b)) / 6
    place = LAGS + times / h
    at = place.astype(int)
    s, rise = place - at, x[at + 1] - x[at]
    left, right = h * slope[at] - rise, rise - h * slope[at + 1]
    return x[at] + s * rise + s * (1 - s) * ((1 - s) * left + s * right)


def mackey_glass(
    *,
    tau: Positive = 17.0,
    lyapunov_time: Positive = 197.0,
    points: Count = 75,
    train: Positive = 10.0,
    test: Positive = 10.0,
    offset: Share | Positive = 0.0,
    window: Count = 50,
    hold: Count = 2,
    dt: TimeStep = 2e-3,
    valid: Share = 0.1,
    seed: int = 0,
) -> Dataset:
    """The next point of the Mackey-Glass series, from the `window` points before it, each a current
    for `hold` steps, in standard deviations around the mean of training; the target is not scaled.

    The series has `points` in each `lyapunov_time`; of these the first are left out, `offset`,
    the next are for training, `train`, and then `test` (Yik et al. 2025). Validation: the last
    `valid` share of training.
    """
    counts = [round(each * points) for each in (offset, train, test)]
    last, learned = sum(counts), counts[1] - window
    if learned < 2:
        raise DataError(f"mackey_glass: window = {window} leaves {learned} of {counts[1]} points")
    x = series(tau, np.arange(1, last + 1) * lyapunov_time / points)[counts[0] :]
    mean, spread = x[: counts[1]].mean(), x[: counts[1]].std()
    windows = np.lib.stride_tricks.sliding_window_view((x - mean) / spread, window)[:-1]
    held = np.repeat(windows, hold, axis=1)[..., None].astype(np.float32)
    whole = Split(Frames(held, currents=True), x[window:, None].astype(np.float32))
    every, ends = np.arange(len(whole)), [learned - round(valid * learned), learned]
    return drawn("mackey_glass", whole, whole, np.split(every, ends), 1, dt)


def traces(
    *,
    patterns: Count = 5,
    units: Count = 100,
    outputs: Count = 2,
    samples: Count = 100,
    rate: Positive = 20.0,
    jitter: Positive = 5e-3,
    waves: Count = 3,
    steps: Count = 200,
    dt: TimeStep = 2e-3,
    data_seed: Index = 1,
    valid: Share = 0.1,
    test: Fraction = 0.2,
    seed: int = 0,
) -> Dataset:
    """Each of some `patterns` of Poisson spikes of `rate` Hz is answered by traces of its own, of
    each of the `outputs` a sum of `waves` sines with 1, 2, .. periods in the trial, of variance 1.
    A sample is a pattern whose spikes are moved by `jitter` s (standard deviation).

    `samples` of each pattern; `data_seed` draws all but the validation split, which `seed` does.
    """
    rng = stream(data_seed, "data")
    spikes = rng.poisson(rate * steps * dt, (patterns, units))
    owner, unit = np.divmod(np.repeat(np.arange(spikes.size), spikes.ravel()), units)
    at = rng.random(len(unit)) * steps
    time = np.arange(steps)[:, None] / steps
    form = (patterns, outputs, waves)
    phase, size = rng.random(form)[:, :, None], rng.normal(size=form)
    sines = np.sin(2 * np.pi * (np.arange(1, waves + 1) * time + phase))
    y = np.einsum("pktw,pkw->ptk", sines, size * np.sqrt(2 / (size**2).sum(-1, keepdims=True)))
    moved = at + rng.normal(scale=jitter / dt, size=(samples, len(at)))
    there = (moved >= 0) & (moved < steps)
    which = np.arange(samples)[:, None] * patterns + owner
    units_of = np.broadcast_to(unit, there.shape)[there]
    trials = (samples * patterns, steps)
    events = binned(which[there], moved[there].astype(int), units_of, trials, (units,), "binary")
    pattern = np.tile(np.arange(patterns), samples)
    whole = Split(events, y[pattern].astype(np.float32))
    parts = divide(pattern, valid, test, rng, seed, None)
    return drawn("traces", whole, whole, parts, outputs, dt)
