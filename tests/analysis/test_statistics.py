"""Statistics against scipy and closed forms."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy import integrate, stats

from fdi.analysis.statistics import area, chance_share, epochs_to, paired, summary


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
    assert found[3:] == pytest.approx(((a - b).min(), (a - b).max()))


def test_bootstrap_agrees_with_all_resamples_there_are():
    differences = np.array([0.02, 0.05, 0.11, 0.3, 0.31])
    means = [np.mean(resample) for resample in product(differences, repeat=5)]
    assert paired(differences, np.zeros(5))[3:] == pytest.approx(
        np.quantile(means, [0.025, 0.975]), abs=0.005
    )


def test_bootstrap_depends_on_the_seed_alone():
    a, b = np.arange(7.0), np.zeros(7)
    assert paired(a, b) == paired(a, b)
    assert paired(a**2, b, seed=0) != paired(a**2, b, seed=3)


def test_constant_differences_have_an_interval_of_no_width():
    assert paired([0.9, 0.7], [0.8, 0.6])[1:] == pytest.approx((0.1, 0.0, 0.1, 0.1))


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
