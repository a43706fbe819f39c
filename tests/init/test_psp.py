from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
from compared import free_potential
from making import one_line

from fdi.init.theory import psp_kernel, psp_kernel_integrals, response, trial
from fdi.snn.models import dense


def limits(tau_mem, tau_syn):
    """eps_bar and eps_hat for dt -> 0."""
    return tau_syn, tau_syn**2 / (2 * (tau_syn + tau_mem))


def test_integrals_equal_the_authors_library(shared):
    for row in json.loads((shared / "reference" / "kernel_integrals.json").read_text()):
        numerical = psp_kernel_integrals(row["tau_mem"], row["tau_syn"], row["dt"])
        analytical = limits(row["tau_mem"], row["tau_syn"])
        assert numerical == pytest.approx(
            (row["eps_bar_numerical"], row["eps_hat_numerical"]), rel=0, abs=1e-10
        )
        assert analytical == pytest.approx(
            (row["eps_bar_analytical"], row["eps_hat_analytical"]), rel=0, abs=1e-10
        )


@pytest.mark.parametrize("tau_syn", [10e-3, 40e-3, 20e-3, 20e-3 * (1 + 1e-9), 1e-5])
@pytest.mark.parametrize("dt", [1e-3, 2e-3])
def test_kernel_solves_the_equations_of_the_neuron(tau_syn, dt):
    tau_mem = 20e-3
    one_jump = np.eye(1, int(10 * max(tau_mem, tau_syn) / dt))[0]
    expected = free_potential(one_jump, dt, tau_mem, tau_syn)
    kernel = psp_kernel(tau_mem, tau_syn, dt)
    assert kernel.dtype == np.float64
    np.testing.assert_allclose(kernel, expected, rtol=1e-9, atol=1e-15)


def test_integrals_approach_the_analytical_ones_with_the_time_step():
    assert psp_kernel_integrals(20e-3, 10e-3, 1e-5) == pytest.approx(limits(20e-3, 10e-3), rel=2e-3)
    ratio = psp_kernel_integrals(20e-3, 10e-3, 2e-3)[1] / limits(20e-3, 10e-3)[1]
    assert ratio == pytest.approx(1.22, abs=0.005)


@pytest.mark.parametrize("value", [0.0, -1e-3, math.nan, math.inf])
@pytest.mark.parametrize("symbol", ["tau_mem", "tau_syn", "dt"])
def test_a_time_that_is_not_positive_and_finite_is_refused(symbol, value):
    times = {"tau_mem": 20e-3, "tau_syn": 10e-3, "dt": 2e-3} | {symbol: value}
    message = f"^{symbol} = {value} must be a positive, finite time in seconds$"
    with one_line(message):
        psp_kernel_integrals(**times)


def test_a_time_step_longer_than_the_response_is_refused():
    with one_line(
        r"dt = 0\.2 s leaves no response of tau_mem = 0\.02 s and .* use a dt below 0\.02 s"
    ):
        psp_kernel(20e-3, 10e-3, 0.2)


def test_what_a_trial_shows_of_the_potential_follows_from_its_kernel():
    """Against sums over all pairs of steps: spikes of variance 1 in each step, weight 1."""
    steps, kernel = 37, response(20e-3, 10e-3, 2e-3)
    shown = trial(kernel, steps)
    whole = np.array(
        [[kernel[t - s] if s <= t else 0.0 for s in range(steps)] for t in range(steps)]
    )
    mean = whole.sum(1)
    np.testing.assert_allclose(shown.course, mean / mean.mean(), rtol=1e-12)
    assert shown.rise == pytest.approx(mean.var() / mean.mean() ** 2, rel=1e-12)
    assert shown.level == pytest.approx(mean.mean() / kernel.sum(), rel=1e-12)
    variance = np.square(whole - whole.mean(0)).sum(1).mean()
    assert shown.share == pytest.approx(variance / np.square(kernel).sum(), rel=1e-12)


def test_a_spike_is_seen_when_the_simulator_shows_it():
    network = dense((1,), 2, 40, 2e-3, hidden=1)
    network.projections[0].weight.data.fill_(1.0)
    x = torch.zeros(40, 1, 1)
    x[0] = 1.0
    seen = network.activity(x, ("free",)).free["h1"].flatten().detach()
    np.testing.assert_allclose(seen, response(20e-3, 10e-3, 2e-3)[:40], atol=1e-6)
