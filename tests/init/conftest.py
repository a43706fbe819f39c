"""Shared by the tests of initializations."""

from __future__ import annotations

import math

import pytest


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
