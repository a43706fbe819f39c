"""Initialization of foreign networks: on a stand-in for a snnTorch neuron, and on the libraries
where they are installed.
"""

from __future__ import annotations

import math
import re
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from runpy import run_path
from typing import Any

import pytest
import torch
from making import one_line
from torch import nn

from fdi import Mistake
from fdi import initialize as initialize_any
from fdi.interop.neurons import measure

EXAMPLES = Path(__file__).parents[2] / "examples"
DT, NU = 1e-3, 15.0
IMPORT_WARNINGS = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning"
)


class LIF(nn.Module):
    """U <- beta U + x, with the attributes of a snnTorch neuron."""

    __module__ = "snntorch"

    def __init__(
        self, beta: float, threshold: float = 1.0, recurrent: nn.Module | None = None
    ) -> None:
        super().__init__()
        self.beta, self.threshold = torch.tensor(beta), torch.tensor(threshold)
        self.mem = torch.zeros(0)
        if recurrent is not None:
            self.recurrent = recurrent

    def reset_mem(self) -> None:
        self.mem = torch.zeros(0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.mem = (self.beta * self.mem if self.mem.shape == x.shape else 0) + x
        return (self.mem > self.threshold).to(x.dtype)


def initialize(network: Any, *, nu: float | None = None, **options: Any) -> list[Any]:
    """Calibrated on a batch, or by the formula for a rate."""
    if nu is None:
        return initialize_any(network, **options)
    sizes = [
        getattr(part, "in_features", getattr(part, "input_size", None))
        for part in network.modules()
    ]
    batch = torch.zeros(5, 2, next((size for size in sizes if size), 1))
    return initialize_any(network, "fluct", nu=nu, batch=batch, **options)


def sigma_w(n: int, eps_hat: float, sigma_u: float = 1.0) -> float:
    return sigma_u / math.sqrt(n * NU * eps_hat)


def test_a_layer_gets_the_spread_of_the_neuron_behind_it():
    network: Any = nn.Sequential(
        nn.Linear(700, 300),
        LIF(0.9, 2.0),
        nn.Unflatten(1, (4, 75)),
        nn.Conv1d(4, 8, 5),
        LIF(0.8),
        nn.Flatten(),
        nn.Linear(568, 10),
    )
    readout = network[6].weight.detach().clone()
    first, second, last = initialize(
        network, sigma_u=0.8, nu=NU, dt=DT, generator=torch.Generator().manual_seed(0)
    )
    assert (first.layer, first.neuron, first.fan_in, first.note) == ("0", "1 (LIF)", 700, "")
    assert first.sigma_w == pytest.approx(sigma_w(700, DT / (1 - 0.9**2), 0.8 * 2), rel=0.01)
    assert first.tau_mem == pytest.approx(-DT / math.log(0.9), rel=1e-5)
    assert second.sigma_w == pytest.approx(sigma_w(20, DT / (1 - 0.8**2), 0.8), rel=0.1)
    assert float(network[0].weight.detach().std()) == pytest.approx(first.sigma_w, rel=1e-3)
    assert not network[0].bias.any()
    assert (last.sigma_w, last.note) == (None, "left alone: no neuron follows")
    assert torch.equal(network[6].weight, readout)


def test_recurrent_weights_of_a_neuron_share_its_variance():
    network = nn.Sequential(nn.Linear(700, 128), LIF(0.9, recurrent=nn.Linear(128, 128)))
    ff, rec = initialize(network, nu=NU, dt=DT, alpha=0.7)
    eps_hat = DT / (1 - 0.9**2)
    assert (ff.layer, rec.layer) == ("0", "1.recurrent")
    assert ff.sigma_w == pytest.approx(sigma_w(700, eps_hat, math.sqrt(0.7)), rel=0.02)
    assert rec.sigma_w == pytest.approx(sigma_w(128, eps_hat, math.sqrt(0.3)), rel=0.02)


@pytest.mark.parametrize("beta", [0.9, torch.linspace(0.5, 0.9, 40)])
def test_kaiming_weights_are_divided_by_what_a_membrane_scales_its_input_by(beta):
    class Scaling(LIF):
        """U <- beta U + (1 - beta) x."""

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward((1 - self.beta) * x)

    def weight(neuron: type[LIF], name: str) -> torch.Tensor:
        layer, membrane = nn.Linear(50, 40), neuron(0.9)
        membrane.beta = torch.as_tensor(beta)
        initialize_any(
            nn.Sequential(layer, membrane),
            name,
            batch=torch.ones(5, 2, 50),
            dt=DT,
            generator=torch.Generator().manual_seed(0),
        )
        return layer.weight.detach()

    plain = weight(LIF, "kaiming")
    assert torch.equal(weight(Scaling, "kaiming"), plain)
    assert torch.allclose(weight(LIF, "kaiming_scaled"), plain)
    factor = (1 - torch.as_tensor(beta)).reshape(-1, 1)
    assert torch.allclose(weight(Scaling, "kaiming_scaled"), plain / factor, rtol=1e-5)


def test_a_neuron_without_leak_is_reported_and_its_layer_left_alone():
    network = nn.Sequential(nn.Linear(5, 8), LIF(1.0), nn.Linear(8, 8), LIF(0.9))
    with pytest.warns(
        UserWarning, match=r"^fdi.initialize: not changed: 0 \(1 \(LIF\): resp"
    ) as said:
        row, _ = initialize(network, nu=NU, dt=DT)
    assert said[0].filename == __file__
    assert row.sigma_w is None
    assert row.note.startswith("left alone: 1 (LIF): response does not decay within 5000 steps")


def test_constants_of_single_neurons_are_averaged():
    neuron = LIF(0.9)
    neuron.beta = torch.tensor([0.9, 0.8])
    response = measure(neuron, DT)
    assert response.eps_bar == pytest.approx(DT * (10 + 5) / 2, rel=1e-4)
    assert response.eps_hat == pytest.approx(DT * (1 / 0.19 + 1 / 0.36) / 2, rel=1e-4)


@pytest.mark.parametrize(
    ("network", "options", "message"),
    [
        (
            nn.Sequential(nn.Linear(5, 8), nn.ReLU(), LIF(0.9)),
            {},
            r"nothing to initialize \(0 left alone: no neuron follows",
        ),
        (nn.ReLU(), {}, r"ReLU is not an nn\.Sequential with neurons of snnTorch, Norse, Spik"),
        (
            nn.Sequential(nn.Linear(5, 8), LIF(0.9)),
            {"nu": None, "batch": torch.zeros(50, 2, 5)},
            r"rate nu = 0\.0 Hz must be positive and finite",
        ),
        (
            nn.Sequential(nn.Linear(5, 8), LIF(0.9)),
            {"dt": 0.0},
            r"dt = 0\.0 must be a positive, finite time in seconds",
        ),
        (
            nn.Sequential(nn.Linear(5, 8), LIF(0.9)),
            {"nu": 0.0},
            r"nu = 0\.0 must be auto or propagate or a number above 0",
        ),
        (
            nn.Sequential(nn.Linear(5, 8), LIF(0.9)),
            {"sigma_u": -1.0},
            r"sigma_u = -1\.0 must be a number above 0",
        ),
    ],
)
def test_errors_leave_the_network_as_it_was(network, options, message):
    before = [p.detach().clone() for p in network.parameters()]
    with one_line(message):
        initialize(network, **({"nu": NU, "dt": DT} | options))
    assert all(torch.equal(a, b) for a, b in zip(before, network.parameters()))


@IMPORT_WARNINGS
def test_snntorch_neurons_answer_by_their_own_equations():
    snn = pytest.importorskip("snntorch")
    assert measure(snn.Leaky(0.9, reset_mechanism="zero"), DT).eps_hat == pytest.approx(
        DT / (1 - 0.9**2), rel=1e-4
    )
    synaptic = measure(snn.Synaptic(0.8, 0.9), DT)
    kernel = [(0.9**t - 0.8**t) / (0.9 - 0.8) for t in range(1, 400)]
    assert synaptic.eps_hat == pytest.approx(DT * sum(k**2 for k in kernel), rel=1e-4)
    assert synaptic.tau_mem == pytest.approx(-DT / math.log(0.9), rel=1e-5)
    network: Any = nn.Sequential(
        nn.Linear(20, 8), snn.RLeaky(0.9, linear_features=8, init_hidden=True)
    )
    network(torch.ones(3, 20))
    ff, rec = initialize(network, nu=NU, dt=DT)
    assert ff.sigma_w == pytest.approx(sigma_w(20, DT / (1 - 0.9**2), math.sqrt(0.9)), rel=0.15)
    assert (rec.layer, rec.fan_in) == ("1.recurrent", 8)
    assert not network[1].recurrent.bias.any()


@IMPORT_WARNINGS
def test_norse_neurons_answer_by_their_own_equations():
    norse = pytest.importorskip("norse.torch")
    v, i, kernel = 0.0, 1.0, []
    for _ in range(400):
        v, i = v + DT * 100.0 * (i - v), i * (1 - DT * 200.0)
        kernel.append(v)
    for neuron in (
        norse.LIF(),
        norse.LIFCell(),
        norse.LIFRecurrentCell(3, 4),
        norse.LIFRecurrent(3, 4, record_states=True),
    ):
        response = measure(neuron, DT)
        assert response.eps_hat == pytest.approx(DT * sum(k**2 for k in kernel), rel=1e-4)
        assert (response.tau_mem, response.theta) == pytest.approx((10e-3, 1.0))
    network = norse.SequentialState(norse.LIFRecurrent(20, 8), nn.Linear(8, 4), norse.LI())
    ff, rec, readout = initialize(network, nu=NU, dt=DT)
    assert (ff.fan_in, rec.fan_in, readout.note) == (20, 7, "left alone: 2 (LI): has no threshold")
    assert not network[0].recurrent_weights.diagonal().any()
    with one_line(r"LIF integrates with dt = 0\.001 s, not dt = 0\.002 s; build it with dt=0\.002"):
        initialize(norse.SequentialState(nn.Linear(3, 4), norse.LIF()), nu=NU, dt=2e-3)


@IMPORT_WARNINGS
def test_spikingjelly_neurons_answer_by_their_own_equations():
    pytest.importorskip("spikingjelly")
    from spikingjelly.activation_based import layer, neuron

    eps_hat = DT / (1 - 0.9**2)
    scaled, unscaled = (
        neuron.LIFNode(tau=10.0, step_mode="m"),
        neuron.LIFNode(tau=10.0, decay_input=False, v_reset=None),
    )
    assert measure(scaled, DT).eps_hat == pytest.approx(0.1**2 * eps_hat, rel=1e-4)
    assert measure(unscaled, DT).eps_hat == pytest.approx(eps_hat, rel=1e-4)
    assert measure(
        neuron.LIFNode(tau=10.0, v_threshold=1.0, v_reset=-0.5), DT
    ).theta == pytest.approx(1.5)
    network = nn.Sequential(
        layer.Linear(20, 8), neuron.LIFNode(tau=10.0), layer.Linear(8, 4), neuron.IFNode()
    )
    network(torch.ones(3, 20))
    first, second = initialize(network, nu=NU, dt=DT)
    assert first.sigma_w == pytest.approx(sigma_w(20, 0.1**2 * eps_hat), rel=0.15)
    assert "does not decay" in second.note


@IMPORT_WARNINGS
def test_sinabs_neurons_answer_by_their_own_equations():
    sl = pytest.importorskip("sinabs.layers")
    beta, alpha = math.exp(-1 / 20), math.exp(-1 / 10)
    eps_hat = DT / (1 - beta**2)
    plain = measure(sl.LIF(tau_mem=20.0, norm_input=False), DT)
    assert plain.eps_hat == pytest.approx(eps_hat, rel=1e-4)
    assert (plain.tau_mem, plain.theta) == (pytest.approx(20e-3), 1.0)
    synaptic = measure(sl.LIF(tau_mem=20.0, tau_syn=10.0, norm_input=False), DT)
    kernel = [alpha * (alpha**t - beta**t) / (alpha - beta) for t in range(1, 800)]
    assert synaptic.eps_hat == pytest.approx(DT * sum(k**2 for k in kernel), rel=1e-3)
    below = nn.Linear(3, 4), sl.IAF(), nn.Linear(4, 100), sl.ExpLeak(20.0)
    reasons = initialize(
        nn.Sequential(*below, nn.Linear(100, 20), sl.LIF(tau_mem=20.0)),
        nu=NU,
        dt=DT,
    )
    assert "does not decay" in reasons[0].note
    assert "has no threshold" in reasons[1].note


NEURONS = {  # where they are, and arguments of those that want some
    "snnTorch": "snntorch",
    "Norse": "norse.torch",
    "SpikingJelly": "spikingjelly.activation_based.neuron",
    "Sinabs": "sinabs.layers",
}
GIVEN: dict[str, dict[str, Any]] = {
    "Leaky": dict(beta=0.9),
    "Synaptic": dict(alpha=0.8, beta=0.9),
    "Alpha": dict(alpha=0.9, beta=0.8),
    "Lapicque": dict(beta=0.9),
    "RLeaky": dict(beta=0.9, linear_features=3),
    "RSynaptic": dict(alpha=0.8, beta=0.9, linear_features=3),
    "LeakyParallel": dict(input_size=10, hidden_size=5),
    "LIFRecurrent": dict(input_size=3, hidden_size=4),
    "GatedLIFNode": dict(T=4),
    "LIFSqueeze": dict(batch_size=1, tau_mem=20.0),
}
SINABS: dict[str, dict[str, Any]] = {
    "LIF": dict(tau_mem=20.0),
    "ALIF": dict(tau_mem=20.0, tau_adapt=20.0),
    "LIFRecurrent": dict(tau_mem=20.0, rec_connect=nn.Linear(3, 3)),
}


@IMPORT_WARNINGS
@pytest.mark.parametrize("library", NEURONS)
def test_the_table_of_libraries_says_which_neurons_are_measured(library):
    module = pytest.importorskip(NEURONS[library])
    page = (EXAMPLES.parent / "docs" / "howto" / "libraries.md").read_text(encoding="utf-8")
    written, measured, left = re.search(
        rf"^\| {library} ([\d.]+) \|(.*)\|(.*)\|$", page, re.MULTILINE
    ).groups()
    found = dict.fromkeys(re.findall(r"`(\w+)`", measured + left), False)
    for name in found:
        given = (GIVEN | SINABS if library == "Sinabs" else GIVEN).get(name, {})
        with suppress(Mistake, KeyError):  # of a neuron that is none of those that are known
            found[name] = measure(getattr(module, name)(**given), DT).theta > 0
    assert found == {name: f"`{name}`" in measured for name in found}, (
        f"{library} {version(library.lower())}; the table is of {written}"
    )


@IMPORT_WARNINGS
@pytest.mark.slow  # about a minute each
@pytest.mark.parametrize("library", ["snntorch", "norse", "spikingjelly"])
def test_networks_of_public_questions_learn_with_their_recipe(library):
    pytest.importorskip(library)
    pytest.importorskip("sklearn")
    found = run_path(str(EXAMPLES / "threads.py"))["main"](library)
    assert found.state == "found"
    assert found.before < found.after - 0.1


@IMPORT_WARNINGS
@pytest.mark.parametrize("library", ["snntorch", "norse", "spikingjelly"])
def test_examples_are_silent_before_and_active_after(library):
    pytest.importorskip(library)
    before, *after = run_path(str(EXAMPLES / f"{library}_init.py"))["main"]()
    assert before[2] == 0
    assert all(2 < rate < 40 for rates in after for rate in rates)
