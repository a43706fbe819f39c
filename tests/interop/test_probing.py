"""The probe of other libraries' networks: right numbers, nothing changed, and its page."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from test_foreign import DT, IMPORT_WARNINGS, LIF
from test_wiring import Net, poisson
from torch import nn
from torch.nn.functional import cross_entropy

from fdi.interop import probe

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "why-not-learning.md"
LABELS = torch.arange(64) % 5


class Neuron(LIF):
    """With a surrogate gradient."""

    __module__ = "snntorch"

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        spikes = super().forward(x)
        soft = torch.sigmoid(4 * (self.mem - self.threshold))
        return spikes + soft - soft.detach()


def network(scale: float = 9.0) -> Any:
    torch.manual_seed(0)
    net: Any = Net(lif1=Neuron(0.9, 2.0), lif2=Neuron(0.95))
    for layer, by in ((net.fc1, scale), (net.fc2, scale / 3)):
        layer.weight.data *= by
        layer.bias.data.zero_()
    return net


@torch.no_grad()
def spread(net: Any, neuron: Any) -> float:
    """Of U around the mean of each neuron, in a trial of 3 s without its first third."""
    currents: list[torch.Tensor] = []
    hook = neuron.register_forward_pre_hook(lambda _, inputs: currents.append(inputs[0]))
    net(poisson(3000, 8))
    hook.remove()
    u, trace = torch.zeros_like(currents[0]), []
    for current in currents:
        u = neuron.beta * u + current
        trace.append(u / neuron.threshold)
    return float(torch.stack(trace)[1000:].var((0, 1), correction=0).mean().sqrt())


def loss(readout):
    return cross_entropy(readout.mean(0), LABELS)


def test_the_numbers_are_those_of_the_network():
    net, spikes = network(), poisson()
    found = probe(net, spikes, net, dt=DT, loss=loss)
    assert [(row.neuron, row.layers) for row in found.layers] == [
        ("lif1", ("fc1",)),
        ("lif2", ("fc2",)),
        ("out", ("out",)),
    ]
    spreads = [spread(net, neuron) for neuron in (net.lif1, net.lif2)]
    emitted: dict[str, list[torch.Tensor]] = {"lif1": [], "lif2": []}
    for name, each in emitted.items():
        getattr(net, name).register_forward_hook(lambda _, i, out, each=each: each.append(out))
    value = loss(net(spikes))
    value.backward()
    for row, layer in zip(found.layers, (net.fc1, net.fc2, net.out)):
        assert row.gradient == pytest.approx(float(layer.weight.grad.norm()), rel=1e-4)
        assert row.gradient_max == pytest.approx(float(layer.weight.grad.abs().max()), rel=1e-4)
    for row, wanted in zip(found.layers[:2], spreads):
        rates = torch.stack(emitted[row.neuron]).detach().mean((0, 1)) / DT
        assert row.rate == pytest.approx(float(rates.mean()), rel=1e-4)
        assert row.silent == pytest.approx(float((rates == 0).float().mean()))
        assert row.sigma_u == pytest.approx(wanted, rel=0.05)


def test_nothing_is_changed():
    net = network()
    net.norm, net.drop = nn.BatchNorm1d(80), nn.Dropout()
    net.fc1 = nn.Sequential(net.fc1, net.norm, net.drop)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    random = torch.get_rng_state()
    found = probe(net, poisson(), net, dt=DT, loss=loss)
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())
    assert all(parameter.grad is None for parameter in net.parameters())
    assert torch.equal(random, torch.get_rng_state())
    assert found.layers[0].gradient is not None
    assert found.layers[0].gradient > 0  # of the weights behind the normalization


def told(net, **options: Any) -> str:
    return " ".join(probe(net, poisson(), net, dt=DT, **options).verdict)


def test_the_verdict_speaks_of_the_state_and_of_the_optimizer():
    assert told(network(0.1)).startswith("lif1 is silent whether")
    assert told(network(0.1)).endswith("fdi.recipe finds out")
    net = network()
    adam = torch.optim.Adam(net.parameters(), eps=10.0)
    said = told(net, loss=loss, optimizer=adam)
    assert re.search(r"gradient, \S+, is \S+ times below what Adam with eps=10 follows", said)
    assert "lower its eps" in said
    assert "below what" not in told(net, loss=loss, optimizer=torch.optim.Adam(net.parameters()))
    sgd = torch.optim.SGD(net.parameters(), lr=1e-9)
    said = told(net, loss=loss, optimizer=sgd)
    assert re.search(r"one step of SGD with lr=1e-09 can move ", said)


def test_what_cannot_be_probed_is_said():
    net = network()
    with pytest.raises(ValueError, match=r"give loss\(output\), whose gradient the optimizer"):
        told(net, optimizer=torch.optim.Adam(net.parameters()))
    with pytest.raises(ValueError, match=r"the loss has no gradient; simulate must not run under"):
        probe(net, poisson(), torch.no_grad()(net), dt=DT, loss=loss)
    with pytest.raises(ValueError, match=r"no neuron of .* is called when the batch is simulated"):
        probe(net, poisson(), lambda x: x, dt=DT)


def test_the_table_has_a_line_for_each_row():
    net = network()
    found = probe(net, poisson(), net, dt=DT, sigma_u=None)
    assert [row.verdict for row in found.layers][::2] == ["no target", ""]
    lines = str(found).splitlines()
    assert lines[0].split()[:3] == ["neuron", "layers", "rate"]
    assert [line.split()[0] for line in lines[1:4]] == ["lif1", "lif2", "out"]
    assert lines[5:] == found.verdict


@IMPORT_WARNINGS
def test_a_neuron_without_threshold_is_a_readout():
    norse = pytest.importorskip("norse.torch")
    torch.manual_seed(0)
    net = norse.SequentialState(nn.Linear(100, 30), norse.LIF(), nn.Linear(30, 5), norse.LI())
    found = probe(net, poisson(), lambda x: net(x)[0], dt=DT, loss=lambda u: u.square().mean())
    assert [(row.neuron, row.layers) for row in found.layers] == [("1", ("0",)), ("3", ("2",))]
    assert (found.layers[1].rate, found.layers[1].silent, found.layers[1].verdict) == (
        None,
        None,
        "",
    )
    assert found.layers[1].gradient is not None


def words(text: str) -> str:
    return re.sub(r"[-+]?[\d.]+(e[-+]?\d+)?%?", "#", text)


@IMPORT_WARNINGS
@pytest.mark.parametrize("steps", [1, pytest.param(30, marks=pytest.mark.slow)])
def test_the_page_says_what_its_code_prints(steps):
    pytest.importorskip("snntorch")
    text = PAGE.read_text(encoding="utf-8")
    names: dict[str, Any] = {}
    pairs = re.findall(
        r"^```python\n(.*?)^```.*?^```text\n(.*?)^```", text, re.MULTILINE | re.DOTALL
    )
    assert len(pairs) == 3
    for code, printed in pairs:
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            exec(compile(code.replace("steps=30", f"steps={steps}"), PAGE.name, "exec"), names)
        assert words(out.getvalue()).split() == words(printed).split()
    if steps == 30:
        assert names["losses"][-1] > 1.6
        assert names["found"].before < 0.5 < 0.9 < names["found"].after
