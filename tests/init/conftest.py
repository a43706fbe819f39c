"""Shared by the tests of initializations."""

from __future__ import annotations

import math

import pytest
import torch

from fdi.snn.models import dense
from fdi.snn.neuron import lif


@pytest.fixture
def membrane_statistics():
    """Mean and spread of the free potential, given the (mu_w, sigma_w) of each afferent; inhibition
    has mu_w < 0.
    """

    def statistics(afferents, weights):
        pairs = list(zip(afferents, weights, strict=True))
        mu_u = sum(afferent.mean_gain * mu_w for afferent, (mu_w, _) in pairs)
        variance = sum(
            afferent.variance_gain * (sigma_w**2 + mu_w**2) for afferent, (mu_w, sigma_w) in pairs
        )
        return mu_u, math.sqrt(variance)

    return statistics


@pytest.fixture
def two_layers():
    """A network, and the same with initial weights."""
    networks = [
        dense(input_shape=(5,), classes=3, steps=4, dt=2e-3, hidden=[4, 6], neuron=lif())
        for _ in range(2)
    ]
    generator = torch.Generator().manual_seed(0)
    for scale, projection in enumerate(networks[1].projections, 1):
        projection.weight.data.normal_(0, scale, generator=generator)
    return networks
