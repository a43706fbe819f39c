"""Without delay and with a reset at once: the equations of other libraries, by another program."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from compared import weighted

from fdi.data.inputs import Frames
from fdi.engine.cpu.engine import CpuEngine
from fdi.engine.reference import ReferenceEngine
from fdi.init.strategy import measured_spread
from fdi.init.theory import psp_kernel_integrals
from fdi.snn.models import conv, dale, dense
from fdi.snn.neuron import Neuron

STEPS, DT = 60, 2e-3
CELL = Neuron(15e-3, (7e-3,), theta=0.8, reset="at_once")
NETWORKS = {
    "recurrent": lambda: dense(
        (8,), 3, STEPS, DT, CELL, hidden=6, depth=2, recurrent=True, delay=0
    ),
    "dale": lambda: dale((8,), 3, STEPS, DT, CELL, excitatory=6, inhibitory=3, depth=2, delay=0),
    "skip": lambda: dense((8,), 3, STEPS, DT, CELL, hidden=6, depth=3, skip=True, delay=0),
}


def by_hand(network, x):
    """Spikes and potentials of each population, [T, B, units], one neuron after the other."""
    decays = {p.name: p.neuron.decays(DT) for p in (*network.hidden, network.readout)}
    layers = [*network.layers, (network.readout,)]
    u = {p.name: np.full((x.shape[1], p.units), p.neuron.u_init) for one in layers for p in one}
    i = {p.name: [0.0] * len(p.neuron.tau_syn) for one in layers for p in one}
    s = {name: 0 * values for name, values in u.items()}
    traces: dict[str, tuple[list, list]] = {name: ([], []) for name in u}
    for now in x.astype(float):
        s["input"] = now
        for layer in layers:
            heard = dict(s)
            for p in layer:
                beta_m, betas = decays[p.name]
                for c, beta in enumerate(betas):
                    arrives = sum(
                        heard[link.source] @ link.weight.detach().numpy().T
                        for link in network.afferents(p.name)
                        if link.channel == c
                    )
                    i[p.name][c] = beta * i[p.name][c] + arrives
                drive = sum(sign * each for sign, each in zip(p.neuron.signs, i[p.name]))
                kept = u[p.name] * (1 - s[p.name]) if p.neuron.spiking else u[p.name]
                u[p.name] = beta_m * kept + (1 - beta_m) * drive
                s[p.name] = (u[p.name] > p.neuron.theta) * p.neuron.spiking
                traces[p.name][0].append(s[p.name])
                traces[p.name][1].append(u[p.name])
    return {name: [torch.tensor(np.array(one)).double() for one in t] for name, t in traces.items()}


@pytest.mark.parametrize("kind", NETWORKS)
def test_a_network_without_delay_is_computed_as_by_hand(kind):
    network = weighted(NETWORKS[kind]().double(), 8, 0, 1 / 3)
    x = (np.random.default_rng(0).random((STEPS, 4, 8)) < 0.3).astype(np.uint8)
    found, wanted = network.activity(x, ("spikes", "potentials")), by_hand(network, x)
    for p in network.hidden:
        assert found.spikes[p.name].sum() > 20
        assert torch.equal(found.spikes[p.name], wanted[p.name][0])
        torch.testing.assert_close(found.potentials[p.name], wanted[p.name][1])
    torch.testing.assert_close(found.readout, wanted["readout"][1])


def test_a_map_without_delay_is_a_later_one_earlier():
    neuron, x = Neuron(theta=0.5), np.random.default_rng(0).random((2, STEPS, 2, 8, 8)) < 0.2
    early, late = (
        weighted(conv((2, 8, 8), 3, STEPS, DT, neuron, filters=[4, 4], pool=2, delay=d), 8)
        for d in (0, 2)
    )
    one, other = (
        ReferenceEngine().simulate(n, Frames(x.astype(np.uint8)), ("spikes",)).spikes
        for n in (early, late)
    )
    assert one["h2"].sum() > 20
    for steps, name in ((3, "h1"), (6, "h2")):
        assert torch.equal(one[name][:-steps], other[name][steps:])


def test_the_spread_of_a_short_trial_stands_for_that_of_a_long_one():
    steps, rate = 20, 100.0
    network = dense((8,), 3, steps, DT, CELL, hidden=6, delay=0)
    weight = weighted(network, 8).projections[0].weight.detach()
    x = (np.random.default_rng(0).random((steps, 2000, 8)) < rate * DT).astype(np.uint8)
    _, eps_hat = psp_kernel_integrals(CELL.tau_mem, CELL.tau_syn[0], DT)
    wanted = (rate * (1 - rate * DT) * eps_hat * weight.square().sum(1).mean()).sqrt()
    found = measured_spread(network, network.hidden[0], network.activity(x, ("moments",)), False)
    assert found == pytest.approx(float(wanted), rel=0.02)


def test_the_compiled_engine_refuses_both_in_a_sentence():
    for network, what in (
        (dense((8,), 3, STEPS, DT, hidden=6, delay=0), "layers 0 steps apart"),
        (dense((8,), 3, STEPS, DT, CELL, hidden=6), "neurons of reset at_once"),
    ):
        with pytest.raises(ValueError, match=f"engine=cpu does not compute {what}.*use engine=ref"):
            CpuEngine(1).check(network)
    with pytest.raises(ValueError, match="delay = 1 steps between layers must be 0 or 2"):
        dense((8,), 3, STEPS, DT, hidden=6, delay=1)  # type: ignore[arg-type]
