"""Augmentation of spikes and images, encodings of images."""

from __future__ import annotations

import numpy as np
import pytest

from fdi.config.parts import option
from fdi.data.dataset import dropout, thin
from fdi.data.images import (
    encoding_transform,
    latency_spikes,
    poisson_spikes,
    shift_and_mirror,
)
from fdi.data.inputs import Constant, DataError, Events, binned, coordinates
from fdi.data.poisson import poisson
from fdi.data.randman import randman


@pytest.fixture
def middle_spikes() -> Events:
    """4 samples, one spike of each of 200 units in step 50 of 100."""
    samples, units = np.divmod(np.arange(800), 200)
    return binned(samples, np.full(800, 50), units, (4, 100), (200,), "binary")


@pytest.fixture
def ramp() -> Constant:
    """Three images of 256 grey levels, 200 steps."""
    return Constant(
        np.broadcast_to(np.arange(256, dtype=np.uint8).reshape(1, 1, 16, 16), (3, 1, 16, 16)),
        200,
        1 / 255,
    )


def test_poisson_encoding_has_the_rate_of_the_intensity(ramp: Constant):
    events = poisson_spikes(ramp, np.random.default_rng(0), probability=0.2)
    rates = events.dense().mean(axis=(0, 1)).ravel()
    expected = 0.2 * np.arange(256) / 255
    assert events.shape == (1, 16, 16)
    assert rates[0] == 0
    assert np.corrcoef(rates, expected)[0, 1] > 0.95
    assert rates.mean() == pytest.approx(expected.mean(), rel=0.03)
    per_step = np.diff(events.indptr)
    assert all(
        (np.diff(events.units[a:b]) > 0).all()
        for a, b in zip(events.indptr[:9], events.indptr[1:10])
    ), "sorted, none twice"
    assert per_step.sum() == len(events.units)


def test_latency_encoding_is_the_charging_time(ramp: Constant):
    events = latency_spikes(ramp, np.random.default_rng(0), steps_tau=20, threshold=0.2)
    dense = events.dense()[:, 0].reshape(200, 256)
    x = np.arange(256) / 255
    assert dense[:, x <= 0.2].sum() == 0
    for level in (52, 100, 255):
        assert np.flatnonzero(dense[:, level]).tolist() == [
            int(20 * np.log(x[level] / (x[level] - 0.2)))
        ]


def test_wrong_encodings():
    settings = dict(dt=0.002, rate=50.0, tau=0.02, threshold=0.2)
    assert encoding_transform("constant", **settings) is None
    with pytest.raises(DataError, match=r"rate = 900\.0 Hz must be at most one spike"):
        encoding_transform("poisson", **settings | dict(rate=900.0))


def test_dropout_leaves_out_that_share(middle_spikes: Events):
    rng = np.random.default_rng(0)
    assert dropout(None) is None
    assert dropout(0.0) is None
    thinned = dropout(0.25)
    assert thinned is not None
    found = thinned(middle_spikes, rng)
    assert isinstance(found, Events)
    assert found.total() == pytest.approx(0.75 * 800, rel=0.1)
    assert len(found) == 4
    samples, steps, units = coordinates(found)
    assert set(steps) == {50}
    before = set(zip(*(axis.tolist() for axis in coordinates(middle_spikes))))
    assert set(zip(samples.tolist(), steps.tolist(), units.tolist())) < before
    some = thinned(middle_spikes[1:3], np.random.default_rng(1))
    assert isinstance(some, Events)
    assert len(some) == 2
    assert set(coordinates(some)[0]) == {0, 1}


def test_dropout_counts_each_spike_of_a_bin():
    events = binned(
        np.zeros(1000, int), np.zeros(1000, int), np.repeat(np.arange(10), 100), (1, 5), (10,),
        "counts",
    )  # fmt: skip
    found = thin(events, np.random.default_rng(0), drop=0.4)
    assert found.total() == pytest.approx(600, rel=0.1)
    assert len(found.units) == 10
    assert thin(events, np.random.default_rng(0), drop=0.9999).total() < 5


@pytest.mark.parametrize("make", [randman, poisson])
def test_only_training_loses_spikes(make):
    given = option("dataset", make.__name__) | {"samples": 20, "max_train": None}
    del given["_target_"]
    whole, thinned = make(**given), make(**given | {"drop": 0.5})
    assert thinned.nu == pytest.approx(0.5 * whole.nu, rel=0.1)
    assert thinned.valid.transform is None
    assert thinned.test.transform is None
    assert whole.train.transform is None
    assert thinned.checksum == whole.checksum


def test_images_are_shifted_and_mirrored():
    values = np.arange(1, 1 + 2 * 3 * 4 * 5, dtype=np.uint8).reshape(2, 3, 4, 5)
    images = Constant(values, steps=7, scale=2.0, shift=-1.0)
    same = shift_and_mirror(images, np.random.default_rng(0), crop=None, flip=1.0)
    assert isinstance(same, Constant)
    np.testing.assert_array_equal(same.values, values[..., ::-1])
    assert (same.steps, same.scale, same.shift) == (7, 2.0, -1.0)
    shifts = set()
    for seed in range(60):
        moved = shift_and_mirror(images, np.random.default_rng(seed), crop=1, flip=None)
        assert isinstance(moved, Constant)
        padded = np.pad(values, [(0, 0), (0, 0), (1, 1), (1, 1)])
        for image, wide in zip(moved.values, padded):
            fits = [
                (i, j)
                for i in range(3)
                for j in range(3)
                if np.array_equal(image, wide[:, i : i + 4, j : j + 5])
            ]
            assert len(fits) == 1
            shifts |= set(fits)
    assert len(shifts) == 9


def test_augmented_images_are_encoded_after():
    images = Constant(np.full((2, 1, 4, 4), 255, np.uint8), steps=10)
    encode = encoding_transform("poisson", dt=1e-3, rate=1000.0, tau=1.0, threshold=0.5)
    assert encode is not None
    rng = np.random.default_rng(0)
    found = shift_and_mirror(images, rng, crop=2, flip=0.5, encode=encode)
    assert isinstance(found, Events)
    assert found.total() < encode(images, np.random.default_rng(0)).total()
