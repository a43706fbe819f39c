"""Which samples train, validate and test; random streams."""

from __future__ import annotations

import numpy as np
import pytest

from fdi.data.dataset import Dataset, Split, divide, dropout, stratified, stream, train_valid
from fdi.data.inputs import Chosen, Constant, DataError, Events, Input, binned

LABELS = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], [60, 30, 10]))


def test_streams_are_stable_and_independent():
    assert (
        stream(3, "split").integers(1000, size=4).tolist()
        == stream(3, "split").integers(1000, size=4).tolist()
    )
    draws = {
        tuple(rng.integers(1 << 30, size=3))
        for rng in (
            stream(0, "split"),
            stream(0, "order"),
            stream(1, "split"),
            stream(0, "order", 1),
        )
    }
    assert len(draws) == 4
    assert stream(0, "split").integers(1 << 30) == 287357330, (
        "runs recorded so far would not be reproduced"
    )
    with pytest.raises(ValueError, match="non-negative"):
        stream(-1, "split")


def test_split_is_stratified_disjoint_and_seeded():
    train, valid = train_valid(LABELS, 0.1, 0)
    assert np.bincount(LABELS[valid]).tolist() == [6, 3, 1]
    assert sorted([*train, *valid]) == list(range(100))
    again = train_valid(LABELS, 0.1, 0)
    np.testing.assert_array_equal(again[1], valid)
    assert train_valid(LABELS, 0.1, 1)[1].tolist() != valid.tolist()


def test_subset_is_stratified_and_contains_the_validation():
    train, valid = train_valid(LABELS, 0.2, 0, max_train=20)
    assert len(train) + len(valid) == 20
    assert np.bincount(LABELS[[*train, *valid]]).tolist() == [12, 6, 2]
    assert len(train_valid(LABELS, 0.2, 0, max_train=1000)[0]) == 80


@pytest.mark.parametrize("size", [3, 4, 7, 50, 99, 100])
def test_stratified_keeps_the_size_and_every_class(size: int):
    chosen = stratified(LABELS, size, np.random.default_rng(0))
    assert len(chosen) == len(set(chosen.tolist())) == size
    assert np.bincount(LABELS[chosen]).min() >= 1


def test_test_split_does_not_depend_on_the_run():
    first, second = (
        divide(LABELS, 0.1, 0.2, np.random.default_rng(5), seed, None) for seed in (0, 1)
    )
    np.testing.assert_array_equal(first[2], second[2])
    assert first[1].tolist() != second[1].tolist()
    assert [len(part) for part in first] == [70, 10, 20]
    assert sorted(np.concatenate(first)) == list(range(100))


def test_impossible_splits():
    with pytest.raises(DataError, match="a subset of 2 samples cannot hold all of 3 classes"):
        train_valid(LABELS, 0.1, 0, max_train=2)
    with pytest.raises(DataError, match=r"dataset\.test = 0\.02 of 100 samples is 2, fewer than"):
        divide(LABELS, 0.1, 0.02, np.random.default_rng(0), 0, None)
    with pytest.raises(DataError, match=r"test = 0\.5, valid = 0\.5"):
        divide(LABELS, 0.5, 0.5, np.random.default_rng(0), 0, None)


def _dataset(train: list[int], valid: list[int], test: list[int]) -> Dataset:
    first, second, third = (
        Split(Constant(np.zeros((len(labels), 1, 2, 2)), 5), np.array(labels, dtype=np.int64))
        for labels in (train, valid, test)
    )
    return Dataset("toy", first, second, third, classes=2, shape=(1, 2, 2), steps=5, dt=0.001)


def test_labels_are_checked():
    assert _dataset([0, 1], [], [1, 0]).nu is None
    with pytest.raises(DataError, match="toy: no sample of class 1 in the train split"):
        _dataset([0, 0], [], [1, 0])
    with pytest.raises(DataError, match="toy: no sample of class 0 in the valid split"):
        _dataset([0, 1], [1], [1, 0])
    with pytest.raises(DataError, match=r"toy: labels 0\.\.2 in the test split, expected 0\.\.1"):
        _dataset([0, 1], [], [2, 1, 0])
    with pytest.raises(DataError, match="3 samples but 2 labels in the test split"):
        Dataset(
            **{
                **vars(_dataset([0, 1], [], [0, 1])),
                "test": Split(Constant(np.zeros((3, 1, 2, 2)), 5), np.array([0, 1])),
            }
        )


def _events(counts: bool) -> Events:
    """Those of 1,200 samples of 6 units in 5 steps."""
    rng = np.random.default_rng(0)
    samples, steps, units = (rng.integers(n, size=9000) for n in (1200, 5, 6))
    return binned(samples, steps, units, (1200, 5), (6,), "counts" if counts else "binary")


@pytest.mark.parametrize("kind", ["events", "counted", "chosen", "images"])
@pytest.mark.parametrize("size", [7, 250, 2000])
def test_batches_are_those_taken_one_by_one(kind, size):
    inputs: Input = _events(kind == "counted")
    if kind == "chosen" and isinstance(inputs, Events):
        inputs = Chosen(inputs, np.arange(1200)[::-1])
    if kind == "images":
        inputs = Constant(np.random.default_rng(1).random((1200, 2, 3)), 5)
    order = np.random.default_rng(2).permutation(1200)
    labels = np.arange(1200)
    for transform in (None, None if kind == "images" else dropout(0.3)):
        split = Split(inputs, labels, transform)
        batches = list(split.batches(order, size, lambda i: stream(0, "noise", i)))
        assert len(batches) == -(-1200 // size)
        for i, (some, y) in enumerate(batches):
            indices = order[i * size : (i + 1) * size]
            alone, expected = split.batch(indices, stream(0, "noise", i))
            np.testing.assert_array_equal(y, expected)
            assert vars(some).keys() == vars(alone).keys()
            for name, value in vars(alone).items():
                np.testing.assert_array_equal(getattr(some, name), value)
