"""A data set that a small network learns in seconds."""

from __future__ import annotations

import pytest

from fdi.data.dataset import Dataset
from fdi.data.randman import randman


@pytest.fixture(scope="session")
def data() -> Dataset:
    return randman(
        classes=2,
        units=10,
        spikes=1,
        manifold_dim=1,
        alpha=2.0,
        samples=150,
        steps=40,
        dt=2e-3,
        active=0.5,
        manifold_seed=1,
        valid=0.2,
        test=0.2,
    )
