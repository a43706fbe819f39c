"""Event tables: what bins to what, and back."""

from __future__ import annotations

import numpy as np
import pytest

from fdi.data.inputs import DataError, bin_recordings, binned, coordinates, join, steps_in


def test_bins_by_hand():
    recordings = [
        ([0.0, 0.0019, 0.002, 0.022, 0.0219], [3, 3, 1, 2, 0]),
        ([], []),
        ([0.005, 0.9], [1, 1]),
    ]
    arrays = [
        (np.asarray(times, dtype=float), np.asarray(units, dtype=int))
        for times, units in recordings
    ]
    events = bin_recordings(arrays, 12, 0.002, (4,), "binary")
    assert [list(axis) for axis in coordinates(events)] == [
        [0, 0, 0, 0, 2],
        [0, 1, 10, 11, 2],
        [3, 1, 0, 2, 1],
    ]
    assert events.units.dtype == np.int32
    assert events.indptr.dtype == np.int64
    assert events.counts is None
    counted = bin_recordings(arrays, 12, 0.002, (4,), "counts")
    assert counted.counts.tolist() == [2, 1, 1, 1, 1]
    assert counted.total() == 6


@pytest.mark.parametrize("binning", ["binary", "counts"])
def test_table_equals_dense_histogram(binning: str):
    rng = np.random.default_rng(0)
    samples, steps, units = (rng.integers(size, size=3000) for size in (5, 7, 6))
    events = binned(samples, steps, units, (5, 7), (2, 3), binning)
    dense = np.zeros((7, 5, 2, 3))
    np.add.at(dense, (steps, samples, units // 3, units % 3), 1)
    np.testing.assert_array_equal(
        events.dense(), np.minimum(dense, 1) if binning == "binary" else dense
    )
    again = binned(*coordinates(events), (5, 7), (2, 3), binning)
    np.testing.assert_array_equal(again.units, events.units)
    np.testing.assert_array_equal(again.indptr, events.indptr)


def test_join_is_concatenation():
    rng = np.random.default_rng(1)
    whole = binned(
        rng.integers(6, size=400),
        rng.integers(9, size=400),
        rng.integers(4, size=400),
        (6, 9),
        (4,),
        "counts",
    )
    parts = join([whole.take(np.arange(2)), whole.take(np.arange(2, 6))])
    np.testing.assert_array_equal(parts.dense(), whole.dense())


def test_no_recordings_make_an_empty_table():
    assert len(bin_recordings([], 5, 0.001, (3,), "binary")) == 0


def test_what_cannot_be_binned():
    with pytest.raises(DataError, match="binning = sum must be one of binary, counts"):
        binned(np.zeros(1), np.zeros(1), np.zeros(1), (1, 1), (1,), "sum")
    with pytest.raises(DataError, match="duration = 0 s must be at least one step"):
        steps_in(0, 0.002)
    assert steps_in(0.7, 0.002) == 350


@pytest.mark.parametrize("binning", ["binary", "counts"])
@pytest.mark.parametrize("per_sample", [0, 3, 400])
def test_take_is_indexing(per_sample: int, binning: str):
    rng = np.random.default_rng(2)
    samples, steps, units = (rng.integers(size, size=6 * per_sample) for size in (6, 9, 64))
    whole = binned(samples, steps, units, (6, 9), (64,), binning)[1:]
    for indices in ([4, 0, 0, 2], [3], []):
        taken = whole.take(np.array(indices, dtype=int))
        np.testing.assert_array_equal(taken.dense(), whole.dense()[:, indices])
        assert (taken.units.dtype, taken.indptr.dtype, len(taken)) == (
            np.int32,
            np.int64,
            len(indices),
        )
