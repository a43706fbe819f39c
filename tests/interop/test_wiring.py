"""What reaches what in networks of other libraries; weights are those that are reported."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from test_foreign import DT, IMPORT_WARNINGS, LIF, NU, initialize
from torch import Tensor, nn


def poisson(steps: int = 150, samples: int = 64) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return (torch.rand(steps, samples, 100, generator=generator) < NU * DT).float()


class Net(nn.Module):
    """Two populations, whose layers are registered before all neurons; `first` and `second` say
    what reaches them in a step.
    """

    fc1: Any
    fc2: Any
    skip: Any
    rec: Any
    norm: Any

    def __init__(self, **layers: Any) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(100, 80), nn.Linear(80, 60)
        self.lif1, self.lif2 = LIF(0.5), LIF(0.98)
        self.out = nn.Linear(60, 5)
        for name, layer in layers.items():
            setattr(self, name, layer)

    def first(self, x: Tensor) -> Tensor:
        return self.fc1(x)

    def second(self, s: Tensor, x: Tensor, last: Tensor) -> Tensor:
        return self.fc2(s)

    def forward(self, spikes: Tensor) -> Tensor:
        for part in self.modules():
            if isinstance(part, LIF):
                part.reset_mem()
        last, readout = spikes.new_zeros(spikes.shape[1], self.out.in_features), []
        for x in spikes:
            last = self.lif2(self.second(self.lif1(self.first(x)), x, last))
            readout.append(self.out(last))
        return torch.stack(readout)


def of(rows, layer):
    return next(row for row in rows if row.layer == layer)


def drawn(net: Any, spikes=None, **options: Any):
    spikes = poisson() if spikes is None else spikes
    return initialize(net, dt=DT, batch=spikes, simulate=net, **options)


class Skip(Net):
    def second(self, s, x, last):
        return self.fc2(s) + self.skip(x) + self.rec(last)


def test_skip_connections_and_recurrence_get_their_shares():
    net: Any = Skip(skip=nn.Linear(100, 60), rec=nn.Linear(60, 60))
    rows = drawn(net, alpha=0.8)
    variance = {name: of(rows, name).sigma_w ** 2 * n for name, n in SIZES.items()}
    assert {of(rows, name).neuron for name in SIZES} == {"lif2 (LIF)"}
    assert variance["fc2"] == pytest.approx(variance["skip"], rel=0.1)
    assert variance["rec"] / sum(variance.values()) == pytest.approx(0.2, rel=0.05)
    assert of(rows, "fc2").sigma_u == pytest.approx(1, rel=0.05)


SIZES = {"fc2": 80, "skip": 100, "rec": 60}


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
