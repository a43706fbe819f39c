"""What reaches what in networks of other libraries; weights are those that are reported."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, prune

sys.path.insert(0, str(Path(__file__).parent))
from test_foreign import DT, IMPORT_WARNINGS, LIF, NU, free_spread, initialize, steady_spread


def poisson(steps: int = 150, samples: int = 64) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return (torch.rand(steps, samples, 100, generator=generator) < NU * DT).float()


class Net(nn.Module):
    """Layers are registered before all neurons."""

    fc1: Any
    fc2: Any
    skip: Any
    rec: Any
    norm: Any
    norm1: Any
    norm2: Any

    def __init__(self, **layers: nn.Module) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(100, 80), nn.Linear(80, 60)
        self.lif1, self.lif2 = LIF(0.5), LIF(0.98)
        self.out = nn.Linear(60, 5)
        for name, layer in layers.items():
            setattr(self, name, layer)

    def currents(self, x, first, last):
        return self.fc2(first)

    def forward(self, spikes):
        for part in self.modules():
            if isinstance(part, LIF):
                part.reset_mem()
        last, readout = spikes.new_zeros(spikes.shape[1], 60), []
        for x in spikes:
            first = self.lif1(self.fc1(x))
            last = self.lif2(self.currents(x, first, last))
            readout.append(self.out(last))
        return torch.stack(readout)


def spread(net: Any, neuron: Any) -> float:
    """Apart from the mean of each neuron, in a trial of 3 s."""
    return steady_spread(neuron, lambda: net(poisson(3000, 8)))


def of(rows, layer):
    return next(row for row in rows if row.layer == layer)


def drawn(net: Any, spikes=None, **options: Any):
    spikes = poisson() if spikes is None else spikes
    return initialize(net, dt=DT, batch=spikes, simulate=net, **options)


class Skip(Net):
    def currents(self, x, first, last):
        return self.fc2(first) + self.skip(x) + self.rec(last)


def test_skip_connections_and_recurrence_get_their_shares():
    net: Any = Skip(skip=nn.Linear(100, 60), rec=nn.Linear(60, 60))
    rows = drawn(net, alpha=0.8)
    variance = {name: of(rows, name).sigma_w ** 2 * n for name, n in SIZES.items()}
    assert {of(rows, name).neuron for name in SIZES} == {"lif2 (LIF)"}
    assert variance["fc2"] == pytest.approx(variance["skip"], rel=0.1)
    assert variance["rec"] / sum(variance.values()) == pytest.approx(0.2, rel=0.05)
    assert of(rows, "fc2").sigma_u == pytest.approx(1, rel=0.05)


SIZES = {"fc2": 80, "skip": 100, "rec": 60}


class Identity(Net):
    def currents(self, x, first, last):
        return self.fc2(first) + 0.02 * first[:, :60]


def test_what_reaches_a_neuron_without_weights_is_counted_or_named():
    net: Any = Identity()
    drawn(net, sigma_u=1.0)
    assert spread(net, net.lif2) == pytest.approx(1, rel=0.05)
    net.currents = lambda x, first, last: net.fc2(first) + first[:, :60]
    with pytest.raises(ValueError, match=r"lif2: what is not scaled \(lif1\) makes"):
        drawn(net, sigma_u=1.0)


@pytest.mark.parametrize(
    "how",
    [
        parametrizations.weight_norm,
        parametrizations.spectral_norm,
        torch.nn.utils.spectral_norm,
        lambda layer: prune.random_unstructured(layer, "weight", 0.5),
        lambda layer: prune.random_unstructured(layer, "bias", 0.5),
    ],
)
def test_weights_that_are_computed_in_each_call_are_left_alone(how):
    layer = how(nn.Linear(100, 80))
    layer.eval()  # in training, reading it is a step of a power iteration
    before = layer.weight.detach().clone()
    network = nn.Sequential(layer, LIF(0.9), nn.Linear(80, 80), LIF(0.9))
    with pytest.warns(UserWarning, match=r"not changed: 0 \(its weights or biases are computed"):
        first, second = initialize(network, nu=NU, dt=DT)
    assert (first.sigma_w, second.note) == (None, "")
    assert torch.equal(layer.weight, before)


def test_behind_a_normalization_the_gain_sets_the_spread():
    net: Any = Net(norm1=nn.BatchNorm1d(80), norm2=nn.BatchNorm1d(60))
    net.fc1, net.fc2 = nn.Sequential(net.fc1, net.norm1), nn.Sequential(net.fc2, net.norm2)
    before = {name: buffer.clone() for name, buffer in net.named_buffers()}
    rows = drawn(net, sigma_u=0.8)
    assert all(torch.equal(before[name], buffer) for name, buffer in net.named_buffers())
    gains = [row for row in rows if row.gain]
    places = ((net.lif1, net.norm1, "lif1 (LIF)"), (net.lif2, net.norm2, "lif2 (LIF)"))
    for row, (neuron, norm, name) in zip(gains, places, strict=True):
        assert (row.neuron, row.fan_in, row.sigma_w) == (name, 0, None)
        assert norm.weight.detach().numpy() == pytest.approx(row.gain)
        assert not norm.bias.any()
        assert free_spread(neuron, lambda: net(poisson())) == pytest.approx(0.8, rel=0.025)


@pytest.mark.parametrize("error", [TypeError("mine"), KeyboardInterrupt()])
def test_an_error_in_simulate_leaves_all_as_it_was(error):
    net, calls = Net(norm=nn.BatchNorm1d(60)), []
    net.fc2 = nn.Sequential(net.fc2, net.norm)
    before = {name: value.clone() for name, value in net.state_dict().items()}

    def simulate(spikes):
        calls.append(any(not torch.equal(before[n], v) for n, v in net.state_dict().items()))
        if len(calls) == 4:
            raise error
        return net(spikes)

    with pytest.raises(type(error)):
        initialize(net, dt=DT, batch=poisson(), simulate=simulate)
    assert calls[-1]
    assert all(torch.equal(before[n], v) for n, v in net.state_dict().items())


def test_batches_may_be_numpy_bfloat16_or_normalized_images():
    net: Any = Net()
    rows = drawn(net, poisson().numpy())
    assert of(rows, "fc1").sigma_u == pytest.approx(1, rel=0.021)
    half = poisson().bfloat16()
    rows = initialize(net, dt=DT, batch=half, simulate=lambda x: net(x.float()))
    assert of(rows, "fc2").sigma_u == pytest.approx(1, rel=0.021)
    rows = initialize(net.bfloat16(), dt=DT, batch=half, simulate=net)
    assert of(rows, "fc1").sigma_u == pytest.approx(1, rel=0.03)
    images = torch.randn(30, 100, generator=torch.Generator().manual_seed(0)) - 0.2
    net = Net()
    rows = initialize(
        net, dt=DT, batch=images, simulate=lambda x: net(x.expand(50, *x.shape)), sigma_u=0.8
    )
    u = images @ net.fc1.weight.detach().T / (1 - 0.5)  # of a constant current: over samples
    free = u.var(0, correction=0).mean().sqrt()
    assert float(free) == pytest.approx(0.8, rel=0.021)
    assert of(rows, "fc1").sigma_u == pytest.approx(float(free), rel=1e-4)


def test_a_neuron_in_two_places_is_refused():
    net: Any = Net(lif1=LIF(0.9))

    def forward(spikes):
        net.lif1.reset_mem()
        net.lif2.reset_mem()
        for x in spikes:
            net.lif2(net.out2(net.lif1(net.fc2(net.lif1(net.fc1(x))))))

    net.forward = forward
    net.fc1, net.fc2, net.out2 = nn.Linear(100, 60), nn.Linear(60, 60), nn.Linear(60, 60)
    with pytest.warns(UserWarning, match=r"not changed: fc1 \(lif1 \(LIF\) is used in 2 places"):
        rows = drawn(net)
    assert "lif1 (LIF) is used in 2 places; give each a neuron" in of(rows, "fc1").note
    assert (of(rows, "fc2").sigma_w, of(rows, "out2").neuron) == (None, "lif2 (LIF)")


def resnet(blocks: list[int]) -> nn.Module:
    from spikingjelly.activation_based import neuron
    from spikingjelly.activation_based.model import spiking_resnet

    return spiking_resnet.SpikingResNet(
        spiking_resnet.BasicBlock, blocks, num_classes=10, spiking_neuron=neuron.LIFNode
    )


def spikformer() -> nn.Module:
    from spikingjelly.activation_based import neuron
    from spikingjelly.activation_based.model.spikformer import Spikformer

    sizes = dict(img_size_h=32, img_size_w=32, patch_size=4, embed_dims=32, num_heads=2, depths=1)
    return Spikformer(T=4, num_classes=10, spiking_neuron=neuron.LIFNode, **sizes)


@IMPORT_WARNINGS
@pytest.mark.parametrize(
    ("make", "left"),
    [
        (lambda: resnet([1, 1, 1, 1]), ["fc"]),
        pytest.param(lambda: resnet([2, 2, 2, 2]), ["fc"], marks=pytest.mark.slow),
        (spikformer, ["blocks.0.attn.attn_lif", "head"]),
    ],
    ids=["resnet10", "resnet18", "spikformer"],
)
def test_deep_networks_of_spikingjelly_are_initialized_layer_by_layer(make, left):
    pytest.importorskip("spikingjelly")
    from spikingjelly.activation_based import functional

    net = make()
    functional.set_step_mode(net, "m")
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))

    def simulate(x):
        functional.reset_net(net)
        return net(x if make is spikformer else x.expand(2, *x.shape))

    rows = initialize(net, dt=DT, batch=images, simulate=simulate)
    assert [row.layer for row in rows if row.sigma_u is None] == left
    measured = [row.sigma_u for row in rows if row.sigma_u]
    assert len(measured) > 15
    assert measured == pytest.approx([1.0] * len(measured), rel=0.05)
    if make is not spikformer:  # convolution and shortcut reach the same neuron
        both = [of(rows, f"layer2.0.{name}") for name in ("conv2", "downsample.0")]
        assert {row.neuron for row in both} == {"layer2.0.sn2 (LIFNode)"}
