"""What events and spikes deliver, and the gradients of their weights, beside dense products."""

from __future__ import annotations

import needs
import numpy as np
import pytest
import torch
from compared import as_events

from fdi.data.inputs import Events
from fdi.engine.cuda.kept import Kept, keep, listed
from fdi.engine.cuda.product import deliver, weight_gradient
from fdi.snn.network import Projection

pytestmark = needs.kernels
CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def small(few_programs, monkeypatch):
    """Several blocks of everything."""
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    from fdi.engine.cuda.kernels import launch_sparse

    sizes = dict(ROWS=16, LOOKED=16, SOURCES=8, SAMPLES=4, STEPS=4, TARGETS=32, PROGRAMS=80)
    for name, value in (sizes | dict(BLOCK=32)).items():
        monkeypatch.setattr(launch_sparse, name, value)
    monkeypatch.setattr("fdi.engine.cuda.kept.CHUNK", 20)  # events are sorted in several parts


def numbers(*shape: int) -> torch.Tensor:
    """Multiples of 1/64, whose sums are exact in any order."""
    generator = torch.Generator().manual_seed(0)
    return (torch.randn(shape, generator=generator) * 64).round() / 64


def projection(targets: int, sources: int) -> Projection:
    link = Projection("a", "b", (targets, sources))
    link.weight.data.copy_(numbers(targets, sources))
    return link


def spikes(density: float, steps: int, batch: int, sources: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.rand(steps, batch, sources, generator=generator) < density


@pytest.mark.parametrize(("sources", "targets", "batch"), [(1, 1, 1), (20, 40, 5), (16, 16, 8)])
@pytest.mark.parametrize("density", [0.0, 0.2, 1.0])
@torch.no_grad()
def test_spikes(sources, targets, batch, density):
    link, s = projection(targets, sources), spikes(density, 9, batch, sources)
    d = numbers(9, batch, targets)
    for dtype in (torch.bool, torch.int8):
        found = deliver(link, s.to(dtype), kernels=True)
        assert torch.equal(found, deliver(link, s, kernels=False))
        found = weight_gradient(link, s.to(dtype), d, kernels=True)
        assert torch.equal(found, weight_gradient(link, s, d, kernels=False))


@pytest.mark.parametrize("counted", [False, True])
@pytest.mark.parametrize(
    ("sources", "targets", "samples"), [(1, 1, [0]), (20, 40, [3, 0, 0]), (17, 3, [*range(7)])]
)
@torch.no_grad()
def test_events(sources, targets, samples, counted):
    steps, rng = 9, np.random.default_rng(0)
    s = spikes(0.1, 13, steps, sources).numpy() * rng.integers(1, 4, (13, steps, sources))
    events = as_events(s, counted)[1:]  # whose first event is not that of the table
    link, d = projection(targets, sources), numbers(steps - 2, len(samples), targets)
    dense = torch.from_numpy(events.take(np.array(samples)).dense())[:-2]
    some: list[Events | Kept] = [
        keep(events, CPU, listed=True).take(np.array(samples)),
        events.take(np.array(samples)),
    ]
    for given in some:
        found = deliver(link, listed(given, CPU), kernels=True)
        assert torch.equal(found, deliver(link, dense, kernels=False))
        found = weight_gradient(link, listed(given, CPU), d, kernels=True)
        assert torch.equal(found, weight_gradient(link, dense, d, kernels=False))
