"""The theory against the authors' library, and against simulated membranes."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from compared import free_potential
from making import one_line

from fdi.init.theory import (
    Afferent,
    dale_scales,
    normal_weights,
    psp_kernel_integrals,
    sigma_u_from_xi,
    variance_shares,
)

TAU_MEM, TAU_EXC, TAU_INH, DT = 20e-3, 10e-3, 20e-3, 2e-3
EXC, INH = psp_kernel_integrals(TAU_MEM, TAU_EXC, DT), psp_kernel_integrals(TAU_MEM, TAU_INH, DT)
FF, REC, OWN = (
    Afferent(100, 12.0, *EXC),
    Afferent(30, 20.0, *EXC, recurrent=True),
    Afferent(10, 30.0, *INH, recurrent=True),
)


def exponential(*afferents, **options):
    """Means of exponential weights."""
    return dale_scales(*afferents, second_moment=2.0, **options)


def log_normal(*afferents, **options):
    """Medians of log-normal weights."""
    return dale_scales(*afferents, second_moment=math.e**2, **options)


def membrane(x: np.ndarray, tau_mem: float, tau_syn: float, dt: float) -> np.ndarray:
    """Potential without reset of neurons that get the input x, [T, neurons]; the first ten time
    constants are cut off.
    """
    trace = np.array(free_potential(x, dt, tau_mem, tau_syn))
    return trace[int(10 * max(tau_mem, tau_syn) / dt) :]


def membrane_statistics(afferents, weights):
    """Mean and spread of the free potential, given the (mu_w, sigma_w) of each afferent; inhibition
    has mu_w < 0.
    """
    pairs = list(zip(afferents, weights, strict=True))
    mu_u = sum(afferent.mean_gain * mu_w for afferent, (mu_w, _) in pairs)
    variance = sum(
        afferent.variance_gain * (sigma_w**2 + mu_w**2) for afferent, (mu_w, sigma_w) in pairs
    )
    return mu_u, math.sqrt(variance)


def test_normal_weights_equal_the_authors_library(shared):
    for row in json.loads((shared / "reference" / "weights_and_optimizer.json").read_text())[
        "normal"
    ]:
        integrals = psp_kernel_integrals(row["tau_mem"], row["tau_syn"], row["dt"])
        sizes = [math.prod(shape[1:]) for shape in row["weight_shapes"]]
        afferents = [
            Afferent(n, row["nu"], *integrals, recurrent)
            for n, recurrent in zip(sizes, row["recurrent"])
        ]
        sigma_u = sigma_u_from_xi(row["mu_u"], row["xi"])
        weights = normal_weights(afferents, sigma_u=sigma_u, mu_u=row["mu_u"], alpha=row["alpha"])
        np.testing.assert_allclose(weights, row["mu_w_sigma_w"], rtol=0, atol=1e-10)
        assert membrane_statistics(afferents, weights) == pytest.approx(
            (row["mu_u"], sigma_u), rel=1e-12, abs=1e-12
        )


def test_dale_rates_equal_the_authors_library(shared):
    for row in json.loads((shared / "reference" / "weights_and_optimizer.json").read_text())[
        "dale"
    ]:
        exc = psp_kernel_integrals(row["tau_mem"], row["tau_exc"], row["dt"])
        inh = psp_kernel_integrals(row["tau_mem"], row["tau_inh"], row["dt"])
        rec = Afferent(row["n_exc"], row["nu"], *exc) if row["recurrent"] else None
        ff, own = Afferent(row["n_ff"], row["nu"], *exc), Afferent(row["n_inh"], row["nu"], *inh)
        scales = exponential(ff, own, rec, sigma_u=row["sigma_u"], alpha=row["alpha"])
        expected = row["lambda_ff"], row["lambda_inh"], row["lambda_rec"]
        assert (not scales[2]) == (expected[2] is None)
        present = slice(None) if rec else slice(2)
        rates = [1 / scale for scale in scales[present]]
        assert rates == pytest.approx(expected[present], rel=0, abs=1e-10)


@pytest.mark.parametrize(
    ("n", "nu", "tau_mem", "tau_syn", "dt", "mu_u", "sigma_u"),
    [
        (200, 15.8, 20e-3, 10e-3, 2e-3, 0.0, 1.0),
        (50, 30.0, 20e-3, 10e-3, 1e-3, 0.3, 0.7),
        (300, 5.0, 10e-3, 5e-3, 2e-3, -0.5, 0.75),
        (100, 10.0, 10e-3, 10e-3, 1e-3, 0.5, 0.5),
    ],
)
def test_simulated_membrane_is_on_target(n, nu, tau_mem, tau_syn, dt, mu_u, sigma_u):
    """Over time, and on average over neurons; their weights come in pairs mu_w +- w, so that the
    average of their means is not random.
    """
    rng = np.random.default_rng(0)
    afferent = Afferent(n, nu, *psp_kernel_integrals(tau_mem, tau_syn, dt))
    ((mu_w, sigma_w),) = normal_weights([afferent], sigma_u=sigma_u, mu_u=mu_u)
    deviation = sigma_w * rng.standard_normal((n, 400))
    spikes = rng.poisson(nu * dt, (10_000, n)).astype(np.float64)
    u = membrane(spikes @ np.hstack((mu_w + deviation, mu_w - deviation)), tau_mem, tau_syn, dt)
    assert u.mean() == pytest.approx(mu_u, abs=0.03 * abs(mu_u) + 1e-12)
    assert math.sqrt(u.var(0).mean()) == pytest.approx(sigma_u, rel=0.03)
    spread_of_means = math.sqrt(n * nu**2) * afferent.eps_bar * sigma_w
    assert u.mean(0).std() == pytest.approx(spread_of_means, rel=0.1)


@pytest.mark.parametrize("rec", [REC, None], ids=["recurrent", "feed-forward"])
@pytest.mark.parametrize("distribution", ["exponential", "lognormal"])
def test_simulated_dale_neuron_is_balanced_and_on_target(distribution, rec):
    """Each spike draws its weight anew, so that the average over weights is part of the simulated
    one.
    """
    rng = np.random.default_rng(1)
    sigma_u, alpha, trials, steps = 0.8, 0.7, 20, 10_000
    if distribution == "exponential":
        scales = exponential(FF, OWN, rec, sigma_u=sigma_u, alpha=alpha)
        draw = [lambda size, s=s: rng.exponential(s, size) for s in scales if s]
    else:
        scales = log_normal(FF, OWN, rec, sigma_u=sigma_u, alpha=alpha)
        draw = [lambda size, s=s: rng.lognormal(math.log(s), 1.0, size) for s in scales if s]
    parts = []
    for afferent, weights, tau_syn in zip((FF, OWN, rec), draw, (TAU_EXC, TAU_INH, TAU_EXC)):
        counts = rng.poisson(afferent.n * afferent.nu * DT, steps * trials)
        bins = np.repeat(np.arange(steps * trials), counts)
        x = np.bincount(bins, weights(counts.sum()), minlength=steps * trials).reshape(
            steps, trials
        )
        parts.append(membrane(x, TAU_MEM, tau_syn, DT))
    ff, inh, *excitation = parts
    u = ff + sum(excitation) - inh
    assert u.mean() == pytest.approx(0, abs=0.03 * sigma_u)
    assert u.std() == pytest.approx(sigma_u, rel=0.03)
    if excitation:
        assert ff.var() / (ff.var() + excitation[0].var()) == pytest.approx(alpha, abs=0.02)


def test_afferents_with_rates_of_their_own_share_the_variance():
    afferents = [
        Afferent(700, 15.8, *EXC),
        Afferent(128, 40.0, *EXC),
        Afferent(64, 8.0, *EXC, recurrent=True),
    ]
    weights = normal_weights(afferents, sigma_u=0.9, mu_u=0.2, alpha=0.7)
    assert membrane_statistics(afferents, weights) == pytest.approx((0.2, 0.9))
    variances = [
        membrane_statistics([afferent], [weight])[1] ** 2 / 0.81
        for afferent, weight in zip(afferents, weights)
    ]
    assert variances == pytest.approx([0.35, 0.35, 0.3])


def test_variance_shares():
    assert variance_shares([False, False, True], 0.9) == pytest.approx([0.45, 0.45, 0.1])
    assert variance_shares([False, False], 0.9) == [0.5, 0.5]
    assert variance_shares([True], 0.9) == [1.0]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: Afferent(10, 0.0, *EXC),
            r"rate nu = 0\.0 Hz must be positive and finite; estimate it from the training set",
        ),
        (lambda: Afferent(10, math.nan, *EXC), r"rate nu = nan Hz"),
        (
            lambda: normal_weights([FF], sigma_u=0.0),
            r"sigma_u = 0\.0 must be positive and finite; theta / 3 to theta is recommended",
        ),
        (lambda: log_normal(FF, OWN, sigma_u=math.nan), r"sigma_u = nan must be positive"),
        (
            lambda: sigma_u_from_xi(1.0, 2.0),
            r"mu_u = 1\.0 must lie below theta = 1\.0: at or above it the mean causes the spikes",
        ),
        (
            lambda: normal_weights([Afferent(1, 1.0, *EXC)], sigma_u=0.01, mu_u=0.9),
            r"sigma_w\^2 = .* for n = 1, nu = 1\.0 Hz and mu_w = .*take mu_u closer to 0, a larger "
            r"sigma_u \(a smaller xi\) or more inputs",
        ),
    ],
)
def test_errors_name_the_value_and_the_way_out(call, message):
    with one_line(message):
        call()
