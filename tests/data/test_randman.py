"""Randman and Poisson: the equations, the statistics, what depends on which seed."""

from __future__ import annotations

import time
from math import ceil, pi, sin
from typing import Any

import numpy as np
import pytest

from fdi.data.poisson import poisson
from fdi.data.randman import manifold, randman, rescale

AUTHORS: dict[str, Any] = dict(
    classes=10,
    units=20,
    spikes=1,
    manifold_dim=1,
    alpha=1.0,
    samples=1000,
    steps=100,
    dt=0.002,
    active=0.5,
)
SPLIT: dict[str, Any] = dict(manifold_seed=1, valid=0.1, test=0.1)
SMALL = AUTHORS | SPLIT | dict(samples=40, classes=3)


@pytest.mark.parametrize(("dims", "alpha"), [(1, 1.0), (2, 1.0), (3, 2.0), (1, 0.5)])
def test_manifold_is_the_sum_of_the_paper(dims: int, alpha: float):
    units, points = 3, np.random.default_rng(7).random((4, dims))
    y = manifold(points, units, alpha, np.random.default_rng(0))
    terms = min(1000, ceil(1000 ** (1 / alpha)))
    a, b, c = np.random.default_rng(0).random((3, units, dims, terms))
    a[:, :, 0] = 0
    for n, x in enumerate(points):
        for j in range(units):
            product = 1.0
            for d in range(dims):
                product *= sum(
                    a[j, d, i]
                    / ((i + 1) ** alpha + 1)
                    * sin(2 * pi * (i * x[d] * b[j, d, i] + c[j, d, i]))
                    for i in range(terms)
                )
            assert y[n, j] == pytest.approx(product, abs=1e-4)


def test_rescale_fills_the_unit_interval():
    y = rescale(np.random.default_rng(0).normal(size=(50, 3)))
    np.testing.assert_array_equal([y.min(axis=0), y.max(axis=0)], [[0] * 3, [1] * 3])
    np.testing.assert_array_equal(rescale(np.ones((3, 1))), np.zeros((3, 1)))


def test_settings_of_the_authors():
    start = time.perf_counter()
    data = randman(**AUTHORS, **SPLIT)
    assert time.perf_counter() - start < 3, "takes 0.2 s on an idle core"
    assert [len(split) for split in data.splits.values()] == [8000, 1000, 1000]
    assert (data.shape, data.steps, data.dt, data.classes) == ((20,), 100, 0.002, 10)
    assert data.nu == pytest.approx(5.0)
    spikes = data.train.inputs.dense()  # [T, B, N]
    np.testing.assert_array_equal(spikes.sum(axis=0), 1)
    assert spikes[50:].sum() == 0
    everything = np.concatenate([split.inputs.dense() for split in data.splits.values()], axis=1)
    labels = np.concatenate([split.labels for split in data.splits.values()])
    for k in range(10):
        of_class = everything[:, labels == k]
        assert of_class[0].any(axis=0).all(), "each unit's earliest spike is in the first step"
        assert of_class[49].any(axis=0).all(), "and its latest one in the last of the first half"


def test_any_dimension_and_number_of_spikes():
    data = randman(**SMALL | dict(spikes=3, manifold_dim=2, binning="counts"))
    assert data.train.inputs.total() == len(data.train) * 20 * 3
    assert data.nu == pytest.approx(15.0)


def test_seeds():
    first, again, other = randman(**SMALL), randman(**SMALL), randman(**SMALL, seed=1)
    assert first.checksum == again.checksum != other.checksum
    np.testing.assert_array_equal(first.test.inputs.units, other.test.inputs.units)
    np.testing.assert_array_equal(first.test.labels, other.test.labels)
    elsewhere = randman(**SMALL | dict(manifold_seed=2))
    assert not np.array_equal(first.test.inputs.indptr, elsewhere.test.inputs.indptr)
    assert len(randman(**SMALL, max_train=30).train) < 30


def test_poisson_rate_shape_and_seeds():
    settings: dict[str, Any] = dict(
        shape=(2, 5, 5),
        classes=4,
        samples=100,
        rate=20.0,
        contrast=1.0,
        steps=100,
        dt=0.001,
        data_seed=1,
        valid=0.1,
        test=0.1,
    )
    data = poisson(**settings, binning="counts")
    assert data.nu == pytest.approx(20, rel=0.1)
    assert data.train.batch(np.arange(3), np.random.default_rng(0))[0].dense().shape == (
        100,
        3,
        2,
        5,
        5,
    )
    flat = poisson(**settings | dict(contrast=0.0), binning="counts")
    assert flat.nu == pytest.approx(20, rel=0.01)
    spread = [
        d.train.inputs.dense().sum(axis=0)[d.train.labels == 0].mean(axis=0).std()
        for d in (data, flat)
    ]
    assert spread[0] > 3 * spread[1]
    merged = poisson(**settings).nu
    assert merged is not None
    assert data.nu is not None
    assert merged < data.nu, "binary bins merge spikes"
    assert poisson(**settings).checksum == poisson(**settings).checksum
