"""Max pooling of spikes, forward and adjoint; what a GPU sorts for to be deterministic."""

from __future__ import annotations

import numpy as np
import pretend
import pytest
import torch
import torch.nn.functional as F

from fdi.data.inputs import Events
from fdi.engine.cuda import CudaEngine
from fdi.engine.cuda.product import pool, unpool
from fdi.snn import models
from fdi.snn.neuron import LIF, Population
from fdi.snn.objective import Objective

T, B = 5, 2


@pytest.mark.parametrize(
    ("shape", "edge"), [((3, 7, 8), 2), ((2, 9), 3), ((2, 6, 7), 3), ((4, 5), 1)]
)
@pytest.mark.parametrize("dtype", [torch.bool, torch.int8])
def test_pooling_is_that_of_torch(shape, edge, dtype):
    generator = torch.Generator().manual_seed(0)
    population = Population("h", shape, LIF, edge)
    spikes = (torch.rand(T, B, *shape, generator=generator) > 0.7).to(dtype)
    of_torch = {2: F.max_pool1d, 3: F.max_pool2d}[len(shape)]
    x = spikes.flatten(0, 1).float().requires_grad_()
    wanted = of_torch(x, edge).unflatten(0, (T, B))
    found = pool(population, spikes)
    assert found.dtype == dtype
    assert torch.equal(found.float(), wanted)
    d = torch.randn(wanted.shape, generator=generator)
    wanted.backward(d)
    assert torch.equal(unpool(population, spikes, d), x.grad.view(spikes.shape))


@pytest.mark.parametrize(("counts", "sorts"), [(None, 0), (np.full(6, 2, np.float32), 6)])
def test_a_training_step_sorts_nothing_but_counts(counts, sorts):
    net = models.conv((1, 4, 4), 2, T, 5e-3, filters=[2, 3], padding=1, pool=2)
    x = Events(np.arange(T * B + 1).clip(max=6), np.arange(6, dtype=np.int32), (1, 4, 4), T, counts)
    with pretend.Pretend():
        engine, net = CudaEngine(kernels="off"), net.to(pretend.device())
        pretend.COUNT.sorted = 0
        engine.step(net, x, np.array([0, 1]), Objective())
    assert pretend.COUNT.sorted == sorts


def test_the_pretended_gpu_counts_what_a_gpu_sorts():
    CudaEngine()  # deterministic algorithms
    with pretend.Pretend():
        x, y = (torch.zeros(4, device=pretend.device()) for _ in range(2))
        at = torch.tensor([1, 1, 2]).to(x.device)
        for work, keys in (
            (lambda: x.scatter_(0, at, y[:3]), 3),
            (lambda: x.scatter_(0, at, 1.0), 0),
            (lambda: x.index_add_(0, at, y[:3]), 3),
            (lambda: x[at], 0),
            (lambda: x.index_put_((at,), y[:3], accumulate=True), 3),
        ):
            pretend.COUNT.sorted = 0
            work()
            assert pretend.COUNT.sorted == keys
