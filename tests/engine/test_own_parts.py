"""Neurons of one's own are computed as they are described. Projections and normalizations of one's
own: an engine that does not call them refuses them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from compared import as_events, weighted
from making import one_line
from torch import Tensor
from torch.nn.functional import avg_pool1d

from fdi.config.parts import resolve
from fdi.data.inputs import Events
from fdi.engine import Engine
from fdi.engine.cpu import CpuEngine
from fdi.engine.cpu.neurons import kind as compiled
from fdi.engine.cuda import CudaEngine
from fdi.engine.reference import ReferenceEngine
from fdi.snn.models import dense
from fdi.snn.network import Network, Norm, Projection
from fdi.snn.neuron import Neuron, lif
from fdi.snn.objective import Objective

STEPS, BATCH, UNITS = 20, 4, 12
OWN = Path(__file__).parents[2] / "examples" / "own"


class Masked(Projection):
    """Every second synapse is cut."""

    def forward(self, spikes: Tensor) -> Tensor:
        mask = torch.arange(self.weight.shape[1]) % 2
        return super().forward(spikes * mask)


class Pooled(Projection):
    """The mean of pairs of sources, twice, in place of each."""

    def forward(self, spikes: Tensor) -> Tensor:
        pairs = avg_pool1d(spikes.flatten(1)[:, None], 2)
        return super().forward(pairs.repeat_interleave(2, -1))


class RootMeanSquare(Norm):
    """X' = gain X / sqrt(mean of X^2 over the layer + 1e-5)."""

    by_sample = True

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__("rms", shape, 0, 1.0)

    def forward(self, x_TBN: Tensor, learn: bool) -> Tensor:
        return self.gain * x_TBN * (x_TBN.square().mean(-1, keepdim=True) + 1e-5).rsqrt()


def network(kind: type[Projection] = Projection) -> Network:
    net = dense(
        input_shape=(UNITS,), classes=3, steps=STEPS, dt=2e-3, neuron=lif(), hidden=[8], depth=1
    )
    first = net.projections[0]
    own = kind(first.source, first.target, tuple(first.weight.shape))
    net = Network(net.input_shape, net.layers, net.readout, [own, *net.projections[1:]], net.dt)
    generator = torch.Generator().manual_seed(0)
    for projection in net.projections:
        projection.weight.data.normal_(0.5, 1.0, generator=generator)
    return net


def batch() -> tuple[Events, np.ndarray]:
    rng = np.random.default_rng(0)
    return as_events(rng.random((BATCH, STEPS, UNITS)) < 0.2), np.arange(BATCH) % 3


@pytest.mark.parametrize("kind", [Masked, Pooled])
def test_a_projection_of_ones_own_is_computed_as_it_says_or_refused(kind):
    net, (x, labels) = network(kind), batch()
    with one_line(
        rf"^engine=cpu does not compute projections of class {kind.__name__} "
        r"\(input->h1\); use engine=reference$"
    ):
        CpuEngine().check(net)
    with one_line("does not compute projections"):
        CpuEngine().step(net, x, labels, Objective())
    ReferenceEngine().check(net)
    spikes = ReferenceEngine().evaluate(net, x, labels, Objective()).counts["h1"]
    on_a_gpu = CudaEngine().evaluate(net, x, labels, Objective()).counts["h1"]
    np.testing.assert_array_equal(on_a_gpu, spikes)
    usual = ReferenceEngine().evaluate(network(), x, labels, Objective()).counts["h1"]
    assert abs(spikes - usual).sum() > 0


def normed() -> Network:
    net = network()
    net.norms["h1"] = RootMeanSquare(net.hidden[0].shape)
    return net


def test_a_normalization_that_a_configuration_names_is_seen_before_anything_is_built():
    found = [
        CpuEngine.lacks({"device": "cpu", "model": {"norm": norm}})
        for norm in ("none", "tdbn", "bntt", "layer", "rms")
    ]
    assert found == [None, None, None, None, "model.norm=rms"]


def test_a_normalization_of_ones_own_is_computed_by_the_others_in_parts_too():
    x, labels = batch()
    net = normed()
    wanted = ReferenceEngine().step(net, x, labels, Objective())
    gradients = [w.grad for w in net.parameters()]
    assert wanted.counts["h1"].sum() > 0
    for memory in (10.0, 3e-5):
        again: Any = normed()
        found = CudaEngine(memory).step(again, x, labels, Objective())
        np.testing.assert_array_equal(found.counts["h1"], wanted.counts["h1"])
        for g, weight in zip(gradients, again.parameters()):
            torch.testing.assert_close(weight.grad, g, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("engine", [CpuEngine, CudaEngine, ReferenceEngine])
def test_a_module_that_is_no_normalization_is_told_what_it_must_be(engine):
    net: Any = network()
    net.norms["h1"] = torch.nn.LayerNorm(8)
    with one_line("population h1 is a LayerNorm; let it inherit from"):
        engine().check(net)


def trained(engine: Engine) -> tuple[list[float], list[Tensor]]:
    """Spikes in each update, and the weights behind them, of the example."""
    neuron = resolve("neuron", "izhikevich.izhikevich", [OWN])()
    net = dense((UNITS,), 3, STEPS, 2e-3, neuron, hidden=[20, 17])
    (x, labels), spikes = batch(), []
    optimizer = torch.optim.Adam(weighted(net, 8).double().parameters(), lr=0.05)
    for _ in range(6):
        spikes.append(float(engine.step(net, x, labels, Objective()).counts["h2"].sum()))
        optimizer.step()
    return spikes, [weight.detach() for weight in net.parameters()]


def test_a_neuron_that_ones_own_file_describes_learns_as_with_autograd():
    (spikes, weights), (wanted, expected) = map(trained, (CpuEngine(threads=1), ReferenceEngine()))
    assert spikes == wanted
    assert len({*spikes}) > 1
    for found, weight in zip(weights, expected):
        torch.testing.assert_close(found, weight, rtol=0, atol=1e-9)


def described(drive: str) -> Neuron:
    @dataclass(frozen=True)
    class Own(Neuron):
        DRIVE: ClassVar[str] = drive
        pull: float = 0.5

    return Own()


def test_kernels_are_known_by_what_is_described():
    first, again, other = (
        compiled(described(f"gain * (current + pull * u{more})"), 2e-3).dynamics
        for more in ("", "", "**2")
    )
    assert type(first) is type(again)
    assert type(first).__name__ != type(other).__name__
