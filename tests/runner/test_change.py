"""How far training moved a network."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fdi.data.inputs import Frames
from fdi.engine.reference import ReferenceEngine
from fdi.runner.story import alignment, movement
from fdi.snn.models import dense
from fdi.snn.neuron import lif


def test_the_alignment_knows_rotations_and_scales_but_not_other_representations():
    generator = torch.Generator().manual_seed(0)
    counts = torch.randn(40, 6, generator=generator)
    rotation = torch.linalg.qr(torch.randn(6, 6, generator=generator))[0]
    assert alignment(counts, 3 * counts @ rotation + 1) == pytest.approx(1)
    assert alignment(counts, torch.zeros(40, 6)) is None
    a, b = counts - counts.mean(0), torch.randn(40, 9, generator=generator)
    b = b - b.mean(0)
    by_features = (a.T @ b).square().sum() / ((a.T @ a).norm() * (b.T @ b).norm())
    assert alignment(counts, b) == pytest.approx(float(by_features))
    assert 0 < float(by_features) < 0.5


def test_a_network_that_moves_by_a_tenth_says_so():
    networks = [
        dense(input_shape=(5,), classes=3, steps=20, dt=2e-3, neuron=lif(), hidden=8, depth=2)
        for _ in range(2)
    ]
    generator = torch.Generator().manual_seed(1)
    weights = {
        name: 3 * torch.randn(weight.shape, generator=generator)
        for name, weight in networks[0].weights().items()
    }
    initial, network = networks
    initial.load_weights(weights)
    network.load_weights({name: 1.1 * weight for name, weight in weights.items()})
    spikes = np.random.default_rng(0).integers(0, 2, size=(6, 20, 5)).astype(np.uint8)
    found = movement(network, initial, ReferenceEngine(), Frames(spikes))
    assert found["moved"] == pytest.approx(dict.fromkeys(weights, 0.1), rel=1e-5)
    assert set(found["alignment"]) == {"h1", "h2"}
    assert all(value is not None and 0 < value <= 1 for value in found["alignment"].values())
    still = movement(initial, initial, ReferenceEngine(), Frames(spikes))
    assert still["alignment"] == pytest.approx({"h1": 1, "h2": 1})
