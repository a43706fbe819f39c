"""Skip connections: a layer hears two below it."""

from __future__ import annotations

import pytest
import torch
from compared import frames, free_potential, weighted

from fdi.engine.reference import ReferenceEngine
from fdi.init.fluct import Fluct
from fdi.init.strategy import Drawing
from fdi.init.theory import psp_kernel_integrals
from fdi.snn.models import conv, dense

STEPS, DT = 30, 2e-3
MODELS = {
    "dense": lambda: dense((9,), 4, STEPS, DT, hidden=8, depth=4, skip=True),
    "conv": lambda: conv((2, 4, 4), 4, STEPS, DT, filters=[6], depth=4, skip=True),
}


@pytest.mark.parametrize("model", MODELS)
def test_with_equal_weights_the_spikes_of_both_sources_add(model):
    net = weighted(MODELS[model]().double(), 8)
    below, further = net.afferents("h4")
    assert (below.source, further.source) == ("h3", "h2")
    further.weight.data.copy_(below.weight)
    x = frames(net, STEPS, 3, 0.5)
    activity = ReferenceEngine().simulate(net, x, record=("spikes", "free"))
    both = activity.spikes["h3"] + activity.spikes["h2"]
    assert both.max() == 2
    expected = free_potential([below(spikes) for spikes in both], DT)
    for free, u in zip(activity.free["h4"][1:], expected):  # a spike takes a step
        torch.testing.assert_close(free, u)


@pytest.mark.parametrize("model", MODELS)
def test_fluct_gives_each_of_two_sources_half_of_the_variance(model):
    net = MODELS[model]()
    neuron, rates = net.hidden[3].neuron, {"h3->h4": 20.0, "h2->h4": 5.0}
    _, eps_hat = psp_kernel_integrals(neuron.tau_mem, neuron.tau_syn[0], DT)
    totals = dict.fromkeys(rates, 0.0)
    for seed in range(60):
        generator = torch.Generator().manual_seed(seed)
        Fluct(0.8).draw(Drawing(net.hidden[3], net.afferents("h4"), rates, DT, generator))
        for link in net.afferents("h4"):
            square = float(link.weight.detach().square().mean())
            totals[link.name] += link.fan_in * rates[link.name] * eps_hat * square / 60
    assert totals == pytest.approx(dict.fromkeys(rates, 0.8**2 / 2), rel=0.05)
