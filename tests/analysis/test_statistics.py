"""Statistics against scipy and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate, stats

from fdi.analysis.statistics import area, chance_share, epochs_to, holm, paired, summary, verdict


@pytest.mark.parametrize("n", [2, 3, 5, 30])
def test_summary_agrees_with_scipy(n):
    values = np.random.default_rng(n).normal(0.8, 0.1, n)
    found = summary(values)
    low, high = stats.t.interval(0.95, n - 1, loc=values.mean(), scale=stats.sem(values))
    assert found.n == n
    assert found[1:] == pytest.approx((values.mean(), stats.tstd(values), low, high), rel=1e-12)


def test_summary_of_few_values_says_what_it_cannot_know():
    assert summary([0.7])[:2] == (1, 0.7)
    assert np.isnan(summary([0.7])[2:]).all()
    assert summary([]).n == 0
    assert np.isnan(summary([])[1:]).all()


def test_interval_covers_the_mean_in_95_percent_of_samples():
    rng = np.random.default_rng(0)
    found = [summary(rng.normal(0.5, 0.1, 4)) for _ in range(2000)]
    assert np.mean([s.low <= 0.5 <= s.high for s in found]) == pytest.approx(0.95, abs=0.015)


def test_paired_mean_and_sd_are_those_of_the_differences():
    a, b = np.array([0.9, 0.8, 0.7]), np.array([0.5, 0.6, 0.3])
    found = paired(a, b)
    assert found[:3] == pytest.approx((3, (a - b).mean(), (a - b).std(ddof=1)))


@pytest.mark.parametrize("n", [2, 3, 5, 30])
def test_paired_agrees_with_scipy(n):
    rng = np.random.default_rng(n)
    a, b = rng.normal(0.8, 0.1, n), rng.normal(0.75, 0.1, n)
    found, expected = paired(a, b), stats.ttest_rel(a, b)
    interval = expected.confidence_interval(0.95)
    assert found[3:] == pytest.approx((interval.low, interval.high, expected.pvalue), rel=1e-9)


def test_interval_of_few_pairs_covers_the_difference_in_95_percent_of_samples():
    rng = np.random.default_rng(1)
    found = [paired(rng.normal(0.5, 0.1, 3), rng.normal(0.4, 0.1, 3)) for _ in range(2000)]
    assert np.mean([f.low <= 0.1 <= f.high for f in found]) == pytest.approx(0.95, abs=0.015)
    assert all((f.low <= 0 <= f.high) == (f.p >= 0.05) for f in found)


def test_holm():
    np.testing.assert_allclose(
        holm([0.01, np.nan, 0.04, 0.03, 0.005]), [0.03, np.nan, 0.06, 0.06, 0.02]
    )
    np.testing.assert_allclose(holm([0.9, 0.8]), [1, 1])
    assert holm([]).size == 0


def test_holm_keeps_the_chance_of_any_false_verdict():
    rng = np.random.default_rng(2)
    false = [np.any(holm(rng.uniform(size=8)) < 0.05) for _ in range(4000)]
    assert np.mean(false) == pytest.approx(0.05, abs=0.012)


def test_verdicts():
    assert verdict(0.1, 0.049) == "better"
    assert verdict(-0.1, 0.049) == "worse"
    assert verdict(0.1, 0.05) == "undecided"
    assert verdict(0.1, np.nan) == ""


def test_constant_differences_have_an_interval_of_no_width():
    assert paired([0.9, 0.7], [0.8, 0.6])[1:] == pytest.approx((0.1, 0.0, 0.1, 0.1, 0.0))
    assert paired([0.1, 0.1], [0.1, 0.1]).p == 1, "two networks that guess alike"


def test_one_pair_has_no_interval():
    found = paired([0.9], [0.5])
    assert found[:2] == (1, pytest.approx(0.4))
    assert np.isnan(found[2:]).all()


def test_unequal_lengths_are_no_pairs():
    with pytest.raises(ValueError, match="2 values and 1 baseline"):
        paired([1, 2], [1])


def test_epochs_to_an_accuracy():
    accuracies = [[0.1, 0.5, 0.4, 0.9], [0.6, 0.1, 0.1, 0.1], [0.1, 0.2, 0.3, 0.4]]
    np.testing.assert_array_equal(epochs_to(accuracies, 0.5), [2, 1, np.nan])
    assert epochs_to([0.1, 0.8], 0.8) == 2


def test_area_under_the_curve():
    assert area([0.7]) == 0.7
    assert area([0.0, 1.0]) == 0.5
    curve = np.linspace(0, 1, 11) ** 2
    assert area(curve) == pytest.approx(integrate.trapezoid(curve) / 10)
    np.testing.assert_allclose(area([[0.2, 0.2], [0.4, 0.6]]), [0.2, 0.5])


def test_share_of_runs_at_chance():
    limit = 0.1 + 2 * np.sqrt(0.1 * 0.9 / 1000)
    assert chance_share(
        [0.1, 0.05, limit - 1e-6, limit + 1e-6, 0.9], classes=10, samples=1000
    ) == pytest.approx(3 / 5)
    guessing = np.random.default_rng(0).binomial(1000, 0.1, 5000) / 1000
    assert chance_share(guessing, 10, 1000) == pytest.approx(0.977, abs=0.01)
