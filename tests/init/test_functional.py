from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from making import one_line

from fdi.init import (
    fluctuation_driven_normal_,
    psp_kernel_integrals,
)

TIMES: dict[str, Any] = dict(tau_mem=20e-3, tau_syn=10e-3, dt=2e-3)
NU = 15.8


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("shape", [(500, 700), (200, 16, 21), (200, 32, 3, 3)])
@pytest.mark.parametrize(("mu_u", "share", "theta"), [(0.0, 1.0, 1.0), (0.3, 0.9, 2.0)])
def test_normal_weights_have_the_moments_of_the_theory(shape, mu_u, share, theta):
    weight = torch.empty(shape, requires_grad=True)
    returned = fluctuation_driven_normal_(
        weight,
        sigma_u=0.8,
        mu_u=mu_u,
        nu=NU,
        theta=theta,
        share=share,
        fan_in=None if share == 1 else 2 * weight[0].numel(),
        generator=seeded(),
        **TIMES,
    )
    assert returned is weight
    assert weight.grad_fn is None
    n, (eps_bar, eps_hat) = weight[0].numel(), psp_kernel_integrals(**TIMES)
    mu_w = mu_u * theta / (n * (1 if share == 1 else 2) * NU * eps_bar)
    sigma_w = math.sqrt(share * (0.8 * theta) ** 2 / (n * NU * eps_hat) - mu_w**2)
    drawn = weight.detach().double()
    assert float(drawn.mean()) == pytest.approx(mu_w, abs=4 * sigma_w / math.sqrt(weight.numel()))
    assert float(drawn.std()) == pytest.approx(sigma_w, rel=0.01)


def test_a_generator_makes_the_weights_reproducible():
    first, second, other = (
        fluctuation_driven_normal_(torch.empty(4, 5), nu=NU, generator=seeded(seed), **TIMES)
        for seed in (1, 1, 2)
    )
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"share": 0.0}, r"share = 0\.0 must lie in \(0, 1\]; 1 for a neuron's only projection"),
        ({"share": 1.5}, r"share = 1\.5 must lie in"),
        ({"fan_in": 4}, r"fan_in = 4, the synapses of all projections, is below 5"),
        ({"nu": -1.0}, r"rate nu = -1\.0 Hz must be positive"),
        ({"sigma_u": -1.0}, r"sigma_u = -1\.0 must be positive"),
        ({"sigma_u": 1e-3, "mu_u": 0.9}, r"sigma_w\^2 = .*take mu_u closer to 0"),
        ({"dt": 0.0}, r"dt = 0\.0 must be a positive, finite time"),
        ({"tau_mem": 20}, r"tau_mem = 20 must be 1e-06 to 1 s; in seconds: 0\.02\?"),
        ({"tau_syn": 5.0}, r"tau_syn = 5\.0 must be 1e-06 to 1 s"),
        ({"nu": 600.0, "dt": 2e-3}, r"nu = 600 Hz is more than one spike in a step of dt = 0\.002"),
    ],
)
def test_bad_values_are_refused(options, message):
    with one_line(message):
        fluctuation_driven_normal_(torch.empty(4, 5), **({"nu": NU} | TIMES | options))


def test_a_vector_has_no_fan_in():
    with one_line(
        r"a weight of shape \(5,\) has no fan-in; give \[target, source\] or a convolution's "
        r"kernels"
    ):
        fluctuation_driven_normal_(torch.empty(5), nu=NU, **TIMES)
