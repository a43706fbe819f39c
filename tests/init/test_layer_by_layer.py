"""Initial states are measured layer by layer, in linear time, and their bits stay."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from compared import drawn, frames, weighted

from fdi.engine.reference import ReferenceEngine
from fdi.engine.reference.simulation import Growing
from fdi.init.fluct import FluctCalibrated
from fdi.snn.models import conv, dale, dense
from fdi.snn.neuron import Neuron


class Halved(Neuron):
    """Its spikes count half."""

    def fires(self, u, state):
        return 0.5 * super().fires(u, state)


STEPS, DT = 25, 2e-3
SMALL = ((12,), 3, STEPS, DT, Neuron(20e-3, (10e-3,)))
MAPS = ((2, 8, 8), 3, STEPS, DT, Neuron(20e-3, (10e-3,)))
NETWORKS = {
    "dense": lambda: dense(*SMALL, hidden=20, depth=4),
    "skip": lambda: dense(*SMALL, hidden=20, depth=5, skip=True),
    "norm": lambda: dense(*SMALL, hidden=20, depth=3, norm="tdbn"),
    "learned": lambda: dense(
        *SMALL[:4], Neuron(20e-3, (10e-3,), learn_tau=True), hidden=20, depth=3
    ),
    "no spikes": lambda: dense(*SMALL[:4], Halved(20e-3, (10e-3,)), hidden=20, depth=4),
    "bias": lambda: dense(*SMALL, hidden=20, depth=3, bias=True),
    "recurrent": lambda: dense(*SMALL, hidden=20, depth=3, recurrent=True),
    "dale": lambda: dale(*SMALL, excitatory=20, inhibitory=10, depth=2),
    "conv": lambda: conv(*MAPS, filters=[4, 5], kernel=3, pool=2),
}  # fmt: skip


def made(name):
    network = weighted(NETWORKS[name](), 6, 0, 1 / 3)
    for bias in network.biases.values():
        bias.data.fill_(0.1)
    return network, frames(network, STEPS, 6, 0.1)


def numbers(activity, names):
    for name in names:
        yield from (activity.counts[name], activity.passed[name])
        yield from (m for m in vars(activity.moments[name]).values() if isinstance(m, torch.Tensor))


@pytest.mark.parametrize("name", NETWORKS)
def test_bits_are_those_of_a_whole_simulation(name):
    network, inputs = made(name)
    measure, engine = Growing(inputs), ReferenceEngine()
    for depth in (*range(1, len(network.layers) + 1), len(network.layers)):
        below = network.up_to(depth) if depth < len(network.layers) else network
        found, whole = measure(below), engine.simulate(below, inputs, record=("moments",))
        names = [population.name for population in below.hidden]
        assert sum(float(whole.counts[n].sum()) for n in names) > 20
        for mine, other in zip(numbers(found, names), numbers(whole, names), strict=True):
            assert torch.equal(mine, other)
        assert torch.equal(found.readout, whole.readout)


@pytest.mark.parametrize(
    ("name", "changed"),
    [("dense", "input->h1"), ("dense", "h1->h2"), ("dense", "h3->h4"), ("bias", "h1.bias")],
)
def test_a_layer_that_changes_is_simulated_again_with_all_above(name, changed):
    network, inputs = made(name)
    measure = Growing(inputs)
    measure(network)
    network.weights()[changed].data *= 1.5
    found = measure(network)
    whole = ReferenceEngine().simulate(network, inputs, record=("moments",))
    names = [population.name for population in network.hidden]
    assert all(map(torch.equal, numbers(found, names), numbers(whole, names)))


def test_the_work_of_an_initial_state_grows_with_its_depth():
    """Populations that are simulated, over all rounds: each as often as its own layer takes."""
    steps: Counter[int] = Counter()  # by the size of a population

    class Counted(Neuron):
        def fires(self, u, state):
            steps[u.shape[1]] += 1
            return super().fires(u, state)

    def work(depth):
        steps.clear()
        sizes = range(20, 20 + depth)
        network = dense(*SMALL[:4], Counted(20e-3, (10e-3,)), hidden=[*sizes])
        drawn(network, FluctCalibrated(sigma_u=2.0), made("dense")[1], 0.1 / DT)
        return [steps[size] / STEPS for size in sizes]

    short, long = work(3), work(6)
    assert long[:3] == short
    assert min(short) >= 1
    assert max(long) <= 12
