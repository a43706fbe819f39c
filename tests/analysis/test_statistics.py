"""Statistics against scipy and closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from fdi.analysis.statistics import (
    SMALL,
    better_or_worse,
    chance_level,
    correct,
    holm,
    paired,
    paired_noise,
    sample_noise,
    summary,
)


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


@pytest.mark.parametrize("n", [2, 3, 5, 30])
def test_paired_agrees_with_scipy(n):
    rng = np.random.default_rng(n)
    a, b = rng.normal(0.8, 0.1, n), rng.normal(0.75, 0.1, n)
    found, expected = paired(a, b), stats.ttest_rel(a, b)
    interval = expected.confidence_interval(0.95)
    assert found[3:6] == pytest.approx((interval.low, interval.high, expected.pvalue), rel=1e-9)


def test_an_interval_and_its_verdict_never_contradict_each_other():
    rng = np.random.default_rng(0)
    sides = [rng.normal(mean, 1, (4, 2)) for mean in rng.uniform(0, 4, 40)]
    found = [
        paired(side[:, 0], side[:, 1] - m, noise=0.1 * (i % 3))
        for i, (side, m) in enumerate(zip(sides, range(40)))
    ]
    families = np.arange(40) % 4
    corrected = correct([*found, None], [*families, 0])
    assert corrected[-1] is None
    for family in range(4):
        mine = [i for i in range(40) if families[i] == family]
        np.testing.assert_allclose([corrected[i].p for i in mine], holm([found[i].p for i in mine]))
    decided = [better_or_worse(c.mean, c.p) != "undecided" for c in corrected[:-1]]
    assert decided == [c.low > 0 or c.high < 0 for c in corrected[:-1]]
    assert 0 < sum(decided) < 40
    assert all(c.low <= f.low for c, f in zip(corrected, found))


def test_holm():
    np.testing.assert_allclose(
        holm([0.01, np.nan, 0.04, 0.03, 0.005]), [0.03, np.nan, 0.06, 0.06, 0.02]
    )
    np.testing.assert_allclose(holm([0.9, 0.8]), [1, 1])
    assert holm([]).size == 0


def test_verdicts():
    assert better_or_worse(0.1, 0.049) == "better"
    assert better_or_worse(-0.1, 0.049) == "worse"
    assert better_or_worse(0.1, 0.05) == "undecided"
    assert better_or_worse(0.1, np.nan) == ""


@pytest.mark.parametrize("n", [2, 3, 5, 6, 10])
def test_equal_differences_say_no_more_than_their_sign(n):
    found = paired(np.full(n, 0.9), np.full(n, 0.8))
    assert found.p == pytest.approx(stats.binomtest(n, n).pvalue)
    interval = (0.1, 0.1) if n > 5 else (np.nan, np.nan)
    assert found[1:5] == pytest.approx((0.1, 0.0, *interval), nan_ok=True)
    assert paired([0.1] * n, [0.1] * n).p == 1, "two networks that guess alike"


def test_equal_differences_are_noisy_where_the_test_set_is_small():
    found = paired([0.9] * 10, [0.8] * 10, noise=0.04)
    assert found[3:5] == pytest.approx(stats.norm.interval(0.95, loc=0.1, scale=0.04))
    assert found.p == pytest.approx(2 * stats.norm.sf(0.1 / 0.04))
    assert paired([0.9] * 10, [0.8] * 10, noise=1e-9).p == pytest.approx(2.0**-9)


@pytest.mark.parametrize(("accuracy", "samples"), [(0.5, 100), (0.9, 300), (0.1, 300), (1.0, 100)])
def test_noise_of_a_test_set(accuracy, samples):
    interval = stats.binomtest(round(accuracy * samples), samples).proportion_ci(0.95, "wilson")
    width = 2 * stats.norm.isf(0.025) * sample_noise(accuracy, samples)
    assert 0.99 < width / (interval.high - interval.low) < (1.5 if accuracy == 1 else 1.02)


def test_large_test_sets_and_unknown_ones_add_no_noise():
    assert sample_noise(0.5, SMALL) == 0
    assert sample_noise(0.5, np.nan) == 0


def test_interval_and_p_with_noise_agree_and_are_wider_than_without():
    rng = np.random.default_rng(3)
    for n in (2, 3, 5, 10):
        a, b = rng.normal(0.8, 0.05, n), rng.normal(0.7, 0.05, n)
        found, without = paired(a, b, noise=0.03), paired(a, b)
        assert found.p > without.p
        level = stats.t.ppf(1 - found.p / 2, n - 1) * found.sd / np.sqrt(n)
        assert np.hypot(level, stats.norm.isf(found.p / 2) * 0.03) == pytest.approx(found.mean)
        assert (found.low <= 0 <= found.high) == (found.p >= 0.05)
        assert found.high - found.low > without.high - without.low


def _holds(found, value):
    return found.low <= value <= found.high


def test_noise_of_a_shared_test_set_is_covered():
    """Seeds are tested on the same 100 samples, some of which are hard for all networks."""
    rng = np.random.default_rng(4)
    covered, without = [], []
    for _ in range(2000):
        hits = rng.beta(3, 1, 100)  # of each sample: chance that a network gets it right
        accuracies = [np.mean(rng.random(100) < hits) for _ in range(5)]
        noise = sample_noise(float(np.mean(accuracies)), 100)
        covered.append(_holds(summary(accuracies, noise), 0.75))
        without.append(_holds(summary(accuracies), 0.75))
    assert np.mean(covered) >= 0.95
    assert np.mean(without) < 0.95


def test_noise_of_a_difference_on_the_same_samples_is_that_of_mcnemar():
    """Of four cells of two networks: both right, one alone, the other alone, none."""
    cells = np.array([150, 30, 12, 8])
    one, other = (np.repeat(of, cells) for of in ([1, 1, 0, 0], [1, 0, 1, 0]))
    more = cells + 0.5
    n, b, c = more.sum(), more[1], more[2]
    assert paired_noise(one, other) == pytest.approx(np.sqrt(b + c - (b - c) ** 2 / n) / n)
    assert paired_noise(one, one) < paired_noise(one, other)
    assert paired_noise(np.ones(SMALL), np.zeros(SMALL)) == 0


def test_noise_of_a_difference_is_covered_and_is_below_that_of_two_test_sets():
    """Both networks are tested on the same 100 samples, which are hard for both or easy for both;
    over all samples one is better by 4 points.
    """
    rng = np.random.default_rng(5)
    every = stats.beta(0.6, 0.2).ppf((np.arange(4000) + 0.5) / 4000)
    exact = np.minimum(0.9 * every, 0.04).mean()
    covered, narrower = [], []
    for _ in range(2000):
        hard = rng.beta(0.6, 0.2, 100)
        sides = [rng.random((5, 100)) < 0.9 * hard, rng.random((5, 100)) < 0.9 * hard - 0.04]
        a, b = (side.mean(axis=1) for side in sides)
        noise = paired_noise(*(side.mean(axis=0) for side in sides))
        covered.append(_holds(paired(a, b, noise), exact))
        narrower.append(noise < math.hypot(*(sample_noise(x.mean(), 100) for x in (a, b))))
    assert np.mean(covered) >= 0.95
    assert np.mean(narrower) > 0.99


def test_one_pair_has_no_interval():
    found = paired([0.9], [0.5])
    assert found[:2] == (1, pytest.approx(0.4))
    assert np.isnan(found[2:6]).all()


def test_unequal_lengths_are_no_pairs():
    with pytest.raises(ValueError, match="2 values and 1 baseline"):
        paired([1, 2], [1])


def test_share_of_runs_at_chance():
    limit = 0.1 + 2 * np.sqrt(0.1 * 0.9 / 1000)
    assert chance_level(10, 1000) == pytest.approx(limit)
    guessing = np.random.default_rng(0).binomial(1000, 0.1, 5000) / 1000
    assert np.mean(guessing <= limit) == pytest.approx(0.977, abs=0.01)
