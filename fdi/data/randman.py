"""Randman: each class is a smooth random manifold, a sample is a point on it, its coordinates are
spike times (Zenke & Vogels 2021).
"""

from __future__ import annotations

from copy import deepcopy
from math import ceil
from typing import Literal

import numpy as np

from fdi.config.parts import Count, Fraction, Index, Positive, Share, TimeStep, UpToOne
from fdi.data.dataset import Dataset, Split, divide, drawn, dropout, keep, stream
from fdi.data.inputs import Events, binned

TERMS = 1000  # sine terms at alpha <= 1
POINTS = 1000  # samples evaluated at once


def randman(
    *,
    classes: Count,
    units: Count,
    spikes: Count,
    manifold_dim: Count,
    alpha: Positive,
    samples: Count,
    steps: Count,
    dt: TimeStep,
    active: UpToOne,
    manifold_seed: Index,
    valid: Share,
    test: Fraction,
    binning: Literal["binary", "counts"] = "binary",
    max_train: Count | None = None,
    drop: Share | None = None,
    seed: int = 0,
) -> Dataset:
    """`samples` per class, `spikes` per unit, in the first `active` share of `steps` steps of `dt`
    seconds.

    One manifold per class and spike, all spikes of a sample at the same coordinates.
    `manifold_seed` draws manifolds, samples and the test split, `seed` the validation split;
    `valid` and `test` are shares of all samples. `drop`: share of spikes left out, in training
    only.
    """
    events, labels, rng = _samples(
        classes, units, spikes, manifold_dim, alpha, samples, steps, active, manifold_seed, binning
    )
    whole = Split(events, labels)
    parts = divide(labels, valid, test, deepcopy(rng), seed, max_train)
    thinned = dropout(drop)
    return drawn("randman", whole, whole, parts, classes, dt, transform=thinned, nu_paper=5.0)


@keep
def _samples(
    classes: int,
    units: int,
    spikes: int,
    manifold_dim: int,
    alpha: float,
    samples: int,
    steps: int,
    active: float,
    manifold_seed: int,
    binning: str,
) -> tuple[Events, np.ndarray, np.random.Generator]:
    """All samples, their labels, and the generator that goes on with the test split."""
    rng = stream(manifold_seed, "data")
    window = max(1, round(steps * active))
    times = np.empty((classes, samples, spikes, units), dtype=np.int64)
    for k in range(classes):
        points = rng.random((samples, manifold_dim))
        for s in range(spikes):
            y = rescale(manifold(points, units, alpha, rng))
            times[k, :, s] = np.minimum(y * window, window - 1)
    labels = np.repeat(np.arange(classes), samples)
    owner = np.repeat(np.arange(len(labels)), spikes * units)
    unit = np.tile(np.arange(units), len(labels) * spikes)
    events = binned(owner, times.ravel(), unit, (len(labels), steps), (units,), binning)
    return events, labels, rng


def manifold(points: np.ndarray, units: int, alpha: float, rng: np.random.Generator) -> np.ndarray:
    """A random manifold at `points` [n, D] of the unit cube, float64 [n, units].

    y_j(x) = prod_d sum_{i<K} a_jdi s_i sin(2 pi (i x_d b_jdi + c_jdi)), s_i = 1/((i+1)^alpha + 1),
    K = min(1000, ceil(1000^(1/alpha))), a, b, c ~ U(0, 1), a_jd0 = 0. Sines in float32: the error
    of y is below 1e-4 of its range.
    """
    dims, terms = points.shape[1], TERMS if alpha <= 1 else ceil(TERMS ** (1 / alpha))
    order = np.arange(terms)
    a, b, c = rng.random((3, units, dims, terms))
    weights = (a * (order > 0) / ((order + 1.0) ** alpha + 1)).astype(np.float32)
    frequencies = (2 * np.pi * order * b).astype(np.float32)
    phases = (2 * np.pi * c).astype(np.float32)
    y = np.ones((len(points), units))
    for start in range(0, len(points), POINTS):
        block = slice(start, start + POINTS)
        for j in range(units):
            for d in range(dims):
                angles = points[block, d, None].astype(np.float32) * frequencies[j, d]
                angles += phases[j, d]
                y[block, j] *= np.einsum("nk,k->n", np.sin(angles, out=angles), weights[j, d])
    return y


def rescale(y: np.ndarray) -> np.ndarray:
    """Each column of `y` [n, units] mapped to [0, 1] over the samples."""
    low, high = y.min(axis=0), y.max(axis=0)
    return (y - low) / np.maximum(high - low, np.finfo(np.float64).tiny)
