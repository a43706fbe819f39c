"""Membrane time constants that training changes (PLIF, Fang et al. 2021)."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from compared import frames, weighted
from making import one_line
from omegaconf import OmegaConf

from fdi.engine.device import dense_input
from fdi.engine.reference import ReferenceEngine
from fdi.engine.reference.simulation import simulate
from fdi.interop.nir import from_nir, to_nir
from fdi.runner import build, training
from fdi.snn import models
from fdi.snn.neuron import Constants, lif
from fdi.snn.objective import Objective
from fdi.track.files import read_checkpoint
from fdi.train.trainer import Progress

STEPS, DT = 20, 2e-3


def network(neuron=None, model=models.dense, **options):
    neuron = neuron or lif(learn_tau=True)
    net = model((9,), 3, STEPS, DT, neuron, readout_u_init=0.0, **options)
    return weighted(net, 5, 1).double()


def batch():
    return frames(network(), STEPS, 5), np.arange(5) % 3


def test_it_starts_as_the_neuron_that_does_not_learn():
    one, other = network(), network(lif())
    assert one.learned() == pytest.approx({"h1": 20e-3})
    assert not other.learned()
    x, labels = batch()
    found = [ReferenceEngine().step(n, x, labels, Objective()) for n in (one, other)]
    assert found[0].task == pytest.approx(found[1].task, rel=1e-6)
    assert float(one.leaks["h1"].grad) != 0


def test_the_gradient_is_that_of_a_finite_difference():
    net = network()
    x = dense_input(net, batch()[0])

    def total():
        return simulate(net, x, record=("free",)).free["h1"].square().sum()  # smooth: without reset

    total().backward()
    leak, step = net.leaks["h1"], 1e-5
    with torch.no_grad():
        ends = []
        for sign in (1, -1):
            leak += sign * step
            ends.append(float(total()))
            leak -= sign * step
    assert float(leak.grad) == pytest.approx((ends[0] - ends[1]) / (2 * step), rel=1e-6)


def test_agrees_with_the_neuron_of_spikingjelly_below_threshold():
    theirs = (
        pytest.importorskip(
            "spikingjelly.activation_based.neuron", reason="SpikingJelly is not installed"
        )
        .ParametricLIFNode(init_tau=5.0, v_reset=0.0, detach_reset=True)
        .double()
    )
    current = torch.rand(STEPS, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    leak = theirs.w.detach().clone().requires_grad_()
    constants = Constants(DT, (-leak).sigmoid(), leak.sigmoid())
    u, ours, others = torch.zeros(4, dtype=torch.float64), [], []
    for x in current:
        u, _ = lif().step(u, torch.zeros(4), x, (), constants)
        ours.append(u)
        assert not theirs(x).any()
        others.append(theirs.v)
    torch.testing.assert_close(torch.stack(ours), torch.stack(others), rtol=0, atol=1e-6)
    (d,) = torch.autograd.grad(torch.stack(ours).square().sum(), leak)
    (expected,) = torch.autograd.grad(torch.stack(others).square().sum(), theirs.w)
    torch.testing.assert_close(d, expected, rtol=0, atol=1e-6)


def test_a_checkpoint_holds_it(tmp_path):
    net, again, path = network(), network(), tmp_path / "last.pt"
    net.leaks["h1"].data.add_(1)
    training.save_checkpoint(path, net, torch.optim.Adam(net.parameters()), Progress())
    training.load_checkpoint(
        path, read_checkpoint(path), again, torch.optim.Adam(again.parameters())
    )
    assert again.learned() == net.learned() != network().learned()
    assert net.up_to(1).learned() == net.learned()


@pytest.mark.parametrize("values", [
        {"_target_": "torch.optim.SGD", "lr": 0.1, "weight_decay": 0.5},
        {"_target_": "fdi.train.optimizers.SMORMS3", "lr": 0.1},
    ],
)  # fmt: skip
def test_it_is_a_group_that_no_decay_of_weights_shortens(values):
    net = network()
    config = OmegaConf.create({"optimizer": values, "trainer": {}, "paths": {"modules": []}})
    optimizer = build.optimizer(config, net)
    assert optimizer.param_groups[1]["params"] == [net.leaks["h1"]]
    before, weight = net.learned(), net.projections[0].weight
    for p in net.parameters():
        p.grad = torch.zeros_like(p)
    norm = weight.norm().item()
    optimizer.step()
    assert net.learned() == before
    assert (weight.norm().item() < norm) == ("weight_decay" in values)


def test_nir_gets_what_was_learned():
    pytest.importorskip("nir", reason="nir is not installed")
    net = network()
    net.leaks["h1"].data.add_(1)
    other = from_nir(to_nir(net, reset_at_once=True), delay=2, reset="zero").double()
    assert other.hidden[0].neuron.tau_mem == pytest.approx(net.learned()["h1"])
    x, _ = batch()
    first, second = (ReferenceEngine().simulate(n, x).readout for n in (net, other))
    torch.testing.assert_close(first, second, rtol=1e-5, atol=1e-6)


def test_one_constant_for_all_and_one_for_each_exclude_each_other():
    with one_line("choose one of them"):
        lif(learn_tau=True, tau_shape=3.0)
