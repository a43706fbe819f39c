"""Mackey-Glass and traces: against closed forms, and what a run gets of them."""

from __future__ import annotations

import numpy as np
import pytest

from fdi.data.inputs import DataError
from fdi.data.trajectories import mackey_glass, series, traces


def test_the_series_begins_as_its_equation_can_be_solved():
    """Until t = tau the delayed value is constant, and the equation linear."""
    t, past = np.linspace(0.01, 17, 50), 0.7206597
    rest = 0.2 * past / (1 + past**10) / 0.1
    wanted = rest + (past - rest) * np.exp(-0.1 * t)
    np.testing.assert_allclose(series(17.0, t), wanted, rtol=0, atol=1e-9)


def test_the_series_obeys_its_equation_everywhere():
    h = 1e-3
    t = np.linspace(20, 400, 300)
    middle, before, after = series(17.0, t), series(17.0, t - h), series(17.0, t + h)
    delayed = series(17.0, t - 17)
    slope = 0.2 * delayed / (1 + delayed**10) - 0.1 * middle
    np.testing.assert_allclose((after - before) / (2 * h), slope, atol=2e-5)


def test_windows_end_where_their_target_begins():
    data = mackey_glass(window=30, hold=3)
    x = series(17.0, np.arange(1, 1501) * 197 / 75)
    standardized = (x - x[:750].mean()) / x[:750].std()
    assert [len(split) for split in data.splits.values()] == [648, 72, 750]
    values = data.test.inputs.values
    np.testing.assert_allclose(values[0, ::3, 0], standardized[720:750], atol=1e-6)
    np.testing.assert_array_equal(values[:, ::3], values[:, 2::3])
    np.testing.assert_allclose(data.test.labels[:, 0], x[750:], rtol=1e-6)
    np.testing.assert_allclose(data.valid.labels[:, 0], x[678:750], rtol=1e-6)


def test_later_series_are_those_that_are_left_out_before():
    first, later = mackey_glass(), mackey_glass(offset=0.56)
    np.testing.assert_allclose(later.train.labels[:10], first.train.labels[42:52])


def test_a_window_that_leaves_nothing_is_one_line():
    with pytest.raises(DataError, match="window = 749 leaves 1 of 750 points"):
        mackey_glass(window=749)


def test_traces_belong_to_patterns_and_have_variance_one():
    data = traces(jitter=1e-9, samples=20)
    y, x = data.train.labels, data.train.inputs.dense()
    assert y.shape[1:] == (200, 2)
    np.testing.assert_allclose(y.var(1), 1, rtol=1e-4)
    np.testing.assert_allclose(y.mean(1), 0, atol=1e-6)
    kinds = np.unique(y, axis=0)
    assert len(kinds) == 5
    for kind in kinds:
        mine = x[:, (y == kind).all((1, 2))]
        assert (mine == mine[:, :1]).all()  # nothing is moved
    rate = data.nu
    assert rate is not None
    assert rate == pytest.approx(20, rel=0.15)


def test_another_seed_holds_out_other_samples_of_the_same_data():
    one, other = traces(seed=0), traces(seed=1)
    np.testing.assert_array_equal(one.test.labels, other.test.labels)
    assert one.checksum != other.checksum
