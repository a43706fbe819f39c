"""Synthetic Poisson spikes of any shape, for tests and benchmarks: each class is a pattern of
rates.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Literal

import numpy as np

from fdi.config.parts import Count, Fraction, Index, Positive, Share, TimeStep, UpToOne
from fdi.data.dataset import Dataset, Split, divide, drawn, dropout, stream
from fdi.data.inputs import DataError, binned


def poisson(
    *,
    shape: Sequence[Count],
    classes: Count,
    samples: Count,
    rate: Positive,
    contrast: UpToOne,
    steps: Count,
    dt: TimeStep,
    data_seed: Index,
    valid: Share,
    test: Fraction,
    binning: Literal["binary", "counts"] = "binary",
    max_train: Count | None = None,
    drop: Share | None = None,
    seed: int = 0,
) -> Dataset:
    """`samples` per class; unit j of class k fires at rate (1 + contrast (2 u_kj - 1)) in Hz, u ~
    U(0, 1).

    `data_seed` draws patterns, spikes and the test split, `seed` the validation split; `valid` and
    `test` are shares of all samples. Binary bins merge spikes, so that the measured rate is below
    `rate`, by a share of about rate dt / 2. `drop`: share of spikes left out, in training only.
    """
    if rate * dt > 1:
        raise DataError(
            f"poisson: rate = {rate:g} Hz is more than one spike in a step of dt = {dt:g} s; at "
            f"most {1 / dt:g}"
        )
    rng = stream(data_seed, "data")
    n_units, labels = prod(shape), np.repeat(np.arange(classes), samples)
    rates = rate * (1 + contrast * (2 * rng.random((classes, n_units)) - 1))
    spikes = rng.poisson(rates[labels] * steps * dt).ravel()
    samples_of, units_of = np.divmod(np.repeat(np.arange(len(spikes)), spikes), n_units)
    steps_of = rng.integers(steps, size=len(units_of))
    events = binned(samples_of, steps_of, units_of, (len(labels), steps), shape, binning)
    whole, parts = Split(events, labels), divide(labels, valid, test, rng, seed, max_train)
    return drawn("poisson", whole, whole, parts, classes, dt, transform=dropout(drop))
